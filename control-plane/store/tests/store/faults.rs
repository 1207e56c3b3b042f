//! Whatever goes wrong on the wire, a call is done, or not done and says so.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::Arc;
use std::time::Duration;

use crate::backends::Folder;
use sealwax_core::Timestamp;
use sealwax_core::record::{DomainRecord, Work};
use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, Expected, RecordVersion, Selection, Store as _,
    StoreError,
};
use sealwax_store::conformance::{
    ManualClock, START, certificate, challenge, domain, event, record, sealed, token,
};
use sealwax_store::wire::{Call, Wire, WireFault};
use sealwax_store::{DynamoStore, Pace, SharedEngine, Timeouts, Upkeep as _};

/// A replica whose wire is ours. Waits are short: no fault here gets better by waiting.
struct Bench {
    store: DynamoStore,
    wire: Arc<Wire>,
    _engine: SharedEngine,
    _folder: Folder,
}

const PACE: Pace = Pace {
    connect: Duration::from_secs(5),
    attempt: Duration::from_secs(10),
    call: Duration::from_secs(20),
    attempts: 3,
    backoff: Duration::from_millis(1),
};

async fn bench() -> Bench {
    paced(Timeouts { handshake: PACE, background: PACE }).await
}

async fn paced(timeouts: Timeouts) -> Bench {
    let folder = Folder::new();
    let engine = SharedEngine::open(folder.path()).await.unwrap();
    let wire = Wire::new();
    let clock = ManualClock::at(START);
    let store = engine.replica(clock, &timeouts, |inner| wire.around(inner)).unwrap();
    store.init().await.unwrap();
    wire.take_calls();
    Bench { store, wire, _engine: engine, _folder: folder }
}

fn full_change(label: &str, expected: Expected) -> Change {
    let mut change = Change::of(record(label), expected);
    change.certificate = CertificateChange::Replace(certificate(label));
    change.publish = Some(challenge(label));
    change.events = vec![event(START, label)];
    change
}

