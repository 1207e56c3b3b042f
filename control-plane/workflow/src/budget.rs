//! The CA's limits, shared by all replicas: nothing is ordered that they have no room for.
//!
//! A name's own limits are in its record and change with it. What names share is in documents of
//! the store: each reservation is a conditional write on what was read, so two replicas never
//! spend the same token. It is made right before the order is placed, and given back when the CA
//! certainly has none. A crash in between loses a token and never gains one.

mod desk;
mod papers;
mod part;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwax_core::budget::{
    BucketKey, Budget, BudgetState, Exhausted, Headroom, Limits, Need, OrderKind, Part,
    RequestKind, registered_domain,
};
use sealwax_core::issuer::LimitScope;
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{DomainRecord, Span, Timestamp};
use sealwax_protocol::DomainName;

use desk::{Ask, Desk};
use papers::{account_document, contended, document, restored, tell_lost};
use part::SharedPart;

pub(crate) use papers::need;

/// How often a reservation starts anew because another replica wrote first.
const RELOADS_MAX: u32 = 8;
/// How long a document outlives its last bucket.
const KEPT: Span = Span::from_secs(86_400);

/// The budgets of all issuers that have limits.
pub(crate) struct Budgets {
    store: Arc<dyn Store>,
    issuers: BTreeMap<String, Kept>,
}

struct Kept {
    limits: Limits,
    account: Desk,
    /// What counts by address, not by account: each replica has its own.
    address: Mutex<Budget>,
}

/// What is left of a limit that all names share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLeft {
    /// The issuer whose CA has the limit.
    pub issuer: String,
    /// `orders`: new orders of the account, all replicas together. `requests`: requests for new
    /// orders from this process's address.
    pub limit: &'static str,
    /// Tokens that can be taken now.
    pub left: u64,
    /// Tokens when nothing is used.
    pub of: u64,
}

/// What was taken for one order. It ends as part of the record, or is given back.
#[must_use]
pub(crate) struct Reserved {
    kind: OrderKind,
    /// What the record must keep if the order was placed; nothing without limits.
    own: Option<BudgetState>,
}

impl Reserved {
    /// The order was placed, or may have been.
    pub(crate) fn spent(self) -> Option<BudgetState> {
        self.own
    }
}

/// Why nothing may be ordered now.
pub(crate) enum Refused {
    /// A limit has no room.
    Exhausted(Exhausted),
    /// The store does not say: nothing is ordered on a guess.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Exhausted> for Refused {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

impl Budgets {
    pub(crate) fn new(store: &Arc<dyn Store>, limits: &BTreeMap<String, Limits>) -> Self {
        let kept = |(name, limits): (&String, &Limits)| {
            let kept = Kept {
                account: Desk::new(Arc::clone(store), account_document(name), limits.clone()),
                address: Mutex::new(Budget::new(limits.clone())),
                limits: limits.clone(),
            };
            (name.clone(), kept)
        };
        Self { store: Arc::clone(store), issuers: limits.iter().map(kept).collect() }
    }

    /// Whether an order of this record has room; takes nothing. What an address may ask a second
    /// is for [`Self::reserve`] to see.
    pub(crate) async fn look(
        &self,
        issuer: &str,
        record: &DomainRecord,
        headroom: Headroom,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let Some(kept) = self.issuers.get(issuer) else { return Ok(()) };
        let need = need(record, issuer, now);
        kept.of_name(record, issuer).look_of(&need, &[Part::Name], headroom, now)?;
        if need.kind == OrderKind::First {
            kept.account.look().await?.look_of(&need, &[Part::Account], headroom, now)?;
            for part in &self.shared(issuer, kept, &need, headroom) {
                part.look(&need, now).await?;
            }
        }
        Ok(())
    }

    /// How many new orders of the account have room now; all there are without limits.
    pub(crate) async fn room(
        &self,
        issuer: &str,
        headroom: Headroom,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let Some(kept) = self.issuers.get(issuer) else { return Ok(u64::MAX) };
        Ok(kept.account.look().await?.room(headroom, now))
    }

