//! The invariants, checked at each event. Their numbers are those of docs/invariants.md.

mod evidence;
mod notices;
mod outages;
mod pace;
mod tokens;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use sealwax_core::certificate::{CertificateSource, verify};
use sealwax_core::secret::SealPlace;
use sealwax_core::store::{CertificateChange, Change};
use sealwax_core::{DomainRecord, Span, Work};
use sealwax_protocol::DomainName;

use crate::ca::order_url;
use crate::keys::PlainSealer;
use crate::plan::{HOUR, Trouble};
use crate::replica::Life;
use crate::world::World;

use self::evidence::Evidence;
use self::notices::Notices;
use self::pace::Pace;
use self::tokens::Tokens;

/// The longest a failing name may be left alone: the daily schedule with its spread and what the
/// CA asked for at most, or the 34 hours after which Let's Encrypt issues once more for a name
/// that had five certificates in a week, counted with a clock that is a day off.
const PATIENCE: Span = HOUR.scale(60, 1);

/// The longest a write takes that others come before, again and again, and one of whose answers was
/// held back (`Strike::Hold`, four minutes at most) on the way.
const WRITE: Span = Span::from_secs(260);

/// How long what a storm did to a run can show.
pub(crate) const RUN: Span = Span::from_secs(900);

/// Sees everything, and remembers what should not have been.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
    pub(crate) pace: Pace,
    pub(crate) tokens: Tokens,
    pub(crate) evidence: Evidence,
    pub(crate) notices: Notices,
}

#[derive(Debug, Default)]
struct Seen {
    broken: Vec<String>,
    /// The platform's last word.
    granted: HashMap<DomainName, bool>,
    /// A fault came between a process and what it knows about a name.
    disturbed: HashSet<(u32, DomainName)>,
    /// Since when a lease is as it is.
    leases: HashMap<DomainName, Span>,
    expired: HashSet<String>,
    /// Whose last validation failed, here or in staging.
    failing: HashSet<DomainName>,
    /// Processes whose last request to staging failed.
    without_staging: HashSet<u32>,
}

impl Watch {
    /// An invariant does not hold: which one, and what happened to whom.
    pub(crate) fn broken(&self, invariant: &str, how: &str) {
        let mut seen = self.seen.lock().unwrap();
        seen.broken.push(format!("{invariant}: {how}"));
    }

    pub(crate) fn all_broken(&self) -> Vec<String> {
        self.seen.lock().unwrap().broken.clone()
    }

    /// A record is written for ever: nothing else is to be seen in this run.
    pub(crate) fn is_over(&self) -> bool {
        self.seen.lock().unwrap().broken.iter().any(|how| how.starts_with("INV-22"))
    }

    /// The platform said yes, or no.
    pub(crate) fn permission(&self, domain: &DomainName, granted: bool) {
        self.seen.lock().unwrap().granted.insert(domain.clone(), granted);
    }

    pub(crate) fn order_placed(&self, world: &World, domain: &DomainName) {
        let granted = self.seen.lock().unwrap().granted.get(domain).copied();
        // The platform's last word may have been written to the other store.
        if granted != Some(true) && !world.is_store_new() {
            self.broken("INV-7", &format!("{domain}: ordered without the platform's consent"));
        }
    }

    /// A validation came to an end, in production or in staging.
    pub(crate) fn validated(&self, domain: &DomainName, succeeded: bool) {
        let failing = &mut self.seen.lock().unwrap().failing;
        if succeeded {
            failing.remove(domain);
        } else {
            failing.insert(domain.clone());
        }
    }

    /// A trial's order ran out before its validation: there was something in the way.
    pub(crate) fn lapsed(&self, domain: &DomainName) {
        self.seen.lock().unwrap().failing.remove(domain);
    }

    /// What this process last heard of staging.
    pub(crate) fn staging_is(&self, instance: u32, well: bool) {
        let without = &mut self.seen.lock().unwrap().without_staging;
        if well {
            without.remove(&instance);
        } else {
            without.insert(instance);
        }
    }

    /// What failed is ordered only after a trial that succeeded, or that could not be made.
    pub(crate) fn check_tried(&self, world: &World, instance: u32, domain: &DomainName) {
        let failing = self.seen.lock().unwrap().failing.contains(domain);
        let judged = world.plan.staging && !world.is_store_new();
        if judged && failing && !self.is_disturbed(instance, domain) {
            self.broken("INV-19", &format!("{domain}: ordered after a failure, without a trial"));
        }
    }

