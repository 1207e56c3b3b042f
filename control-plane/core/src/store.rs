//! What the rest asks of the store.

mod front;

use async_trait::async_trait;
use sealwax_protocol::{ChallengeToken, DomainName};
use serde::{Deserialize, Serialize};

use crate::certificate::Chain;
use crate::record::{DomainRecord, DomainState};
use crate::secret::SealedKey;
use crate::timestamp::Timestamp;

pub use front::{Front, Fronted};

/// A record's place in the sequence of its writes; starts at 1. A domain registered again within
/// days of its removal goes on where it was, so a writer that still holds a version of before loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordVersion(pub u64);

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The record.
    pub record: DomainRecord,
    /// What a conditional write must name.
    pub version: RecordVersion,
}

/// The certificate that is served for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCertificate {
    /// Leaf first, PEM.
    pub chain: Chain,
    /// The private key, sealed for the domain.
    pub key: SealedKey,
}

/// What a handshake needs, in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub stored: Stored,
    /// The certificate, when the domain has one.
    pub certificate: Option<StoredCertificate>,
}

/// An http-01 answer that every edge can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What the CA asks for.
    pub token: ChallengeToken,
    /// The domain it proves control of.
    pub domain: DomainName,
    /// What the CA must be answered.
    pub key_authorization: String,
    /// When it is garbage; answered no longer.
    pub expires_at: Timestamp,
}

/// One thing that happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// When.
    pub at: Timestamp,
    /// What, from the documented list (`certificate.issued`, `order.placed`, …).
    pub kind: String,
    /// What was seen, bounded.
    pub detail: String,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No record.
    Absent,
    /// The record at this version.
    Version(RecordVersion),
}

/// What a write does with the served certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateChange {
    /// Leaves it.
    #[default]
    Keep,
    /// Replaces it; replicas are told.
    Replace(StoredCertificate),
    /// Removes it; replicas are told.
    Remove,
}

/// One atomic change of a domain: all of it is stored or nothing is.
#[derive(Clone, Debug)]
pub struct Change {
    /// The record as it shall be.
    pub record: DomainRecord,
    /// The condition.
    pub expected: Expected,
    /// The certificate.
    pub certificate: CertificateChange,
    /// A challenge answer to publish.
    pub publish: Option<Challenge>,
    /// A challenge answer to withdraw.
    pub withdraw: Option<ChallengeToken>,
    /// What to remember about it; at most [`EVENTS_PER_CHANGE_MAX`].
    pub events: Vec<LifecycleEvent>,
    /// Tells replicas although the certificate stays (a registration, a removal of a hold).
    pub announce: bool,
}

/// Most events in one change: keeps a change within one store transaction.
pub const EVENTS_PER_CHANGE_MAX: usize = 8;

impl Change {
    /// A change of the record alone.
    #[must_use]
    pub const fn of(record: DomainRecord, expected: Expected) -> Self {
        Self {
            record,
            expected,
            certificate: CertificateChange::Keep,
            publish: None,
            withdraw: None,
            events: Vec::new(),
            announce: false,
        }
    }
}

/// A text that processes share and change by conditional writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The text, at most [`DOCUMENT_BYTES_MAX`].
    pub text: String,
    /// As read: the version it has. To be written: the version it had; 0 for a new one.
    pub version: u64,
    /// When it is garbage.
    pub expires_at: Timestamp,
}

/// Largest document: far below what DynamoDB takes of one item.
pub const DOCUMENT_BYTES_MAX: usize = 200 * 1024;

/// Which domains to list. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// In this state.
    pub state: Option<DomainState>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Due (renewal, retry) before this moment.
    pub due_before: Option<Timestamp>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<DomainRecord>,
    /// Where the next page starts; `None` at the end. Opaque.
    pub cursor: Option<String>,
}

/// A page of registered names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePage {
    /// The names, in no order. One that left lately may be among them.
    pub domains: Vec<DomainName>,
    /// Where the next page starts; `None` at the end. Opaque.
    pub cursor: Option<String>,
}

/// A page of what is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The domains, oldest first.
    pub domains: Vec<DomainName>,
    /// Where the next page starts; `None` at the end. Opaque.
    pub cursor: Option<String>,
}

/// A domain whose served certificate, or right to one, changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The domain.
    pub domain: DomainName,
}

/// Where a reader of the change log stands. Opaque to all but the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeCursor(pub Vec<u64>);

