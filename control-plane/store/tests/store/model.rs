//! Random sequences of operations leave a real store and the one in memory in the same state.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::backends::Folder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealwax_core::record::{DomainRecord, DomainState, Work};
use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, Expected, RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Registration, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_store::conformance::{
    ManualClock, START, certificate, challenge, domain, event, record, token,
};
use sealwax_store::memory::MemoryStore;
use sealwax_store::wire::{Wire, WireFault};
use sealwax_store::{Pace, SharedEngine, Timeouts};

/// Sequences tried. Each is on domains of its own, so that one store serves all.
const CASES: u32 = 40;
/// Domains in one sequence: few, so that operations meet.
const NAMES: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    Write { name: u8, expect: Guess, work: u8, certificate: u8, publish: bool, tell: bool },
    Remove { name: u8, expect: Guess },
}

/// What a writer believes.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Absent,
    Current,
    Stale,
    Future,
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        3 => Just(Guess::Absent),
        6 => Just(Guess::Current),
        1 => Just(Guess::Stale),
        1 => Just(Guess::Future),
    ]
}

fn step() -> impl Strategy<Value = (Step, Option<u8>)> {
    let write = (0..NAMES, guess(), 0..4_u8, 0..3_u8, any::<bool>(), any::<bool>()).prop_map(
        |(name, expect, work, certificate, publish, tell)| Step::Write {
            name,
            expect,
            work,
            certificate,
            publish,
            tell,
        },
    );
    let remove = (0..NAMES, guess()).prop_map(|(name, expect)| Step::Remove { name, expect });
    // Every third write meets a fault that it must get over.
    (prop_oneof![5 => write, 1 => remove], proptest::option::weighted(0.3, 0..4_u8))
}

struct Run {
    case: u32,
    wire: Arc<Wire>,
    real: Arc<dyn Store>,
    model: Arc<MemoryStore>,
    cursors: (ChangeCursor, ChangeCursor),
}

impl Run {
    fn label(&self, name: u8) -> String {
        format!("case-{}-{name}", self.case)
    }

    async fn version(&self, name: &DomainName) -> Option<RecordVersion> {
        let loaded = self.model.load(std::slice::from_ref(name)).await.unwrap();
        loaded.into_iter().flatten().next().map(|entry| entry.stored.version)
    }

    async fn step(&mut self, step: &Step, fault: Option<u8>) {
        let fault = fault.map(|fault| match fault {
            0 => WireFault::TimeoutAfter,
            1 => WireFault::TimeoutBefore,
            2 => WireFault::Throttled,
            _ => WireFault::ServerError,
        });
        if let Some(fault) = fault {
            self.wire.fail("*", fault, 1);
        }
        let outcomes = match step {
            Step::Write { name, expect, work, certificate: served, publish, tell } => {
                let label = self.label(*name);
                let current = self.version(&domain(&label)).await;
                let mut change = Change::of(sample(&label, *work), expected(*expect, current));
                change.certificate = match served {
                    0 => CertificateChange::Keep,
                    1 => CertificateChange::Replace(certificate(&format!("{label}-{work}"))),
                    _ => CertificateChange::Remove,
                };
                change.publish = publish.then(|| challenge(&label));
                change.withdraw = (!publish).then(|| token(&label));
                change.events = vec![event(START, &format!("{step:?}"))];
                change.announce = *tell;
                let (real, model) =
                    (self.real.write(change.clone()).await, self.model.write(change).await);
                (real.map(Some), model.map(Some))
            }
            Step::Remove { name, expect } => {
                let name = domain(&self.label(*name));
                let version = match expected(*expect, self.version(&name).await) {
                    Expected::Absent => RecordVersion(1),
                    Expected::Version(version) => version,
                };
                let (real, model) = (
                    self.real.remove(&name, version).await,
                    self.model.remove(&name, version).await,
                );
                (real.map(|()| None), model.map(|()| None))
            }
        };
        self.wire.heal();
        match outcomes {
            (Ok(real), Ok(model)) => assert_eq!(real, model, "{step:?}"),
            (Err(StoreError::Lost { .. }), Err(StoreError::Lost { .. })) => {}
            (real, model) => panic!("{step:?} with {fault:?}: {real:?}, but {model:?}"),
        }
    }

