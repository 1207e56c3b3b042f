//! Telling the platform what happened: notices wait in the domain's record until they are
//! delivered, so that a crash loses none.

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::clock::Jitter;
use crate::failure::bounded_detail;
use crate::record::DomainRecord;
use crate::store::LifecycleEvent;
use crate::timestamp::{Span, Timestamp};

/// Most notices a record keeps; the oldest is dropped for a new one.
pub const NOTICES_MAX: usize = 16;
/// How long other replicas leave a new notice to the process that wrote it.
const FIRST_GRACE: Span = Span::from_secs(15);
/// Waits after the 1st, 2nd, … failed delivery. After the last one the notice is dropped: two
/// days and a half in all.
const WAITS: [Span; 8] = [
    Span::from_secs(10),
    Span::from_secs(60),
    Span::from_secs(600),
    Span::from_secs(3_600),
    Span::from_secs(6 * 3_600),
    Span::from_secs(12 * 3_600),
    Span::from_secs(16 * 3_600),
    Span::from_secs(24 * 3_600),
];
/// Shortest wait when there was no free place to deliver at all.
const BUSY_WAIT: Span = Span::from_secs(20);
/// And the longest one, where nobody says when there will be one: half of the time the notice
/// has waited already, or a record is written every minute for as long as that lasts.
const BUSY_WAIT_MAX: Span = Span::from_secs(600);
/// How old a notice gets that is hardly ever tried, because its receiver fails at all others: as
/// old as one that is tried all the time.
const LIFE: Span = Span::from_secs(60 * 3_600);

/// One event for one endpoint, not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names the event for its receiver: the same at each delivery.
    pub id: String,
    /// Whom it is for, as [`Notifier::receivers`] named them.
    pub to: String,
    /// It waits while an earlier one for the same receiver does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_order: bool,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// What was seen, bounded.
    pub detail: String,
    /// Failed deliveries.
    pub attempts: u32,
    /// When it is delivered next.
    pub next_at: Timestamp,
}

impl Notice {
    /// Nobody tried it yet: whoever wrote it delivers it at once.
    pub(crate) fn is_fresh(&self) -> bool {
        self.attempts == 0 && self.next_at == self.at + FIRST_GRACE
    }
}

/// Someone who wants to hear of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Stands for it in records.
    pub name: String,
    /// It keeps the order of what it gets, so a domain's notices are delivered one after the
    /// other.
    pub in_order: bool,
}

impl Receiver {
    /// One that takes a domain's notices in any order.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), in_order: false }
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Done,
    /// Not delivered; try again.
    Failed {
        /// What was seen.
        detail: String,
    },
    /// Not even tried: too much is being delivered, or the receiver failed just now.
    Busy {
        /// When a try is worth it, if that is known.
        until: Option<Timestamp>,
        /// What keeps it.
        detail: String,
    },
    /// There is no such receiver any more.
    NoReceiver,
}

/// Delivers notices.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Who wants to hear of events of this kind.
    fn receivers(&self, kind: &str) -> Vec<Receiver>;

    /// Delivers a notice, with the record as it is now. Bounded in time by the implementation.
    async fn deliver(&self, notice: &Notice, record: &DomainRecord) -> Delivery;
}

/// Nobody wants to hear of anything.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

#[async_trait]
impl Notifier for Nobody {
    fn receivers(&self, _kind: &str) -> Vec<Receiver> {
        Vec::new()
    }

    async fn deliver(&self, _notice: &Notice, _record: &DomainRecord) -> Delivery {
        Delivery::NoReceiver
    }
}

/// Puts events into the record's outbox, one notice for each receiver, for a writer that delivers
/// them itself as soon as they are written. What no longer fits is dropped, oldest first, and
/// returned.
pub fn enqueue(
    record: &mut DomainRecord,
    events: &[LifecycleEvent],
    notifier: &dyn Notifier,
) -> Vec<Notice> {
    put(record, events, notifier, FIRST_GRACE)
}

