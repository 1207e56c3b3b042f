//! INV-22: no record is written more often than a stated rate without an outside event.
//!
//! Sixty writes at once and one more each minute; the renewals of a lease, by which a process
//! says that it lives, are counted apart: twelve at once and one more each five seconds. An event
//! from outside (an operator, a fault that strikes, the begin and the end of an outage) is worth
//! twenty, a visit six.

use std::collections::HashMap;
use std::sync::Mutex;

use sealwax_core::{DomainRecord, Span};
use sealwax_protocol::DomainName;

use crate::plan::MINUTE;
use crate::world::World;

const WRITES: Rate = Rate { at_once: 60, each: MINUTE };
const RENEWALS: Rate = Rate { at_once: 12, each: Span::from_secs(5) };
const OUTSIDE: u64 = 20;
const VISIT: u64 = 6;

/// How often each record was written.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<HashMap<DomainName, Written>>);

#[derive(Debug, Default)]
struct Written {
    writes: Level,
    renewals: Level,
    told: bool,
}

struct Rate {
    at_once: u64,
    each: Span,
}

/// What is used of a rate: in milliseconds, so that nothing is lost to rounding.
#[derive(Debug, Default)]
struct Level {
    used: u64,
    at: Span,
}

impl Level {
    /// True: that was too much.
    fn take(&mut self, rate: &Rate, now: Span) -> bool {
        self.used = self.used.saturating_sub(now.less(self.at).millis());
        self.at = now;
        self.used += rate.each.millis();
        self.used > rate.at_once * rate.each.millis()
    }
}

impl Pace {
    /// A replica wrote.
    pub(crate) fn wrote(
        &self,
        world: &World,
        before: Option<&DomainRecord>,
        record: &DomainRecord,
    ) {
        let now = world.time.passed();
        let mut all = self.0.lock().unwrap();
        let written = all.entry(record.domain.clone()).or_default();
        let renewal = before.is_some_and(|before| is_renewal(before, record));
        let too_often = if renewal {
            written.renewals.take(&RENEWALS, now)
        } else {
            written.writes.take(&WRITES, now)
        };
        if too_often && !written.told {
            written.told = true;
            let (domain, work, failure) = (&record.domain, &record.work, &record.failure);
            let what = if renewal { "its lease renewed" } else { "written" };
            let how = format!(
                "{domain}: {what} too often, nothing new came from outside; at {} it is {work:?}, {failure:?}",
                world.time.now()
            );
            world.watch.broken("INV-22", &how);
        }
    }

    /// Something came from outside.
    pub(crate) fn outside(&self, world: &World, domain: &DomainName) {
        self.give(world, domain, OUTSIDE);
    }

    /// Somebody visits the name.
    pub(crate) fn visited(&self, world: &World, domain: &DomainName) {
        self.give(world, domain, VISIT);
    }

    fn give(&self, world: &World, domain: &DomainName, worth: u64) {
        let now = world.time.passed();
        let mut all = self.0.lock().unwrap();
        let writes = &mut all.entry(domain.clone()).or_default().writes;
        writes.used = writes.used.saturating_sub(now.less(writes.at).millis());
        writes.used = writes.used.saturating_sub(worth * WRITES.each.millis());
        writes.at = now;
    }
}

fn is_renewal(before: &DomainRecord, record: &DomainRecord) -> bool {
    let (Some(old), Some(new)) = (&before.lease, &record.lease) else { return false };
    let same = DomainRecord {
        lease: before.lease.clone(),
        updated_at: before.updated_at,
        ..record.clone()
    };
    old.holder == new.holder && same == *before
}
