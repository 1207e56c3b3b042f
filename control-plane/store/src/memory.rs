//! The reference implementation of the store: what the others must behave like.
//!
//! For tests and simulation. Everything in it is read and written under one lock, so each call
//! is atomic, every read is the newest, and indexes do not lag.

mod ledger;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_core::store::{
    CertificateChange, Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage,
    EVENTS_PER_CHANGE_MAX, Entry, LOAD_MAX, LifecycleEvent, Page, RecordVersion, Selection, Store,
    StoreError,
};
use sealwax_core::{Clock, SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::dynamo::{check_document, foreign_cursor, selected};
use crate::upkeep::Upkeep;
use ledger::Ledger;

/// One of the store's calls, as a fault hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Store::load`].
    Load,
    /// [`Store::write`] and [`Upkeep::write_quietly`].
    Write,
    /// [`Store::remove`].
    Remove,
    /// [`Store::due`].
    Due,
    /// [`Store::list`].
    List,
    /// [`Store::challenge`].
    Challenge,
    /// [`Store::events`].
    Events,
    /// [`Store::account`].
    Account,
    /// [`Store::create_account`] and [`Upkeep::replace_account`].
    CreateAccount,
    /// [`Store::document`].
    Document,
    /// [`Store::put_document`].
    PutDocument,
    /// [`Store::changes`].
    Changes,
    /// [`Store::ping`].
    Ping,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not done; the caller is told that the store is not available.
    Refused,
    /// Done, but the caller is told that the store is not available.
    AnswerLost,
    /// Not done; the caller is told that its credentials are not accepted.
    Forbidden,
}

/// Decides about each call. Called before it, outside the store's lock.
pub type FaultHook = Arc<dyn Fn(Operation) -> Option<Fault> + Send + Sync>;

/// The store in memory.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    ledger: Mutex<Ledger>,
    faults: Mutex<Option<FaultHook>>,
    exclusive: bool,
}

/// All that a store held at a moment.
#[derive(Debug)]
pub struct Contents(Ledger);

