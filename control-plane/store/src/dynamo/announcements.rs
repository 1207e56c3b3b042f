//! Two ways to announce a change: through the table, when others use it too, or inside the
//! process, when nobody else can.

use std::collections::VecDeque;
use std::sync::Mutex;

use sealwax_core::store::{ChangeBatch, ChangeCursor, Changed, StoreError};
use sealwax_protocol::DomainName;

use super::DynamoStore;
use super::change_log::SharedLog;
use super::keys::Item;

/// Most announcements kept inside the process. Who falls behind further resyncs.
const LOCAL_MAX: usize = 100_000;
/// Most announcements in one batch.
const LOCAL_BATCH_MAX: u64 = 10_000;

/// Where changes are announced.
#[derive(Debug)]
pub(crate) enum Announcements {
    /// In the table.
    Shared(SharedLog),
    /// In memory: only one process can use the store.
    Local(LocalLog),
}

/// The announcements of this process, numbered.
#[derive(Debug)]
pub(crate) struct LocalLog {
    /// Tells the cursors of this run from those of another.
    run: u64,
    tail: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    /// The number of the first one kept.
    first: u64,
    domains: VecDeque<DomainName>,
}

impl Announcements {
    /// The item to store with a change, if it is announced through the table.
    pub(crate) async fn entry(
        &self,
        store: &DynamoStore,
        domain: &DomainName,
        write_id: &str,
    ) -> Result<Option<Item>, StoreError> {
        match self {
            Self::Shared(log) => log.entry(store, domain, write_id).await.map(Some),
            Self::Local(_) => Ok(None),
        }
    }

    /// A change may have been stored.
    pub(crate) fn announced(&self, domain: &DomainName) {
        if let Self::Local(log) = self {
            log.push(domain.clone());
        }
    }

    /// What was announced since the cursor.
    pub(crate) async fn since(
        &self,
        store: &DynamoStore,
        cursor: &ChangeCursor,
    ) -> Result<ChangeBatch, StoreError> {
        match self {
            Self::Shared(log) => log.since(store, cursor).await,
            Self::Local(log) => Ok(log.since(cursor)),
        }
    }
}

impl LocalLog {
    /// An empty log of the run with this number.
    pub(crate) fn new(run: u64) -> Self {
        Self { run, tail: Mutex::default() }
    }

    fn push(&self, domain: DomainName) {
        let mut tail = self.tail.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tail.domains.len() >= LOCAL_MAX {
            tail.domains.pop_front();
            tail.first += 1;
        }
        tail.domains.push_back(domain);
    }

    fn since(&self, cursor: &ChangeCursor) -> ChangeBatch {
        let tail = self.tail.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let end = tail.first + u64::try_from(tail.domains.len()).unwrap_or(u64::MAX);
        let at = match cursor.0.as_slice() {
            [run, at] if *run == self.run => Some(*at),
            _ => None,
        };
        let reachable = at.filter(|at| (tail.first..=end).contains(at));
        let Some(at) = reachable else {
            return ChangeBatch {
                changed: Vec::new(),
                cursor: ChangeCursor(vec![self.run, end]),
                resync: !cursor.0.is_empty(),
            };
        };
        let until = end.min(at.saturating_add(LOCAL_BATCH_MAX));
        let range = |number: u64| usize::try_from(number - tail.first).unwrap_or(usize::MAX);
        let changed = tail.domains.range(range(at)..range(until));
        ChangeBatch {
            changed: changed.map(|domain| Changed { domain: domain.clone() }).collect(),
            cursor: ChangeCursor(vec![self.run, until]),
            resync: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_falls_behind_resyncs() {
        let log = LocalLog::new(7);
        let start = log.since(&ChangeCursor::default()).cursor;
        let domain = DomainName::parse("a.example.com").unwrap();
        for _ in 0..=LOCAL_MAX {
            log.push(domain.clone());
        }
        let behind = log.since(&start);
        assert!(behind.resync && behind.changed.is_empty());
        log.push(domain);
        let ahead = log.since(&behind.cursor);
        assert!(!ahead.resync);
        assert_eq!(ahead.changed.len(), 1);
        assert!(LocalLog::new(8).since(&ahead.cursor).resync, "a cursor of another run");
    }
}
