//! The subscriptions of one stream: what has been asked, what has been sent, what comes next.
//!
//! No input or output, and no clock of its own. Requests, answers of the source and the passing
//! of time go in; questions for the source, responses and events come out when they are asked
//! for. Nothing is ever queued but names: a response is made of the latest answer at the moment
//! it can be sent, so an edge that does not read costs a set of names, not a queue of messages.
//!
//! The rules are those of the xDS protocol (envoyproxy.io, "xDS REST and gRPC protocol",
//! incremental variant) and of what Envoy's on-demand selector does with the answers:
//!
//! - a nonce never gates a subscription change; it only says which versions arrived;
//! - each subscribed name is answered, with a certificate or with a removal, also when it is
//!   subscribed already: the client may have dropped it;
//! - only what a reconnecting client says it holds, and does hold, stays without an answer;
//! - a handshake's name travels alone, since a client refuses a response as a whole; renewals
//!   travel in batches, and a refused batch again one by one;
//! - a certificate the client holds is withdrawn only on evidence, and as fast as the brake allows;
//! - a removal is not followed by a certificate for the same name unless the client asks.
//!
//! # Spellings
//!
//! Envoy asks for the SNI as the TLS client sent it. The canonical spelling (lower case, no
//! trailing dot) is served. Up to [`SPELLINGS_MAX`] other spellings of a name are served too,
//! each under its own name as Envoy requires; they count against the budget, are never
//! protected, and so are the first to leave. Any further spelling, and whatever is not a domain
//! name, is removed at once and not remembered. A name that is not UTF-8 gets no answer at all:
//! Envoy could not read a response with it, and would lose the stream.

mod acknowledged;
mod answer;
mod in_flight;
#[cfg(test)]
mod model;
mod queue;
mod rejected;
mod residents;
mod send;
mod sketch;
mod table;
mod timers;
#[cfg(test)]
mod zipf;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use self::in_flight::InFlight;
use self::queue::Queue;
use self::rejected::Rejected;
use self::residents::Residents;
pub(crate) use self::send::Response;
pub(crate) use self::sketch::Sketch;
pub(crate) use self::table::Key;
use self::table::{Backing, QuestionState, Table};
use self::timers::Timers;
use crate::ServedCertificate;
use crate::brake::Leave;
use crate::edge::Figures;
use crate::served::Version;

/// Most spellings of one name, beside the canonical one, that an edge is served.
pub const SPELLINGS_MAX: usize = 2;
/// Refused names waiting to be answered before no further requests are read.
const REFUSALS_MAX: usize = 16 * 1024;
/// A name seen this often lately is busy.
const BUSY_COUNT: u8 = 2;
/// The unit in which the table keeps times: they fit 32 bits for 13 years.
const TICK: Duration = Duration::from_millis(100);

/// Told which names the stream is subscribed to.
pub(crate) trait Registry: Send {
    /// A name is subscribed. Returns the same name, with a text shared with other streams.
    fn added(&mut self, name: DomainName) -> DomainName;
    /// A name has no subscription left.
    fn gone(&mut self, name: &DomainName);
    /// Asks to withdraw a name that the client holds.
    fn withdraw(&mut self, name: &DomainName, now: Instant) -> Leave {
        let _: (&DomainName, Instant) = (name, now);
        Leave::Granted
    }
    /// Whether held names may be withdrawn that the source has nothing of.
    fn unknown_released(&self, now: Instant) -> bool {
        let _: Instant = now;
        false
    }
    /// The stream is over; `names` are what it was subscribed to.
    fn ended(&mut self, names: Box<dyn Iterator<Item = DomainName> + Send>);
}

/// The part of the configuration that concerns one stream; see [`crate::XdsConfig`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) budget: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) max_wait: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) eviction_grace: Duration,
    pub(crate) removal_gap: Duration,
}

/// Something the source may want to know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A version arrived.
    Delivered(DomainName, Version),
    /// A version was refused.
    Rejected(DomainName, Version, String),
}