    /// A trial is given up only when something is wrong with staging, or with the process.
    fn check_skipped(&self, world: &World, life: &Life, change: &Change) {
        if !change.events.iter().any(|event| event.kind == "trial.impossible") {
            return;
        }
        let domain = &change.record.domain;
        let plan = &world.plan;
        let lately = |trouble| plan.lately(trouble, RUN, world.time.passed());
        let struck = plan.blow.is_some()
            || [Trouble::Storm, Trouble::StoreLost, Trouble::StoreDown].into_iter().any(lately);
        let mut seen = self.seen.lock().unwrap();
        let without = seen.without_staging.contains(&life.instance);
        // What succeeded before a crash is found as an order that is over.
        if seen.failing.remove(domain) && !struck && !without {
            let how = format!("INV-19: {domain}: not tried, and nothing was in the way");
            seen.broken.push(how);
        }
    }

    /// What this process believes of the name may be wrong from now on.
    pub(crate) fn disturb(&self, instance: u32, domain: &DomainName) {
        self.seen.lock().unwrap().disturbed.insert((instance, domain.clone()));
    }

    /// Nothing that a process knows is certain: the store is another one, which knows nothing of
    /// the last failures.
    pub(crate) fn store_changed(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.leases.clear();
        seen.failing.clear();
        drop(seen);
        self.tokens.lose_count();
    }

    pub(crate) fn is_disturbed(&self, instance: u32, domain: &DomainName) -> bool {
        self.seen.lock().unwrap().disturbed.contains(&(instance, domain.clone()))
    }

    /// A lease was written by someone who is no replica.
    pub(crate) fn leased(&self, world: &World, domain: &DomainName) {
        self.seen.lock().unwrap().leases.insert(domain.clone(), world.time.passed());
    }

    /// A replica's write was done.
    pub(crate) fn wrote(
        &self,
        world: &World,
        life: &Life,
        before: Option<&DomainRecord>,
        change: &Change,
    ) {
        let record = &change.record;
        let domain = &record.domain;
        if let Some(before) = before {
            self.check_lease(world, life, before, record);
        }
        self.pace.wrote(world, before, record);
        self.evidence.wrote(world, before, change);
        self.notices.wrote(world, before, change);
        // A campaign's mark and a notice change nothing about a name that waits, or is due just now.
        let kept = before.is_some_and(|before| {
            let told = before.replacing != record.replacing || before.outbox != record.outbox;
            told && before.failure == record.failure
        });
        // What a process that stops has in hand is due at once, be there a failure from before.
        let handed_over = life.is_stopping()
            && record.work.in_flight()
            && before.is_some_and(|before| before.failure == record.failure);
        if !kept && !handed_over {
            self.check_schedule(before, record);
        }
        self.check_skipped(world, life, change);
        world.asked.wrote(world, before, record);
        if let CertificateChange::Replace(stored) = &change.certificate {
            self.check_served(world, record, stored);
        }
        if let Some(url) = order_url(&record.work) {
            world.ca.remembered(url);
        }
        let mut seen = self.seen.lock().unwrap();
        seen.disturbed.remove(&(life.instance, domain.clone()));
        if record.lease.is_some() {
            seen.leases.insert(domain.clone(), world.time.passed());
        }
    }

    fn check_lease(
        &self,
        world: &World,
        life: &Life,
        before: &DomainRecord,
        record: &DomainRecord,
    ) {
        let domain = &record.domain;
        if world.is_store_new() {
            return;
        }
        if record.fence < before.fence {
            self.broken("INV-14", &format!("{domain}: written with a stale fence"));
        }
        let Some(other) = before.lease.as_ref().filter(|lease| lease.holder != life.holder())
        else {
            return;
        };
        let mine = record.lease.as_ref().is_some_and(|lease| lease.holder == life.holder());
        if !mine || record.fence != before.fence + 1 {
            let who = &other.holder;
            self.broken("INV-14", &format!("{domain}: written under the lease of {who}"));
        }
        let since = self.seen.lock().unwrap().leases.get(domain).copied().unwrap_or(Span::ZERO);
        let silent = world.time.passed().less(since);
        if silent < other.duration && !world.plan.exclusive {
            let after = silent.millis();
            self.broken("INV-6", &format!("{domain}: taken over after {after} ms of silence"));
        }
    }

