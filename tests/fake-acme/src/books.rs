//! What the server knows: accounts, orders, authorizations, certificates, nonces.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::authority::Issued;
use crate::jws::AccountKey;
use crate::problem::Problem;

/// Most nonces out at a time; the oldest become bad.
const NONCES_MAX: usize = 10_000;

/// Everything.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) accounts: BTreeMap<u64, AccountEntry>,
    /// Thumbprints of the keys whose accounts were forgotten.
    pub(crate) forgotten: BTreeSet<String>,
    pub(crate) orders: BTreeMap<u64, OrderEntry>,
    pub(crate) authorizations: BTreeMap<u64, AuthorizationEntry>,
    pub(crate) certificates: BTreeMap<u64, CertificateEntry>,
    nonces: VecDeque<String>,
    refused_nonces: u32,
    last_id: u64,
}

pub(crate) struct AccountEntry {
    pub(crate) key: AccountKey,
    pub(crate) contact: Vec<String>,
    pub(crate) deactivated: bool,
}

pub(crate) struct OrderEntry {
    pub(crate) account: u64,
    pub(crate) name: String,
    pub(crate) profile: Option<String>,
    pub(crate) replaces: Option<String>,
    pub(crate) authorization: u64,
    pub(crate) finalized: Option<Finalized>,
}

/// An order whose signing request was taken.
pub(crate) struct Finalized {
    pub(crate) certificate: u64,
    /// Looks until it says so; `u32::MAX`: never.
    pub(crate) looks_left: u32,
}

pub(crate) struct AuthorizationEntry {
    pub(crate) account: u64,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) status: AuthorizationStatus,
    /// What the last try found, with the challenge left open.
    pub(crate) complaint: Option<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthorizationStatus {
    Pending,
    /// The challenge was answered; the result may be known before it is told.
    Validating {
        looks_left: u32,
        result: Option<Result<(), Problem>>,
    },
    Valid,
    Invalid(Problem),
    /// By its account.
    Deactivated,
}

pub(crate) struct CertificateEntry {
    pub(crate) account: u64,
    pub(crate) name: String,
    pub(crate) issued: Issued,
    pub(crate) revoked: bool,
    pub(crate) replaced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
}

impl OrderStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

impl Books {
    pub(crate) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn fresh_nonce(&mut self) -> String {
        let nonce = format!("nonce-{:08x}", self.next_id());
        if self.nonces.len() >= NONCES_MAX {
            self.nonces.pop_front();
        }
        self.nonces.push_back(nonce.clone());
        nonce
    }

    /// Takes a nonce in; each is good once, and of the good ones some are refused all the same.
    pub(crate) fn spend_nonce(&mut self, nonce: &str, refused_percent: u32) -> Result<(), Problem> {
        let bad = || Problem::new(400, "badNonce", "unknown, used, or refused replay nonce");
        let found = self.nonces.iter().rposition(|kept| kept == nonce).ok_or_else(bad)?;
        self.nonces.remove(found);
        self.refused_nonces += refused_percent;
        if self.refused_nonces >= 100 {
            self.refused_nonces -= 100;
            return Err(bad());
        }
        Ok(())
    }

    pub(crate) fn certificate_by_ari(&mut self, ari_id: &str) -> Option<&mut CertificateEntry> {
        self.certificates.values_mut().find(|held| held.issued.ari_id == ari_id)
    }

    /// A valid authorization of this account for this name.
    pub(crate) fn valid_authorization(&self, account: u64, name: &str) -> Option<u64> {
        let fits = |entry: &AuthorizationEntry| {
            entry.account == account
                && entry.name == name
                && entry.status == AuthorizationStatus::Valid
        };
        self.authorizations.iter().find(|(_, entry)| fits(entry)).map(|(id, _)| *id)
    }

    /// Looks at an authorization: what takes looks comes a look nearer.
    pub(crate) fn look_at_authorization(&mut self, id: u64) -> Option<&AuthorizationEntry> {
        let entry = self.authorizations.get_mut(&id)?;
        if let AuthorizationStatus::Validating { looks_left, result } = &mut entry.status {
            if *looks_left > 0 {
                *looks_left -= 1;
            } else if let Some(result) = result.take() {
                entry.status = match result {
                    Ok(()) => AuthorizationStatus::Valid,
                    Err(problem) => AuthorizationStatus::Invalid(problem),
                };
            }
        }
        Some(entry)
    }

    /// An order's status; looking brings what takes looks a look nearer.
    pub(crate) fn look_at_order(&mut self, id: u64) -> Option<OrderStatus> {
        let authorization = self.orders.get(&id)?.authorization;
        self.look_at_authorization(authorization)?;
        let status = self.order_status(id)?;
        if let Some(finalized) = self.orders.get_mut(&id)?.finalized.as_mut()
            && finalized.looks_left != u32::MAX
        {
            finalized.looks_left = finalized.looks_left.saturating_sub(1);
        }
        Some(status)
    }

    /// An order's status, without a look.
    pub(crate) fn order_status(&self, id: u64) -> Option<OrderStatus> {
        let order = self.orders.get(&id)?;
        Some(match (&order.finalized, &self.authorizations.get(&order.authorization)?.status) {
            (Some(Finalized { looks_left: 0, .. }), _) => OrderStatus::Valid,
            (Some(_), _) => OrderStatus::Processing,
            (None, AuthorizationStatus::Valid) => OrderStatus::Ready,
            (None, AuthorizationStatus::Invalid(_) | AuthorizationStatus::Deactivated) => {
                OrderStatus::Invalid
            }
            (None, AuthorizationStatus::Pending | AuthorizationStatus::Validating { .. }) => {
                OrderStatus::Pending
            }
        })
    }
}