    async fn compare(&mut self) {
        let names: Vec<_> = (0..NAMES).map(|name| domain(&self.label(name))).collect();
        assert_eq!(self.real.load(&names).await.unwrap(), self.model.load(&names).await.unwrap());
        for (n, name) in (0..NAMES).zip(&names) {
            let events = self.real.events(name, 100).await.unwrap();
            assert_eq!(events, self.model.events(name, 100).await.unwrap());
            let token = token(&self.label(n));
            let answer = self.real.challenge(&token).await.unwrap();
            assert_eq!(answer, self.model.challenge(&token).await.unwrap());
        }
        let far = Timestamp::from_millis(u64::MAX / 2);
        let due = self.real.due(far, 10_000, None).await.unwrap().domains;
        let wanted = self.model.due(far, 10_000, None).await.unwrap().domains;
        assert_eq!(due.iter().collect::<BTreeSet<_>>(), wanted.iter().collect());
        let state = |state| Selection { state: Some(state), ..Selection::default() };
        let tenant = Selection { tenant: Some(self.label(0)), ..Selection::default() };
        let selections =
            [Selection::default(), state(DomainState::Parked), state(DomainState::Pending), tenant];
        for selection in selections {
            let (real, model) = (
                self.walk(self.real.as_ref(), &selection).await,
                self.walk(self.model.as_ref(), &selection).await,
            );
            assert_eq!(real, model, "{selection:?}");
        }
        let real = self.real.changes(&self.cursors.0).await.unwrap();
        let model = self.model.changes(&self.cursors.1).await.unwrap();
        self.cursors = (real.cursor, model.cursor);
        let names = |changed: Vec<sealwax_core::store::Changed>| -> BTreeSet<DomainName> {
            changed.into_iter().map(|changed| changed.domain).collect()
        };
        assert_eq!(names(real.changed), names(model.changed));
    }

    async fn walk(&self, store: &dyn Store, selection: &Selection) -> BTreeSet<String> {
        let (mut listed, mut cursor) = (BTreeSet::new(), None);
        loop {
            let page = store.list(selection, 50, cursor.as_deref()).await.unwrap();
            listed.extend(page.records.iter().map(|record| format!("{record:?}")));
            cursor = page.cursor;
            if cursor.is_none() {
                return listed;
            }
        }
    }
}

fn sample(label: &str, work: u8) -> DomainRecord {
    let mut sample = record(label);
    sample.registration =
        Registration { tenant: (work < 2).then(|| label.to_owned()), ..Registration::default() };
    sample.work = match work {
        0 => Work::Idle,
        1 => Work::Parked,
        _ => Work::Wanted { since: Timestamp::from_millis(u64::from(work) * 1_000) },
    };
    sample
}

fn expected(guess: Guess, current: Option<RecordVersion>) -> Expected {
    let at = current.unwrap_or(RecordVersion(1));
    match guess {
        Guess::Absent => Expected::Absent,
        Guess::Current => Expected::Version(at),
        Guess::Stale => Expected::Version(RecordVersion(at.0.saturating_sub(1))),
        Guess::Future => Expected::Version(RecordVersion(at.0 + 1)),
    }
}

#[test]
fn any_sequence_of_operations_ends_as_in_the_model() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = Folder::new();
    let (wire, clock) = (Wire::new(), ManualClock::at(START));
    let backoff = std::time::Duration::from_millis(1);
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Pace { backoff, ..timeouts.background };
    timeouts.background.backoff = backoff;
    let (_engine, real) = runtime.block_on(async {
        let engine = SharedEngine::open(folder.path()).await.unwrap();
        let store = engine.replica(clock.clone(), &timeouts, |inner| wire.around(inner)).unwrap();
        store.init().await.unwrap();
        (engine, Arc::new(store))
    });
    let model = Arc::new(MemoryStore::new(clock));
    let case = std::cell::Cell::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let sequences = proptest::collection::vec(step(), 1..25);
    let outcome = TestRunner::new(config).run(&sequences, |steps| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let cursors = (
                real.changes(&ChangeCursor::default()).await.unwrap().cursor,
                model.changes(&ChangeCursor::default()).await.unwrap().cursor,
            );
            let mut run = Run {
                case: case.get(),
                wire: Arc::clone(&wire),
                real: real.clone(),
                model: Arc::clone(&model),
                cursors,
            };
            for (step, fault) in &steps {
                run.step(step, *fault).await;
            }
            run.compare().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