/// As [`enqueue`], for a writer that delivers nothing: whoever looks at the store next does.
pub fn leave(
    record: &mut DomainRecord,
    events: &[LifecycleEvent],
    notifier: &dyn Notifier,
) -> Vec<Notice> {
    put(record, events, notifier, Span::ZERO)
}

fn put(
    record: &mut DomainRecord,
    events: &[LifecycleEvent],
    notifier: &dyn Notifier,
    grace: Span,
) -> Vec<Notice> {
    for event in events {
        for to in notifier.receivers(&event.kind) {
            record.outbox.push(Notice {
                id: notice_id(record, event, &to.name),
                to: to.name,
                in_order: to.in_order,
                kind: event.kind.clone(),
                at: event.at,
                detail: bounded_detail(&event.detail),
                attempts: 0,
                next_at: event.at + grace,
            });
        }
    }
    let excess = record.outbox.len().saturating_sub(NOTICES_MAX);
    record.outbox.drain(..excess).collect()
}

/// The same event has the same name for all its receivers' deliveries; another never has.
fn notice_id(record: &DomainRecord, event: &LifecycleEvent, to: &str) -> String {
    use std::fmt::Write as _;
    let at = event.at.millis();
    let text = format!("{}|{}|{at}|{}|{to}", record.domain, event.kind, record.created_at.millis());
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().take(16).fold("msg_".to_owned(), |mut id, byte| {
        // Writing to a String cannot fail.
        if write!(id, "{byte:02x}").is_err() {
            id.clear();
        }
        id
    })
}

/// The notices that are delivered when their time comes. One that keeps the order is not among
/// them while an earlier one for its receiver waits.
pub(crate) fn in_turn(outbox: &[Notice]) -> impl Iterator<Item = &Notice> {
    let behind = |at: usize, notice: &Notice| {
        notice.in_order && outbox.iter().take(at).any(|earlier| earlier.to == notice.to)
    };
    let turns = outbox.iter().enumerate().filter(move |(at, notice)| !behind(*at, notice));
    turns.map(|(_, notice)| notice)
}

/// The outbox after a delivery, and the notice if it was given up. What stays keeps its place:
/// the outbox is in the order of what happened. A receiver that takes nothing now takes none of
/// the record's other notices either: they wait as long, with one write for all of them.
#[must_use]
pub fn delivered(
    mut record: DomainRecord,
    id: &str,
    outcome: &Delivery,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> (DomainRecord, Option<Notice>) {
    let Some(at) = record.outbox.iter().position(|notice| notice.id == id) else {
        return (record, None);
    };
    let mut notice = record.outbox.remove(at);
    let wait = match outcome {
        Delivery::Done | Delivery::NoReceiver => return (record, None),
        Delivery::Busy { .. } if notice.at + LIFE <= now => None,
        Delivery::Busy { until, .. } => {
            let until = until.map_or(Span::ZERO, |until| until.since(now));
            let grown = now.since(notice.at).scale(1, 2).min(BUSY_WAIT_MAX);
            Some(until.max(grown).max(BUSY_WAIT))
        }
        Delivery::Failed { .. } => {
            let wait = usize::try_from(notice.attempts).ok().and_then(|tried| WAITS.get(tried));
            notice.attempts = notice.attempts.saturating_add(1);
            wait.copied()
        }
    };
    let Some(wait) = wait else { return (record, Some(notice)) };
    notice.next_at = now + wait + wait.scale(jitter.permille().min(1000), 4_000);
    if matches!(outcome, Delivery::Busy { .. }) {
        let others = record.outbox.iter_mut().filter(|other| other.to == notice.to);
        others.for_each(|other| other.next_at = other.next_at.max(notice.next_at));
    }
    record.outbox.insert(at, notice);
    (record, None)
}

#[cfg(test)]
mod tests;
