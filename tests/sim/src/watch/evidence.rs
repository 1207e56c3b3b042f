//! INV-26: parking and erasing need repeated evidence.

use std::collections::HashMap;
use std::sync::Mutex;

use sealwax_core::permission::Verdict;
use sealwax_core::store::{CertificateChange, Change};
use sealwax_core::{Cause, DomainRecord, Span, Work};
use sealwax_protocol::DomainName;

use crate::plan::{DAY, HOUR, MINUTE, Trouble};
use crate::world::World;

/// Answers it takes to park a name, and again as many to erase its certificate.
const ANSWERS: usize = 3;
/// Over so long.
const OVER: Span = HOUR;
/// The answer that precedes an erasure is no older than this.
const FRESH: Span = MINUTE.scale(10, 1);

/// When the platform said that a name has left, since it last said something else.
#[derive(Debug, Default)]
pub(crate) struct Evidence(Mutex<HashMap<DomainName, Vec<Span>>>);

impl Evidence {
    /// The platform answered.
    pub(crate) fn heard(&self, world: &World, domain: &DomainName, verdict: &Verdict) {
        let mut all = self.0.lock().unwrap();
        let gone = all.entry(domain.clone()).or_default();
        match verdict {
            Verdict::Gone => gone.push(world.time.passed()),
            Verdict::Granted | Verdict::Denied => gone.clear(),
            Verdict::Unknown { .. } => {}
        }
    }

    /// There is some.
    pub(crate) fn any(&self, domain: &DomainName) -> bool {
        self.0.lock().unwrap().get(domain).is_some_and(|gone| !gone.is_empty())
    }

    /// A replica wrote.
    pub(crate) fn wrote(&self, world: &World, before: Option<&DomainRecord>, change: &Change) {
        let record = &change.record;
        let parks = matches!(record.work, Work::Parked)
            && before.is_some_and(|before| !matches!(before.work, Work::Parked))
            && record.failure.as_ref().is_some_and(|failure| failure.cause == Cause::PlatformGone);
        let erases = matches!(change.certificate, CertificateChange::Remove) && !record.removed;
        if parks {
            self.check_parked(world, record);
        }
        if erases {
            self.check_erased(world, &record.domain);
        }
    }

    fn check_parked(&self, world: &World, record: &DomainRecord) {
        let domain = &record.domain;
        let all = self.0.lock().unwrap();
        let gone = all.get(domain).map_or(&[][..], Vec::as_slice);
        let over = match (gone.first(), gone.last()) {
            (Some(first), Some(last)) => last.less(*first),
            _ => Span::ZERO,
        };
        // A clock that is off, by a day at most, makes an hour of what was none; it makes no
        // answers.
        let off = world.plan.lately(Trouble::ClockOff, DAY, world.time.passed());
        let enough = gone.len() >= ANSWERS && (over >= OVER || off);
        let said = format!("{} answers in {} s", gone.len(), over.secs());
        drop(all);
        let now = world.time.now();
        if !enough {
            world.watch.broken("INV-26", &format!("{domain}: parked at {now} on {said}"));
        }
        if record.certificate.is_some() && !world.has_left(domain) {
            let how = format!("{domain}: parked at {now} on {said}, and it had not left");
            world.watch.broken("INV-26", &how);
        }
    }

    fn check_erased(&self, world: &World, domain: &DomainName) {
        let passed = world.time.passed();
        let all = self.0.lock().unwrap();
        let gone = all.get(domain).map_or(&[][..], Vec::as_slice);
        let asked = gone.last().is_some_and(|last| passed.less(*last) <= FRESH);
        let answers = gone.len();
        drop(all);
        let now = world.time.now();
        if !asked || answers < 2 * ANSWERS {
            let how = format!("{domain}: erased at {now} on {answers} answers, fresh: {asked}");
            world.watch.broken("INV-26", &how);
        }
    }
}
