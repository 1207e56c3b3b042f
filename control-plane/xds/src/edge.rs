//! What the server knows of a connected edge, outside its stream's task.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwax_protocol::DomainName;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A connected edge, as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeView {
    /// The edge's identity.
    pub node_id: String,
    /// The stream, unique in this process.
    pub stream_id: u64,
    /// How long the stream has been open.
    pub connected_for: Duration,
    /// Most certificates the edge may hold.
    pub budget: usize,
    /// Certificates it holds.
    pub resident: usize,
    /// Names it is subscribed to: those it holds, those that wait, those just refused.
    pub names: usize,
    /// Certificates sent.
    pub pushes: u64,
    /// Removals sent, evictions among them.
    pub removals: u64,
    /// Certificates removed to keep the budget.
    pub evictions: u64,
    /// Names held until the wait was over, then removed.
    pub timeouts: u64,
    /// Responses acknowledged.
    pub acks: u64,
    /// Responses refused.
    pub nacks: u64,
    /// The last refusal.
    pub last_nack: Option<NackView>,
}

/// What edges hold, and what of it would be withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holdings {
    /// Names with a certificate, about: one that several edges hold may count more than once.
    pub held: usize,
    /// Certificates held of names that the source has neither a record nor a removal of.
    pub unknown: usize,
    /// Certificates whose withdrawal the brake holds back.
    pub held_back: usize,
    /// How often the brake was applied since the process began.
    pub brakes: u64,
    /// How long withdrawals are let go yet, after a release.
    pub released_for: Duration,
}

/// A refused version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NackView {
    /// Which name.
    pub name: DomainName,
    /// Which version.
    pub version: String,
    /// The edge's own words.
    pub detail: String,
}

/// Figures a stream keeps, readable from outside.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) names: AtomicUsize,
    pub(crate) resident: AtomicUsize,
    pub(crate) unknown: AtomicUsize,
    pub(crate) held_back: AtomicUsize,
    pub(crate) pushes: AtomicU64,
    pub(crate) removals: AtomicU64,
    pub(crate) evictions: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) last_nack: Mutex<Option<NackView>>,
}

/// One open stream: where the rest of the process leaves word for its task.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) node_id: String,
    pub(crate) stream_id: u64,
    pub(crate) budget: usize,
    pub(crate) since: Instant,
    pub(crate) figures: Arc<Figures>,
    inbox: Mutex<Inbox>,
    word: Notify,
}

/// What has happened since the stream's task last looked. Sets of names the stream is subscribed
/// to, so a stuck edge costs no more than its subscriptions however much happens.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) changed: HashSet<DomainName>,
    pub(crate) used: HashSet<DomainName>,
    pub(crate) changed_all: bool,
}

impl Edge {
    pub(crate) fn new(node_id: String, stream_id: u64, budget: usize) -> Self {
        Self {
            node_id,
            stream_id,
            budget,
            since: Instant::now(),
            figures: Arc::default(),
            inbox: Mutex::default(),
            word: Notify::new(),
        }
    }

    pub(crate) fn changed(&self, name: &DomainName) {
        self.leave(|inbox| inbox.changed.insert(name.clone()));
    }

    pub(crate) fn used(&self, name: &DomainName) {
        self.leave(|inbox| inbox.used.insert(name.clone()));
    }

    pub(crate) fn changed_all(&self) {
        self.leave(|inbox| !std::mem::replace(&mut inbox.changed_all, true));
    }

    /// Everything left since the last call.
    pub(crate) fn take(&self) -> Inbox {
        std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when there may be something to take.
    pub(crate) async fn word(&self) {
        self.word.notified().await;
    }

    fn leave(&self, put: impl FnOnce(&mut Inbox) -> bool) {
        let news = put(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        if news {
            self.word.notify_one();
        }
    }

    pub(crate) fn view(&self) -> EdgeView {
        let figures = &self.figures;
        let last_nack = figures.last_nack.lock().unwrap_or_else(PoisonError::into_inner).clone();
        EdgeView {
            node_id: self.node_id.clone(),
            stream_id: self.stream_id,
            connected_for: self.since.elapsed(),
            budget: self.budget,
            resident: figures.resident.load(Ordering::Relaxed),
            names: figures.names.load(Ordering::Relaxed),
            pushes: figures.pushes.load(Ordering::Relaxed),
            removals: figures.removals.load(Ordering::Relaxed),
            evictions: figures.evictions.load(Ordering::Relaxed),
            timeouts: figures.timeouts.load(Ordering::Relaxed),
            acks: figures.acks.load(Ordering::Relaxed),
            nacks: figures.nacks.load(Ordering::Relaxed),
            last_nack,
        }
    }
}
