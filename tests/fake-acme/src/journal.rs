//! What clients did, for tests to assert on.

use std::collections::VecDeque;

/// Most visits remembered; the oldest are forgotten, their counts are not used by then.
const VISITS_MAX: usize = 100_000;

/// A resource of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The directory.
    Directory,
    /// A fresh nonce.
    NewNonce,
    /// A new account, or a look-up of one.
    NewAccount,
    /// An account.
    Account,
    /// A new order.
    NewOrder,
    /// An order.
    Order,
    /// An authorization.
    Authorization,
    /// A challenge.
    Challenge,
    /// An order's finalization.
    Finalize,
    /// A certificate.
    Certificate,
    /// Revocation.
    Revoke,
    /// Renewal information.
    RenewalInfo,
    /// An account's key.
    KeyChange,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What was asked for.
    pub endpoint: Endpoint,
    /// The HTTP status answered; `None` when the connection was dropped instead.
    pub status: Option<u16>,
    /// For a new order that was made: its name.
    pub ordered: Option<String>,
    /// For a new order that was made: what it replaces.
    pub replaces: Option<String>,
}

/// Every request since the start, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    visits: VecDeque<Visit>,
}

impl Journal {
    pub(crate) fn note(&mut self, visit: Visit) {
        if self.visits.len() >= VISITS_MAX {
            self.visits.pop_front();
        }
        self.visits.push_back(visit);
    }

    /// All of them.
    pub fn visits(&self) -> impl Iterator<Item = &Visit> {
        self.visits.iter()
    }

    /// Requests to one endpoint.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.visits.iter().filter(|visit| visit.endpoint == endpoint).count()
    }

    /// Orders that came to be for one name, whether or not the client learned of them.
    #[must_use]
    pub fn orders_for(&self, name: &str) -> usize {
        self.visits.iter().filter(|visit| visit.ordered.as_deref() == Some(name)).count()
    }
}
