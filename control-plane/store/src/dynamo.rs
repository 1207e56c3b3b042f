//! The store over the DynamoDB API: one table, wherever that API is spoken.

mod announcements;
mod change_log;
mod client;
mod document;
mod due;
mod error;
mod expression;
mod gather;
mod item;
mod keys;
mod listing;
mod read;
mod table;
mod together;
mod upkeep;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, LifecycleEvent,
    NamePage, Page, RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Clock, SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::embedded::Engine;
use announcements::{Announcements, LocalLog};
use change_log::SharedLog;
pub(crate) use client::Connection;
pub use client::{Pace, Timeouts};
#[cfg(feature = "testing")]
pub(crate) use document::check_document;
use gather::Gathering;
#[cfg(feature = "testing")]
pub(crate) use item::EVENT_LIFE;
pub(crate) use keys::shard_of;
#[cfg(feature = "testing")]
pub(crate) use listing::{foreign_cursor, selected};
pub use table::{Initialized, TableFacts};

/// The store over the DynamoDB API: embedded, in AWS, or any endpoint that speaks it.
///
/// Cheap to share behind an [`Arc`]. Two clients underneath: `load`, `challenge`, `changes` and
/// `ping` use the one with tight time-outs, because a handshake, a CA or readiness waits for them.
pub struct DynamoStore {
    handshake: Client,
    background: Client,
    table: String,
    region: String,
    clock: Arc<dyn Clock>,
    log: Arc<Announcements>,
    exclusive: bool,
    backoff: Duration,
    /// No attempt of a write is begun later than this after the first.
    attempts_for: Duration,
    /// Where a write is a sync of a file.
    gathering: Option<Gathering>,
    /// Keeps the embedded engine and its lock for as long as the store is there.
    engine: Option<Engine>,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A handshake.
    Handshake,
    /// Nobody in particular.
    Background,
}

impl DynamoStore {
    /// Puts the parts together. With an engine the store is this process's own.
    pub(crate) fn assemble(
        connection: &Connection,
        table_prefix: &str,
        timeouts: &Timeouts,
        clock: Arc<dyn Clock>,
        engine: Option<Engine>,
    ) -> Result<Self, StoreError> {
        let id = random_id()?;
        let run = keys::spread(&id);
        let log = if engine.is_some() {
            Announcements::Local(LocalLog::new(run))
        } else {
            Announcements::Shared(SharedLog::new(run, timeouts.background.call))
        };
        let log = Arc::new(log);
        let handshake = connection.client(format!("handshake-{id}"), &timeouts.handshake);
        let background = connection.client(format!("background-{id}"), &timeouts.background);
        let exclusive = engine.is_some();
        let store = |gathering, engine| Self {
            handshake: handshake.clone(),
            background: background.clone(),
            table: format!("{table_prefix}sealwax"),
            region: connection.region.to_string(),
            clock: Arc::clone(&clock),
            log: Arc::clone(&log),
            exclusive,
            backoff: timeouts.background.backoff,
            attempts_for: timeouts.background.call,
            gathering,
            engine,
        };
        // What was gathered is written through a store that gathers nothing itself.
        let gathering = exclusive.then(|| Gathering::start(store(None, None)));
        Ok(store(gathering, engine))
    }

    /// The region it is asked for in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore")
            .field("table", &self.table)
            .field("embedded", &self.engine.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for DynamoStore {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.load_entries(domains, Patience::Handshake).await
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        if let Some(gathering) = &self.gathering {
            return gathering.write(change).await;
        }
        self.change(&change, together::tell(&change)).await
    }

    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        self.change_all(changes).await
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.remove_record(domain, version).await
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.find_traces(domains).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.find_due(now, limit, cursor).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.find_page(selection, limit, cursor).await
    }

    async fn names(&self, cursor: Option<&str>) -> Result<NamePage, StoreError> {
        self.find_names(cursor).await
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.find_challenge(token).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.find_events(domain, limit).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.find_account(issuer).await
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.add_account(issuer, sealed).await
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.find_document(name).await
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        self.write_document(name, document).await
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.log.since(self, since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check_layout(Patience::Handshake).await
    }
}

/// 128 random bits in hexadecimal: names one write, and fits a transaction's client token.
pub(crate) fn random_id() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Bug { detail: "no randomness".to_owned() })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