/// A name to ask the source about.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: Key,
    pub(crate) name: DomainName,
    /// A handshake waits for the answer.
    pub(crate) owed: bool,
    /// From comparing everything after a reconnect or resync: may take its time.
    pub(crate) unhurried: bool,
}

/// What will be sent for a name.
#[derive(Debug)]
enum Outgoing {
    Push(Arc<ServedCertificate>),
    Removal,
    /// A removal to keep the budget: what the source says does not matter, only the edge's asking.
    Eviction,
}

/// See the module's documentation.
pub(crate) struct Subscriptions<R: Registry> {
    limits: Limits,
    began: Instant,
    registry: R,
    table: Table,
    residents: Residents,
    sketch: Arc<Mutex<Sketch>>,
    timers: Timers,
    rejected: Rejected,
    in_flight: InFlight,
    outgoing: HashMap<u32, Outgoing>,
    interactive: Queue,
    removals: Queue,
    bulk: Queue,
    refusals: VecDeque<Bytes>,
    hurried: Queue,
    unhurried: Queue,
    /// Where comparing everything has got to.
    compared: Option<u32>,
    /// When evictions that had to wait are tried again.
    evict_at: Option<Instant>,
    turn: u32,
    /// Held names that the source has nothing of.
    unknown: usize,
    /// Held names that the brake keeps.
    held_back: usize,
    events: Vec<Event>,
    figures: Arc<Figures>,
}

impl<R: Registry> Subscriptions<R> {
    pub(crate) fn new(
        stream_id: u64,
        limits: Limits,
        registry: R,
        sketch: Arc<Mutex<Sketch>>,
        figures: Arc<Figures>,
        now: Instant,
    ) -> Self {
        Self {
            limits,
            began: now,
            registry,
            table: Table::default(),
            residents: Residents::new(limits.budget),
            sketch,
            timers: Timers::default(),
            rejected: Rejected::default(),
            in_flight: InFlight::new(stream_id),
            outgoing: HashMap::new(),
            interactive: Queue::default(),
            removals: Queue::default(),
            bulk: Queue::default(),
            refusals: VecDeque::new(),
            hurried: Queue::default(),
            unhurried: Queue::default(),
            compared: None,
            evict_at: None,
            turn: 0,
            unknown: 0,
            held_back: 0,
            events: Vec::new(),
            figures,
        }
    }

    /// The client asks for a name. `holds`: the version it says it has, in a stream's first
    /// request; such a name is answered only if something else is right.
    pub(crate) fn subscribe(&mut self, requested: &[u8], holds: Option<&[u8]>) {
        if let Some(slot) = self.table.find(requested) {
            if holds.is_none() {
                self.ask_again(slot);
            }
            return;
        }
        let Ok(text) = std::str::from_utf8(requested) else {
            tracing::debug!("a name that is not UTF-8 cannot be answered");
            return;
        };
        let Ok(name) = DomainName::parse(text) else { return self.refuse(requested) };
        let one_spelling_too_many =
            text != name.as_str() && self.table.spellings_of(&name) >= SPELLINGS_MAX;
        if one_spelling_too_many || self.table.len() >= self.limits.max_subscriptions {
            return self.refuse(requested);
        }
        let name = self.registry.added(name);
        let Some(slot) = self.table.insert(text, name) else { return self.refuse(requested) };
        match holds {
            Some(version) => self.restore(slot, Version::parse(version)),
            None => self.ask_again(slot),
        }
    }

    /// The client does not want a name any more. Unknown names are ignored: Envoy unsubscribes
    /// from refused names as well.
    pub(crate) fn unsubscribe(&mut self, requested: &[u8]) {
        let Some(slot) = self.table.find(requested) else { return };
        self.residents.leave(&mut self.table, slot);
        self.back(slot, Backing::Known);
        self.timers.clear(slot);
        self.outgoing.remove(&slot);
        let Some(gone) = self.table.remove(slot) else { return };
        if self.table.of_name(&gone.name).is_empty() {
            self.registry.gone(&gone.name);
        }
    }