    /// Takes what an order of this record needs.
    pub(crate) async fn reserve(
        &self,
        issuer: &str,
        record: &DomainRecord,
        headroom: Headroom,
        now: Timestamp,
    ) -> Result<Reserved, Refused> {
        let need = need(record, issuer, now);
        let kind = need.kind;
        let Some(kept) = self.issuers.get(issuer) else {
            return Ok(Reserved { kind, own: None });
        };
        let mut own = kept.of_name(record, issuer);
        own.reserve_of(&need, &[Part::Name], headroom, now)?;
        kept.address().reserve_of(&need, &[Part::Address], headroom, now)?;
        if kind == OrderKind::First {
            let domain = need.domain.clone();
            kept.account.ask(Ask::Reserve { domain: domain.clone(), headroom }, now).await?;
            let shared = self.shared(issuer, kept, &need, headroom);
            for (taken, part) in shared.iter().enumerate() {
                if let Err(refused) = part.take(&need, now).await {
                    let mut given = vec![kept.account.ask(Ask::GiveBack { domain }, now).await];
                    for part in shared.iter().take(taken) {
                        given.push(part.give_back(&need, now).await);
                    }
                    tell_lost(given, record, issuer);
                    return Err(refused);
                }
            }
        }
        Ok(Reserved { kind, own: Some(own.state(now)) })
    }

    /// The CA certainly has no such order. What cannot be given back now is lost: fewer orders
    /// than allowed, never more.
    pub(crate) async fn give_back(
        &self,
        issuer: &str,
        record: &DomainRecord,
        reserved: Reserved,
        now: Timestamp,
    ) {
        let Some(kept) = self.issuers.get(issuer) else { return };
        if reserved.kind != OrderKind::First {
            return;
        }
        let need = Need { kind: reserved.kind, ..need(record, issuer, now) };
        let domain = need.domain.clone();
        let mut given = vec![kept.account.ask(Ask::GiveBack { domain }, now).await];
        for part in &self.shared(issuer, kept, &need, Headroom::None) {
            given.push(part.give_back(&need, now).await);
        }
        tell_lost(given, record, issuer);
    }

    /// The issuer has limits that are counted here.
    pub(crate) fn counts(&self, issuer: &str) -> bool {
        self.issuers.contains_key(issuer)
    }

    /// How long one more order of the account takes to have room.
    pub(crate) fn apart(&self, issuer: &str) -> Span {
        let kept = self.issuers.get(issuer);
        kept.map_or(Span::ZERO, |kept| kept.limits.orders_per_account.interval)
    }

    /// What is left of the limits that all names of an issuer share.
    pub(crate) async fn left(&self, now: Timestamp) -> Result<Vec<BudgetLeft>, StoreError> {
        let mut all = Vec::with_capacity(self.issuers.len() * 2);
        for (issuer, kept) in &self.issuers {
            let found = self.store.document(&account_document(issuer)).await?;
            let account = restored(&kept.limits, found.as_ref())?;
            let orders = account.left(&BucketKey::Orders, now);
            let requests = kept.address().left(&BucketKey::Requests(RequestKind::NewOrder), now);
            for (limit, (left, of)) in [("orders", orders), ("requests", requests)] {
                all.push(BudgetLeft { issuer: issuer.clone(), limit, left, of });
            }
        }
        Ok(all)
    }