impl MemoryStore {
    /// An empty store that several processes may share, as the hook-less default.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ledger: Mutex::default(), faults: Mutex::new(None), exclusive: false }
    }

    /// As the embedded store: only one process can use it.
    #[must_use]
    pub fn exclusive(clock: Arc<dyn Clock>) -> Self {
        Self { exclusive: true, ..Self::new(clock) }
    }

    /// Another store with all that this one has now: what a restore would bring back.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            ledger: Mutex::new(self.lock().clone()),
            faults: Mutex::new(None),
            exclusive: self.exclusive,
        }
    }

    /// Lets calls fail from now on; `None` ends that.
    pub fn set_faults(&self, hook: Option<FaultHook>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// Loses everything, as a volume does that is not mounted; hands it out for [`Self::restore`].
    #[must_use]
    pub fn replaced(&self) -> Contents {
        Contents(std::mem::take(&mut *self.lock()))
    }

    /// Has these contents from now on.
    pub fn restore(&self, contents: Contents) {
        *self.lock() = contents.0;
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a call, or what is left of it when a fault strikes.
    fn call<T>(
        &self,
        operation: Operation,
        body: impl FnOnce(&mut Ledger) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let hook = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unavailable = |detail: &str| {
            Err(StoreError::Unavailable { detail: format!("{operation:?}: {detail}") })
        };
        match hook.and_then(|hook| hook(operation)) {
            Some(Fault::Refused) => unavailable("injected fault"),
            Some(Fault::Forbidden) => Err(StoreError::Misconfigured {
                detail: format!("{operation:?}: injected refusal of the credentials"),
            }),
            Some(Fault::AnswerLost) => {
                let done = body(&mut self.lock());
                done.and_then(|_| unavailable("injected loss of the answer"))
            }
            None => body(&mut self.lock()),
        }
    }

    fn apply(&self, change: Change, tell: bool) -> Result<RecordVersion, StoreError> {
        self.call(Operation::Write, |ledger| {
            if change.events.len() > EVENTS_PER_CHANGE_MAX {
                return Err(StoreError::Bug {
                    detail: format!("{} events in one change", change.events.len()),
                });
            }
            ledger.write(change, tell)
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("exclusive", &self.exclusive).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.call(Operation::Load, |ledger| {
            if domains.len() > LOAD_MAX {
                return Err(StoreError::Bug { detail: format!("{} domains", domains.len()) });
            }
            Ok(domains.iter().map(|domain| ledger.entry(domain)).collect())
        })
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let tell = change.announce || change.certificate != CertificateChange::Keep;
        self.apply(change, tell)
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.call(Operation::Remove, |ledger| ledger.remove(domain, version))
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.call(Operation::Load, |ledger| {
            Ok(domains.iter().map(|domain| ledger.was_removed(domain)).collect())
        })
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        let after = cursor.map(read_due_cursor).transpose()?;
        self.call(Operation::Due, |ledger| {
            let mut entries = ledger.due(after.as_ref(), now).peekable();
            let page: Vec<_> = entries.by_ref().take(limit.max(1)).cloned().collect();
            let last = page.last().filter(|_| entries.peek().is_some());
            let cursor = last.map(|(at, domain)| format!("{} {domain}", at.millis()));
            Ok(DuePage { domains: page.into_iter().map(|(_, domain)| domain).collect(), cursor })
        })
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        let of = format!("{selection:?} after ");
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
                let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
                let after = text.and_then(|text| {
                    text.strip_prefix(&of).and_then(|name| DomainName::parse(name).ok())
                });
                Some(after.ok_or_else(foreign_cursor)?)
            }
        };
        self.call(Operation::List, |ledger| {
            let limit = limit.max(1);
            let mut records: Vec<_> = ledger
                .records_after(after.as_ref())
                .filter(|record| selected(selection, record))
                .take(limit + 1)
                .cloned()
                .collect();
            let more = records.len() > limit;
            records.truncate(limit);
            let last = records.last().filter(|_| more);
            let cursor =
                last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(format!("{of}{}", last.domain)));
            Ok(Page { records, cursor })
        })
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        let now = self.clock.now();
        self.call(Operation::Challenge, |ledger| Ok(ledger.challenge(token, now)))
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        let now = self.clock.now();
        self.call(Operation::Events, |ledger| Ok(ledger.events(domain, limit, now)))
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.call(Operation::Account, |ledger| Ok(ledger.account(issuer)))
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.call(Operation::CreateAccount, |ledger| {
            ledger.replace_account(issuer, None, sealed.clone())
        })
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let now = self.clock.now();
        self.call(Operation::Document, |ledger| Ok(ledger.document(name, now)))
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.call(Operation::PutDocument, |ledger| {
            check_document(document)?;
            ledger.put_document(name, document, now)
        })
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.call(Operation::Changes, |ledger| Ok(ledger.changes(since)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(Operation::Ping, |_| Ok(()))
    }
}

#[async_trait]
impl Upkeep for MemoryStore {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.lock().issuers())
    }

    async fn replace_account(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        self.call(Operation::CreateAccount, |ledger| {
            ledger.replace_account(issuer, Some(expected), sealed.clone())
        })
    }

    async fn write_quietly(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let tell = change.announce;
        self.apply(change, tell)
    }

    async fn mark(&self, job: &str) -> Result<Option<String>, StoreError> {
        Ok(self.lock().mark(job))
    }

    async fn set_mark(&self, job: &str, mark: Option<&str>) -> Result<(), StoreError> {
        self.lock().set_mark(job, mark);
        Ok(())
    }
}

fn read_due_cursor(text: &str) -> Result<(Timestamp, DomainName), StoreError> {
    let read = text.split_once(' ').and_then(|(at, domain)| {
        let at = Timestamp::from_millis(at.parse().ok()?);
        Some((at, DomainName::parse(domain).ok()?))
    });
    read.ok_or_else(foreign_cursor)
}