    /// The name has been seen in requests.
    pub(crate) fn used(&mut self, name: &DomainName) {
        let mut sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests say more than a handshake does: seen in requests is never seen once.
        for _ in 0..BUSY_COUNT {
            sketch.see(name.as_str());
        }
        for slot in self.table.of_name(name) {
            self.residents.seen(&mut self.table, slot, |name| sketch.count(name));
        }
    }

    /// What has happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether further requests may be read.
    pub(crate) fn accepts_requests(&self) -> bool {
        self.refusals.len() < REFUSALS_MAX
    }

    /// Brings the figures others read up to date.
    pub(crate) fn publish_figures(&self) {
        self.figures.names.store(self.table.len(), Ordering::Relaxed);
        self.figures.resident.store(self.residents.len(), Ordering::Relaxed);
        self.figures.unknown.store(self.unknown, Ordering::Relaxed);
        self.figures.held_back.store(self.held_back, Ordering::Relaxed);
    }

    /// A name whose answer is owed from now on, and nothing is sure any more of what the client
    /// holds.
    fn ask_again(&mut self, slot: u32) {
        // Whatever was about to be sent, a removal above all, was decided before this.
        self.drop_outgoing(slot);
        self.back(slot, Backing::Known);
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.owed = true;
        entry.held = Version::NONE;
        self.sketch.lock().unwrap_or_else(PoisonError::into_inner).see(entry.name.as_str());
        self.open_question(slot, true);
    }

    /// A name the client brings with it.
    fn restore(&mut self, slot: u32, version: Version) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.held = version;
        }
        self.enter(slot);
        self.open_question(slot, false);
    }

    /// The edge holds a certificate for the name.
    fn enter(&mut self, slot: u32) {
        self.residents.enter(&mut self.table, slot);
        let sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.table.get(slot) else { return };
        if sketch.count(entry.name.as_str()) >= BUSY_COUNT {
            self.residents.seen(&mut self.table, slot, |name| sketch.count(name));
        }
    }

    /// The edge holds this certificate, or is sent it.
    fn rank(&mut self, slot: u32, certificate: &ServedCertificate) {
        let Some(entry) = self.table.get(slot) else { return };
        let importance = certificate.importance_for(&entry.name);
        self.residents.rank(&mut self.table, slot, importance);
    }

    /// Notes how a held certificate stands with the source, and keeps count.
    fn back(&mut self, slot: u32, backing: Backing) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        match std::mem::replace(&mut entry.backing, backing) {
            Backing::Known => {}
            Backing::Unknown => self.unknown -= 1,
            Backing::HeldBack => self.held_back -= 1,
        }
        match backing {
            Backing::Known => {}
            Backing::Unknown => self.unknown += 1,
            Backing::HeldBack => self.held_back += 1,
        }
    }

    fn refuse(&mut self, requested: &[u8]) {
        self.refusals.push_back(Bytes::copy_from_slice(requested));
    }

    fn open_question(&mut self, slot: u32, hurried: bool) {
        let Some(key) = self.table.key(slot) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        match entry.question {
            QuestionState::Settled => entry.question = QuestionState::Open,
            QuestionState::Open if hurried => {}
            QuestionState::Open | QuestionState::AskedStale => return,
            QuestionState::Asked => {
                entry.question = QuestionState::AskedStale;
                return;
            }
        }
        let table = &self.table;
        let valid = |key: Key| {
            let entry = table.live(key).and_then(|slot| table.get(slot));
            entry.is_some_and(|entry| entry.question == QuestionState::Open)
        };
        let queue = if hurried { &mut self.hurried } else { &mut self.unhurried };
        queue.push(key, valid);
    }

    /// The tick that ends next; never 0, which stands for never.
    fn ticks(&self, now: Instant) -> u32 {
        let ticks = now.saturating_duration_since(self.began).as_millis() / TICK.as_millis();
        u32::try_from(ticks + 1).unwrap_or(u32::MAX)
    }
}

impl<R: Registry> Drop for Subscriptions<R> {
    fn drop(&mut self) {
        self.registry.ended(Box::new(std::mem::take(&mut self.table).into_names()));
    }
}