    fn check_schedule(&self, before: Option<&DomainRecord>, record: &DomainRecord) {
        let domain = &record.domain;
        let idle_without_reason = matches!(record.work, Work::Idle | Work::Parked)
            && record.failure.is_none()
            && record.certificate.is_none();
        if matches!(record.work, Work::Parked) {
            if record.failure.is_none() {
                self.broken("INV-3", &format!("{domain}: parked without a reason"));
            }
        } else if record.wake_at().is_none() && !idle_without_reason {
            self.broken("INV-3", &format!("{domain}: nothing will ever look at it"));
        } else if matches!(record.work, Work::Wanted { .. }) {
            // Tried now: it comes from a trial.
        } else if let Some(failure) = record.failure.as_ref().filter(|_| record.lease.is_none()) {
            let now = record.updated_at;
            // A write that others came before is made on top of theirs, and says when they wrote:
            // the shortest wait, of five seconds, may be over by then.
            let on_top = before.is_some_and(|before| before.updated_at == now);
            let slow = if on_top { WRITE } else { Span::ZERO };
            let at = failure.next_attempt_at.map(|at| at + slow);
            if at.is_none_or(|at| at <= now || at.since(now) > PATIENCE) {
                self.broken("INV-3", &format!("{domain}: next attempt {at:?}, it is {now}"));
            }
        }
    }

    fn check_served(
        &self,
        world: &World,
        record: &DomainRecord,
        stored: &sealwax_core::store::StoredCertificate,
    ) {
        let domain = &record.domain;
        let now = world.time.now();
        let key = PlainSealer::opened(SealPlace::Certificate(domain.as_str()), &stored.key);
        let Some(key) = key else {
            self.broken("INV-8", &format!("{domain}: its key does not open"));
            return;
        };
        match verify(&stored.chain, &key, domain, now, CertificateSource::Acme) {
            Err(error) => self.broken("INV-8", &format!("{domain}: {error}")),
            Ok(facts) => {
                let said = record.certificate.as_ref().map(|held| &held.fingerprint_sha256);
                if said != Some(&facts.fingerprint_sha256) {
                    self.broken("INV-8", &format!("{domain}: the record is of another one"));
                }
            }
        }
    }

    /// Nothing expires while its CA was up for the last third of its life.
    pub(crate) fn check_expiry(&self, world: &World) {
        let now = world.time.now();
        for domain in &world.domains {
            let expired = world.with_record(domain, |record| {
                record.certificate.as_ref().filter(|held| held.not_after <= now).cloned()
            });
            let Some(held) = expired.flatten().filter(|_| !world.has_left(domain)) else {
                continue;
            };
            let end = held.not_after.since(crate::time::START);
            let from = end.less(held.lifetime().scale(1, 3));
            let judged = !world.plan.troubled(from, end);
            let new = self.seen.lock().unwrap().expired.insert(held.fingerprint_sha256.clone());
            if judged && new {
                let at = held.not_after;
                self.broken("INV-15", &format!("{domain}: expired at {at}, untroubled"));
            }
        }
    }

    /// A process stopped because it was told to: what it was at is at rest, and remembered.
    pub(crate) fn check_stopped(&self, world: &World, life: &Life) {
        let lately = |trouble| world.plan.lately(trouble, RUN, world.time.passed());
        if [Trouble::Storm, Trouble::StoreDown, Trouble::StoreLost].into_iter().any(lately) {
            return;
        }
        for domain in &world.domains {
            let mine = world.with_record(domain, |record| {
                record.lease.as_ref().is_some_and(|lease| lease.holder == life.holder())
            });
            if mine == Some(true) {
                let (instance, now) = (life.instance, world.time.now());
                let how = format!("{domain}: process {instance} stopped at {now} and holds it");
                self.broken("INV-4", &how);
            }
        }
    }

    /// After the last trouble, everything has come to where it belongs.
    pub(crate) fn check_end(&self, world: &World) {
        let now = world.time.now();
        for domain in &world.domains {
            let record = world.record(domain).unwrap();
            let valid = record.certificate.as_ref().is_some_and(|held| held.valid_at(now));
            if world.has_left(domain) && !matches!(record.work, Work::Parked) {
                let (work, failure) = (&record.work, &record.failure);
                let how = format!("{domain}: left, and is not parked: {work:?} {failure:?}");
                self.broken("INV-26", &how);
            } else if world.is_broken(domain) {
                if record.failure.is_none() || valid {
                    self.broken("INV-3", &format!("{domain}: broken, and nobody knows"));
                }
            } else if !valid && !world.has_left(domain) {
                let (work, failure) = (&record.work, &record.failure);
                let how = format!("{domain}: no certificate at the end: {work:?} {failure:?}");
                self.broken("INV-16", &how);
            }
        }
    }
}