const PASSING: [WireFault; 5] = [
    WireFault::Throttled,
    WireFault::ThroughputExceeded,
    WireFault::ServerError,
    WireFault::TimeoutBefore,
    WireFault::TimeoutAfter,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_gets_over_one_fault() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    for (n, fault) in PASSING.into_iter().enumerate() {
        let (one, many) = (format!("one-{n}"), format!("many-{n}"));
        wire.fail("*", fault, 1);
        let version = store.write(Change::of(record(&one), Expected::Absent)).await.unwrap();
        assert_eq!(version, RecordVersion(1), "{fault:?}");
        wire.fail("*", fault, 1);
        let next = Change::of(record(&one), Expected::Version(version));
        assert_eq!(store.write(next).await.unwrap(), RecordVersion(2), "{fault:?}");
        wire.fail("TransactWriteItems", fault, 1);
        store.write(full_change(&many, Expected::Absent)).await.unwrap();
        wire.fail("*", fault, 1);
        let loaded = store.load(&[domain(&one), domain(&many)]).await.unwrap();
        assert_eq!(loaded[0].as_ref().unwrap().stored.version, RecordVersion(2));
        assert_eq!(loaded[1].as_ref().unwrap().certificate, Some(certificate(&many)));
        wire.fail("*", fault, 1);
        assert!(store.challenge(&token(&many)).await.unwrap().is_some());
        wire.fail("*", fault, 1);
        assert_eq!(store.events(&domain(&many), 5).await.unwrap().len(), 1);
        wire.fail("*", fault, 1);
        store.create_account(&one, &sealed(&one)).await.unwrap();
        wire.fail("UpdateItem", fault, 1);
        store.replace_account(&one, &sealed(&one), &sealed(&many)).await.unwrap();
        wire.fail("*", fault, 1);
        assert_eq!(store.account(&one).await.unwrap(), Some(sealed(&many)));
        wire.fail("*", fault, 1);
        store.due(START, 5, None).await.unwrap();
        wire.fail("*", fault, 1);
        let listed = store.list(&Selection::default(), 100, None).await.unwrap().records.len();
        assert_eq!(listed, n + 2, "{fault:?}");
        wire.fail("*", fault, 1);
        store.changes(&ChangeCursor::default()).await.unwrap();
        wire.fail("*", fault, 1);
        store.ping().await.unwrap();
        wire.fail("TransactWriteItems", fault, 1);
        store.remove(&domain(&many), RecordVersion(1)).await.unwrap();
        assert!(wire.take_calls().iter().filter(|call| call.fault.is_some()).count() >= 14);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handshake_waits_for_gives_up_sooner_and_keeps_its_own_retries() {
    let handshake = Pace { attempts: 2, ..PACE };
    let bench = paced(Timeouts { handshake, background: Pace { attempts: 4, ..PACE } }).await;
    let (store, wire) = (&bench.store, &bench.wire);
    wire.fail("*", WireFault::ServerError, usize::MAX);
    let attempts = |was_away: bool| {
        assert!(was_away);
        wire.take_calls().len()
    };
    assert_eq!(attempts(store.load(&[domain("x")]).await.is_err()), 2);
    assert_eq!(attempts(store.challenge(&token("x")).await.is_err()), 2);
    assert_eq!(attempts(store.ping().await.is_err()), 2);
    assert_eq!(attempts(store.account("x").await.is_err()), 4);
    assert_eq!(attempts(store.events(&domain("x"), 5).await.is_err()), 4);

    // Until the SDK's quota of retries is used up (500, of which each costs 5) for this client.
    let mut storms = 0;
    while attempts(store.events(&domain("x"), 5).await.is_err()) > 1 {
        storms += 1;
        assert!(storms < 200, "the quota has no end");
    }
    assert_eq!(attempts(store.load(&[domain("x")]).await.is_err()), 2, "another client's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stays_away_is_reported_as_away() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    for fault in PASSING.into_iter().filter(|fault| *fault != WireFault::TimeoutAfter) {
        wire.fail("*", fault, usize::MAX);
        let away =
            |error: StoreError| assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        away(store.write(Change::of(record("away"), Expected::Absent)).await.unwrap_err());
        away(store.write(full_change("away", Expected::Absent)).await.unwrap_err());
        away(store.remove(&domain("away"), RecordVersion(1)).await.unwrap_err());
        away(store.load(&[domain("away")]).await.unwrap_err());
        away(store.due(START, 5, None).await.unwrap_err());
        away(store.list(&Selection::default(), 5, None).await.unwrap_err());
        away(store.challenge(&token("away")).await.unwrap_err());
        away(store.events(&domain("away"), 5).await.unwrap_err());
        away(store.account("away").await.unwrap_err());
        away(store.create_account("away", &sealed("away")).await.unwrap_err());
        away(store.changes(&ChangeCursor::default()).await.unwrap_err());
        away(store.ping().await.unwrap_err());
        wire.heal();
        assert_eq!(store.load(&[domain("away")]).await.unwrap(), [None], "{fault:?}");
        assert_eq!(store.account("away").await.unwrap(), None, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_every_answer_is_lost_is_found_done() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    for (label, operation) in [("lost-one", "UpdateItem"), ("lost-many", "TransactWriteItems")] {
        wire.fail(operation, WireFault::TimeoutAfter, usize::MAX);
        let change = match operation {
            "UpdateItem" => Change::of(record(label), Expected::Absent),
            _ => full_change(label, Expected::Absent),
        };
        assert_eq!(store.write(change).await.unwrap(), RecordVersion(1), "{operation}");
        wire.heal();
        let loaded = store.load(&[domain(label)]).await.unwrap();
        assert_eq!(loaded[0].as_ref().unwrap().stored.version, RecordVersion(1));
    }
    wire.fail("PutItem", WireFault::TimeoutAfter, 1);
    store.create_account("lost", &sealed("lost")).await.unwrap();
    // But another's account is not taken for one's own.
    wire.fail("PutItem", WireFault::TimeoutAfter, 1);
    let other = store.create_account("lost", &sealed("other")).await;
    assert!(matches!(other, Err(StoreError::Lost { .. })), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_made_together_survive_every_fault_and_are_found_done() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    let group = |start: usize| -> Vec<Change> {
        let labels = (start..start + 6).map(|n| format!("group-{n}"));
        labels.map(|label| full_change(&label, Expected::Absent)).collect()
    };
    for (n, fault) in PASSING.into_iter().enumerate() {
        wire.take_calls();
        wire.fail("TransactWriteItems", fault, 1);
        let written = store.write_all(group(n * 6)).await;
        assert!(written.iter().all(Result::is_ok), "{fault:?}: {written:?}");
        let transactions = |call: &&Call| call.operation == "TransactWriteItems";
        let count = wire.take_calls().iter().filter(transactions).count();
        assert_eq!(count, 2, "{fault:?}: one transaction, tried twice");
    }
    wire.fail("TransactWriteItems", WireFault::TimeoutAfter, usize::MAX);
    let written = store.write_all(group(100)).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    wire.heal();
    wire.fail("*", WireFault::TimeoutBefore, usize::MAX);
    let written = store.write_all(group(200)).await;
    let away =
        |written: &Result<_, StoreError>| matches!(written, Err(StoreError::Unavailable { .. }));
    assert!(written.len() == 6 && written.iter().all(away), "{written:?}");
    wire.heal();
    let names: Vec<_> = [0, 105, 200].map(|n| domain(&format!("group-{n}"))).into();
    let found = store.load(&names).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
}

/// DynamoDB refuses a token that it has seen with another payload, and the second attempt has the
/// trace's version in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registers_within_the_trace_of_a_removal_sends_each_payload_under_its_own_token() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    let version = store.write(full_change("again", Expected::Absent)).await.unwrap();
    store.remove(&domain("again"), version).await.unwrap();
    wire.take_calls();
    store.write(full_change("again", Expected::Absent)).await.unwrap();
    let tokens: Vec<_> = wire.take_calls().into_iter().filter_map(|call| call.token).collect();
    assert!(tokens.len() == 2 && tokens[0] != tokens[1], "{tokens:?}");
    // One payload that is sent twice keeps its token.
    wire.fail("TransactWriteItems", WireFault::TransactionConflict, 1);
    store.write(full_change("once", Expected::Absent)).await.unwrap();
    let tokens: Vec<_> = wire.take_calls().into_iter().filter_map(|call| call.token).collect();
    assert!(tokens.len() == 2 && tokens[0] == tokens[1], "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colliding_transactions_are_tried_again() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    wire.fail("TransactWriteItems", WireFault::TransactionConflict, 3);
    store.write(full_change("collides", Expected::Absent)).await.unwrap();
    wire.fail("TransactWriteItems", WireFault::TransactionConflict, usize::MAX);
    let change = full_change("collides", Expected::Version(RecordVersion(1)));
    let error = store.write(change).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_left_over_by_a_batch_are_asked_for_again() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    let mut wanted = Vec::new();
    for n in 0..2 {
        let label = format!("batch-{n}");
        store.write(full_change(&label, Expected::Absent)).await.unwrap();
        wanted.push(domain(&label));
    }
    wire.take_calls();
    wire.fail("BatchGetItem", WireFault::PartialBatch, usize::MAX);
    let loaded = store.load(&wanted).await.unwrap();
    assert!(loaded.iter().flatten().all(|entry| entry.certificate.is_some()));
    assert_eq!(loaded.iter().flatten().count(), 2);
    assert_eq!(wire.take_calls().len(), 4, "one key at a time");
    // More than it pays to ask for: the caller is told.
    let many: Vec<_> = (0..20).map(|n| domain(&format!("batch-{n}"))).collect();
    let error = store.load(&many).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_index_shows_nothing_that_is_not_there() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    let due =
        DomainRecord { work: Work::Wanted { since: Timestamp::from_millis(1) }, ..record("stale") };
    let version = store.write(Change::of(due, Expected::Absent)).await.unwrap();
    let state = |state| Selection { state: Some(state), ..Selection::default() };
    let pending = state(sealwax_core::DomainState::Pending);
    assert_eq!(store.list(&pending, 9, None).await.unwrap().records.len(), 1);
    assert_eq!(store.due(START, 99, None).await.unwrap().domains.len(), 1);
    let parked = DomainRecord { work: Work::Parked, ..record("stale") };
    let version = store.write(Change::of(parked, Expected::Version(version))).await.unwrap();
    wire.fail("Query", WireFault::StaleIndex, usize::MAX);
    assert!(store.list(&pending, 9, None).await.unwrap().records.is_empty());
    // What is due is re-checked by whoever claims it: the index only names candidates.
    assert_eq!(store.due(START, 99, None).await.unwrap().domains, [domain("stale")]);
    wire.heal();
    assert!(store.due(START, 99, None).await.unwrap().domains.is_empty());
    store.list(&Selection::default(), 9, None).await.unwrap();
    store.remove(&domain("stale"), version).await.unwrap();
    wire.fail("Query", WireFault::StaleIndex, usize::MAX);
    assert!(store.list(&Selection::default(), 9, None).await.unwrap().records.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_read_to_their_last_page() {
    let bench = bench().await;
    let (store, wire) = (&bench.store, &bench.wire);
    let mut cursor = store.changes(&ChangeCursor::default()).await.unwrap().cursor;
    for n in 0..12 {
        let mut change = full_change(&format!("page-{n}"), Expected::Absent);
        change.record.work = Work::Wanted { since: Timestamp::from_millis(n) };
        store.write(change).await.unwrap();
    }
    wire.fail("Query", WireFault::SmallPages, usize::MAX);
    assert_eq!(store.due(START, 1_000, None).await.unwrap().domains.len(), 12);
    let mut changed = Vec::new();
    loop {
        let batch = store.changes(&cursor).await.unwrap();
        cursor = batch.cursor;
        if batch.changed.is_empty() {
            break;
        }
        changed.extend(batch.changed.into_iter().map(|changed| changed.domain));
    }
    changed.sort_unstable();
    changed.dedup();
    assert_eq!(changed.len(), 12);
    let mut listed = 0;
    let mut at: Option<String> = None;
    loop {
        let page = store.list(&Selection::default(), 5, at.as_deref()).await.unwrap();
        listed += page.records.len();
        at = page.cursor;
        if at.is_none() {
            break;
        }
    }
    assert_eq!(listed, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_reported_with_what_to_do() {
    let folder = Folder::new();
    let engine = SharedEngine::open(folder.path()).await.unwrap();
    let clock = ManualClock::at(START);
    let store = engine.replica(clock, &Timeouts::default(), |wire| wire).unwrap();
    for error in [
        store.ping().await.unwrap_err(),
        store.load(&[domain("a")]).await.unwrap_err(),
        store.write(Change::of(record("a"), Expected::Absent)).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
        assert!(error.to_string().contains("sealwax store init"), "{error}");
    }
}