/// What the change log says since a cursor.
#[derive(Clone, Debug)]
pub struct ChangeBatch {
    /// What changed, oldest first; a domain may appear more than once.
    pub changed: Vec<Changed>,
    /// Where to go on.
    pub cursor: ChangeCursor,
    /// The log no longer reaches back to the cursor: everything may have changed.
    pub resync: bool,
}

/// Every byte of state. All calls are bounded in time by the implementation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Only one process can use this store: leases of other processes are void at start.
    fn exclusive(&self) -> bool;

    /// Record and certificate of each domain, in order. At most [`LOAD_MAX`] at a time.
    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Makes one change and returns the record's new version. A write whose acknowledgement got
    /// lost and that is found done counts as done.
    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError>;

    /// Makes changes of different domains, in as few steps as the store can; each is stored or
    /// lost by itself, and has its result, in order. At most [`WRITE_ALL_MAX`] at a time.
    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            written.push(self.write(change).await);
        }
        written
    }

    /// Deletes a domain, its certificate and its stored challenge; announces it. Its events stay
    /// until they expire.
    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError>;

    /// As [`Self::remove`], of a domain that was removed before and whose removal is told.
    async fn forget(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.remove(domain, version).await
    }

    /// Whether each domain left a trace of its removal, in order: evidence that it is gone, where
    /// [`Self::load`] finds nothing. A domain that was never here has none, and neither has one in
    /// a store that lost it. At most [`LOAD_MAX`] at a time.
    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; domains.len()])
    }

    /// A page of the domains whose `wake_at` is not after `now`. From page to page the walk goes
    /// from old to young, as far as the index allows: its shards are walked side by side. What
    /// becomes due behind it is for the next walk. The index may lag: the caller re-checks the
    /// record.
    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError>;

    /// One page of the domains selected; by index, never by scan.
    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError>;

    /// A page of the names of all domains, as large as is cheap: nothing else of them is read. The
    /// index may lag.
    async fn names(&self, cursor: Option<&str>) -> Result<NamePage, StoreError> {
        let page = self.list(&Selection::default(), NAMES_PAGE, cursor).await?;
        let domains = page.records.into_iter().map(|record| record.domain).collect();
        Ok(NamePage { domains, cursor: page.cursor })
    }

    /// The answer to a challenge.
    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError>;

    /// The newest events of a domain, newest first.
    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError>;

    /// The sealed credentials of an ACME account.
    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError>;

    /// Keeps the credentials of an ACME account; [`StoreError::Lost`] if there are some already,
    /// so that replicas that start together end with one account.
    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError>;

    /// A small document that processes share: its text and version. `None`: there is none, or it
    /// expired.
    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError>;

    /// Writes a document if it is still at the version named; [`StoreError::Lost`] if it is not.
    /// After [`StoreError::Unavailable`] it may have been written.
    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError>;

    /// What changed since the cursor; a default cursor stands for now.
    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError>;

    /// A cheap read that proves the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Most domains in one [`Store::load`].
pub const LOAD_MAX: usize = 50;

/// Names in a page of [`Store::names`], about.
pub const NAMES_PAGE: usize = 1_000;

/// Most changes in one [`Store::write_all`]: a handshake that comes meanwhile waits for few of them.
pub const WRITE_ALL_MAX: usize = 48;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Someone else wrote first, or the record is gone: load it again and decide anew.
    #[error("the record of {domain} was changed by someone else")]
    Lost {
        /// The domain or the account's issuer.
        domain: String,
    },
    /// Did not answer in time, throttled, or failed: retry later; the outcome of a write is
    /// unknown.
    #[error("the store is not available: {detail}")]
    Unavailable {
        /// What was seen.
        detail: String,
    },
    /// Refused this process, or cannot be opened: wrong tables, credentials, clock or settings.
    /// Someone must act, but not on this process: it asks again.
    #[error("the store cannot be used: {detail}")]
    Misconfigured {
        /// What is wrong and what to do.
        detail: String,
    },
    /// A stored item this version cannot read.
    #[error("the stored item {key} cannot be read: {detail}")]
    Unreadable {
        /// Which item.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A request the store can never do.
    #[error("the store was asked for something impossible: {detail}")]
    Bug {
        /// What.
        detail: String,
    },
}

impl StoreError {
    /// The store is away or refuses this process: nothing about the request is wrong, and the
    /// same one may be answered later.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Misconfigured { .. })
    }
}
