//! What outlives every process: time, the store, the CA, the platform, and the watch over them.

mod operator;
mod shelf;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use sealwax_core::record::Registration;
use sealwax_core::store::{Change, Entry, Expected, RecordVersion, Store as _, StoreError};
use sealwax_core::{Departure, DomainRecord, Span, Timestamp, Work};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_simulation::Dice;
use sealwax_store::memory::MemoryStore;
use tokio::sync::Notify;

use crate::ca::Ca;
use crate::campaign::Asked;
use crate::effects::{Counter, Effect};
use crate::plan::{DAY, HOUR, Plan};
use crate::replica::Life;
use crate::staging::Staging;
use crate::time::{Time, Wall};
use crate::watch::Watch;

use self::shelf::Shelf;

/// The world of a run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) time: Time,
    pub(crate) ca: Ca,
    pub(crate) staging: Staging,
    pub(crate) watch: Watch,
    pub(crate) asked: Asked,
    pub(crate) effects: Counter,
    /// In order, then the broken ones.
    pub(crate) domains: Vec<DomainName>,
    /// The store, and what is in it.
    shelf: Mutex<Shelf>,
    draws: Mutex<HashMap<(String, String), u64>>,
    /// A process heard that a name may have left.
    doubts: Notify,
    notes: Mutex<Vec<String>>,
    digest: Mutex<u64>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let time = Time::begin();
        let clock = Arc::new(Wall::of(&time));
        let store =
            if plan.exclusive { MemoryStore::exclusive(clock) } else { MemoryStore::new(clock) };
        let names = (0..plan.domains + plan.broken)
            .map(|number| DomainName::parse(&format!("www.shop{number}.com")).unwrap());
        Self {
            domains: names.collect(),
            ca: Ca::new(),
            staging: Staging::default(),
            plan,
            time,
            watch: Watch::default(),
            asked: Asked::default(),
            effects: Counter::default(),
            shelf: Mutex::new(Shelf::of(store)),
            draws: Mutex::default(),
            doubts: Notify::new(),
            notes: Mutex::default(),
            digest: Mutex::default(),
        }
    }

    pub(crate) fn register_all(&self) {
        for domain in &self.domains {
            let registration = Registration::default();
            let record = DomainRecord::registered(domain.clone(), registration, self.time.now());
            self.put(Change::of(record, Expected::Absent)).unwrap();
        }
    }

    /// Randomness for one effect: what the others draw changes nothing in it.
    pub(crate) fn dice(&self, purpose: &str, of: &str) -> Dice {
        let key = (purpose.to_owned(), of.to_owned());
        let mut draws = self.draws.lock().unwrap();
        let drawn = draws.entry(key).or_default();
        *drawn += 1;
        Dice::of(self.plan.seed, &format!("{purpose}/{of}/{drawn}"))
    }

    pub(crate) fn number(&self, domain: &DomainName) -> usize {
        self.domains.iter().position(|known| known == domain).expect("a registered name")
    }

    pub(crate) fn is_broken(&self, domain: &DomainName) -> bool {
        let mended = self.plan.mended.is_some_and(|at| at <= self.time.passed());
        self.number(domain) >= self.plan.domains && !mended
    }

    /// The platform let this name go: the first one, half-way, and perhaps not for good.
    pub(crate) fn has_left(&self, domain: &DomainName) -> bool {
        let (plan, now) = (&self.plan, self.time.passed());
        let back = plan.returns.is_some_and(|at| at <= now);
        plan.one_leaves && self.number(domain) == 0 && now >= plan.life && !back
    }

    /// The platform says that it has left, and is asked about it again before it is parked, or
    /// before its certificate is erased. After that only visits ask, at their own rare times.
    pub(crate) fn is_doubted(&self, domain: &DomainName) -> bool {
        let now = self.time.now();
        let doubted = |record: &DomainRecord| {
            let lately = |departure: Departure| now < departure.last_at + HOUR.scale(2, 1);
            let erased = record.erase_at.is_some_and(|at| at <= now + HOUR);
            let parked = record.work == Work::Parked;
            (!parked && record.departure.is_some_and(lately)) || erased
        };
        self.with_record(domain, doubted) == Some(true)
    }

    pub(crate) fn entry(&self, domain: &DomainName) -> Option<Entry> {
        let names = std::slice::from_ref(domain);
        self.store().load(names).now_or_never().unwrap().unwrap().remove(0)
    }

    /// The record as it was last written.
    pub(crate) fn record(&self, domain: &DomainName) -> Option<DomainRecord> {
        self.with_record(domain, Clone::clone)
    }

    /// What is asked of the record, without a copy of it.
    pub(crate) fn with_record<T>(
        &self,
        domain: &DomainName,
        ask: impl FnOnce(&DomainRecord) -> T,
    ) -> Option<T> {
        self.shelf.lock().unwrap().records.get(domain).map(ask)
    }

    pub(crate) fn wrote(&self, record: &DomainRecord) {
        let doubted = self.is_doubted(&record.domain);
        self.shelf.lock().unwrap().records.insert(record.domain.clone(), record.clone());
        if !doubted && self.is_doubted(&record.domain) {
            self.doubts.notify_one();
        }
    }

    /// Until a process heard that a name may have left: the sweeps must pass more often at once,
    /// or all that it is asked again would be too long after.
    pub(crate) async fn doubted(&self) {
        self.doubts.notified().await;
        self.time.pass(Span::ZERO, 0).await;
    }

    pub(crate) fn challenge(&self, token: &ChallengeToken) -> Option<String> {
        let found = self.store().challenge(token).now_or_never().unwrap().unwrap();
        found.map(|challenge| challenge.key_authorization)
    }

    /// When the CA wants the certificate with this ARI identifier renewed: around 2/3 of its life,
    /// 1/2 below ten days.
    pub(crate) fn window(&self, ari_id: &str) -> Option<(Timestamp, Timestamp)> {
        let shelf = self.shelf.lock().unwrap();
        let mut held = shelf.records.values().filter_map(|record| record.certificate.as_ref());
        let held = held.find(|held| held.ari_id.as_deref() == Some(ari_id))?;
        let life = held.lifetime();
        let share = if life < DAY.scale(10, 1) { life.scale(1, 2) } else { life.scale(2, 3) };
        let (middle, half) = (held.not_before + share, life.scale(1, 90));
        Some((middle - half, middle + half))
    }

    /// A write that does not come from a replica.
    pub(crate) fn put(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let record = change.record.clone();
        let written = self.store().write(change).now_or_never().unwrap();
        if written.is_ok() {
            self.wrote(&record);
        }
        written
    }

    pub(crate) fn kill(&self, life: &Life) {
        if life.end() {
            self.note(&format!("replica {} dies", life.instance));
            self.ca.died(life.instance);
            self.watch.tokens.died(life.instance, self.domains.len());
            for domain in &self.domains {
                self.watch.pace.outside(self, domain);
            }
        }
    }

    /// Remembers what was done to the run, for whoever reads why it failed.
    pub(crate) fn note(&self, what: &str) {
        self.notes.lock().unwrap().push(format!("{} {what}", self.time.now()));
    }

    /// Goes into what two runs of one seed are compared by.
    pub(crate) fn digest(&self, effect: Effect, domain: &DomainName, instance: u32) {
        if self.plan.traced {
            self.note(&format!("{effect:?} of {instance} for {domain}"));
        }
        let mut digest = self.digest.lock().unwrap();
        let what = format!("{} {effect:?} {domain}", self.time.passed().millis());
        *digest = Dice::of(*digest, &what).roll();
    }

    pub(crate) fn digested(&self) -> u64 {
        *self.digest.lock().unwrap()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}