    /// A validation failed: the name's failures are counted, and what only certificates count
    /// for is given back. Returns what the record must keep.
    pub(crate) async fn failed(
        &self,
        issuer: &str,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Option<BudgetState> {
        self.without_certificate(issuer, record, Budget::failed, now).await
    }

    /// A validation failed at an edge of ours: the CA counted it all the same, and the name's row
    /// of failures, which would be its owner's, does not grow. Returns what the record must keep.
    pub(crate) async fn failed_at_edge(
        &self,
        issuer: &str,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Option<BudgetState> {
        self.without_certificate(issuer, record, Budget::failed_at_edge, now).await
    }

    /// A trial succeeded: the name's row of failures is over, and no certificate comes of it.
    /// Returns what the record must keep.
    pub(crate) async fn tried(
        &self,
        staging: &str,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Option<BudgetState> {
        let succeeded = |budget: &mut Budget, domain: &_, _| budget.succeeded(domain);
        self.without_certificate(staging, record, succeeded, now).await
    }

    /// An order may have been placed that nobody can go on with: it counts as an order, and no
    /// certificate comes of it. Otherwise a handful of lost answers would use up what one name may
    /// have in a week. Returns what the record must keep.
    pub(crate) async fn abandoned(
        &self,
        issuer: &str,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Option<BudgetState> {
        self.without_certificate(issuer, record, |_, _, _| {}, now).await
    }

    async fn without_certificate(
        &self,
        issuer: &str,
        record: &DomainRecord,
        ended: impl FnOnce(&mut Budget, &DomainName, Timestamp) + Send,
        now: Timestamp,
    ) -> Option<BudgetState> {
        let kept = self.issuers.get(issuer)?;
        let need = need(record, issuer, now);
        let mut own = kept.of_name(record, issuer);
        ended(&mut own, &record.domain, now);
        own.give_back_certificate(&need);
        if need.kind == OrderKind::First {
            let change = |budget: &mut Budget| {
                budget.give_back_certificate(&need);
                Ok(())
            };
            let part = self.registered_domain(issuer, kept, &record.domain);
            if let Err(Refused::Store(error)) = part.change(now, change).await {
                // Fewer orders than allowed, never more.
                tracing::debug!(domain = %record.domain, %error, "a token is not given back");
            }
        }
        Some(own.state(now))
    }

    /// A certificate was issued: the name's row of failures is over.
    pub(crate) fn succeeded(
        &self,
        issuer: &str,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Option<BudgetState> {
        let kept = self.issuers.get(issuer)?;
        let mut own = kept.of_name(record, issuer);
        own.succeeded(&record.domain);
        Some(own.state(now))
    }

    /// The CA says that a limit is used up: its count is right, ours was not. Returns what the
    /// record must keep, if it is a limit of the name.
    pub(crate) async fn correct(
        &self,
        issuer: &str,
        record: &DomainRecord,
        scope: LimitScope,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<BudgetState>, StoreError> {
        let Some(kept) = self.issuers.get(issuer) else { return Ok(None) };
        let domain = &record.domain;
        match scope {
            LimitScope::Name => {
                let mut own = kept.of_name(record, issuer);
                own.correct(scope, domain, until);
                return Ok(Some(own.state(now)));
            }
            LimitScope::RegisteredDomain => {
                let change = |budget: &mut Budget| {
                    budget.correct(scope, domain, until);
                    Ok(())
                };
                let part = self.registered_domain(issuer, kept, domain);
                if let Err(Refused::Store(error)) = part.change(now, change).await {
                    return Err(error);
                }
            }
            LimitScope::Account => {
                let correct = Ask::Correct { domain: domain.clone(), until };
                if let Err(Refused::Store(error)) = kept.account.ask(correct, now).await {
                    return Err(error);
                }
            }
            LimitScope::Ca => kept.address().correct(scope, domain, until),
        }
        Ok(None)
    }

    /// What an order shares with others beside the account.
    fn shared<'a>(
        &'a self,
        issuer: &str,
        kept: &'a Kept,
        need: &Need<'a>,
        headroom: Headroom,
    ) -> Vec<SharedPart<'a>> {
        let tenant = need.tenant.filter(|_| kept.limits.tenant_share_permille < 1000);
        let tenant = tenant.map(|tenant| SharedPart {
            store: &*self.store,
            limits: &kept.limits,
            name: format!("{}#tenant#{tenant}", account_document(issuer)),
            part: Part::Tenant(tenant),
            headroom,
        });
        let registered = self.registered_domain(issuer, kept, need.domain);
        tenant.into_iter().chain([registered]).collect()
    }

    fn registered_domain<'a>(
        &'a self,
        issuer: &str,
        kept: &'a Kept,
        domain: &'a DomainName,
    ) -> SharedPart<'a> {
        let registered = registered_domain(domain);
        SharedPart {
            store: &*self.store,
            limits: &kept.limits,
            name: format!("{}#{registered}", account_document(issuer)),
            part: Part::RegisteredDomain(registered),
            headroom: Headroom::None,
        }
    }
}

impl Kept {
    fn of_name(&self, record: &DomainRecord, issuer: &str) -> Budget {
        let used = record.usage.get(issuer).cloned().unwrap_or_default();
        Budget::restore(self.limits.clone(), used)
    }

    fn address(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
