//! Several replicas on one table: what one changes, the others hear of, whatever their clocks say.

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
use sealwax_core::Span;
use sealwax_core::store::{Change, ChangeCursor, Expected, Store as _, StoreError};
use sealwax_store::conformance::{ManualClock, START, domain, record};
use sealwax_store::{DynamoStore, SharedEngine, Timeouts};

async fn replicas(
    folder: &Folder,
    clocks: &[Arc<ManualClock>],
) -> (SharedEngine, Vec<DynamoStore>) {
    let engine = SharedEngine::open(folder.path()).await.unwrap();
    let open = |clock: &Arc<ManualClock>| {
        engine.replica(clock.clone(), &Timeouts::default(), |wire| wire).unwrap()
    };
    let stores: Vec<_> = clocks.iter().map(open).collect();
    stores[0].init().await.unwrap();
    assert!(!stores[0].exclusive());
    (engine, stores)
}

async fn announce(store: &DynamoStore, label: &str) {
    let mut change = Change::of(record(label), Expected::Absent);
    change.announce = true;
    store.write(change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skewed_clocks_hide_nothing() {
    let folder = Folder::new();
    // Five minutes ahead, right, five minutes behind.
    let skew = Span::from_secs(300);
    let clocks = [START + skew, START, START - skew].map(ManualClock::at);
    let (_engine, stores) = replicas(&folder, &clocks).await;
    let mut cursors = vec![ChangeCursor::default(); stores.len()];
    for (store, cursor) in stores.iter().zip(&mut cursors) {
        *cursor = store.changes(cursor).await.unwrap().cursor;
    }
    for n in 0..30 {
        let label = format!("skewed-{n}");
        announce(&stores[n % stores.len()], &label).await;
        for (store, cursor) in stores.iter().zip(&mut cursors) {
            let batch = store.changes(cursor).await.unwrap();
            assert!(!batch.resync);
            let told: Vec<_> = batch.changed.iter().map(|changed| &changed.domain).collect();
            assert_eq!(told, [&domain(&label)], "{n}");
            *cursor = batch.cursor;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_for_long_resyncs() {
    let folder = Folder::new();
    let clock = ManualClock::at(START);
    let (_engine, stores) = replicas(&folder, std::slice::from_ref(&clock)).await;
    let cursor = stores[0].changes(&ChangeCursor::default()).await.unwrap().cursor;
    announce(&stores[0], "away").await;
    clock.set(START + Span::from_secs(2 * 3_600));
    let batch = stores[0].changes(&cursor).await.unwrap();
    assert_eq!((batch.resync, batch.changed.len()), (false, 1));
    clock.set(START + Span::from_secs(4 * 3_600));
    let batch = stores[0].changes(&cursor).await.unwrap();
    assert!(batch.resync && batch.changed.is_empty());
    let batch = stores[0].changes(&batch.cursor).await.unwrap();
    assert!(!batch.resync && batch.changed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_polls_misses_nothing_of_what_many_write() {
    let folder = Folder::new();
    let clocks = [START, START + Span::from_secs(60)].map(ManualClock::at);
    let (_engine, stores) = replicas(&folder, &clocks).await;
    let stores = Arc::new(stores);
    let mut cursor = stores[0].changes(&ChangeCursor::default()).await.unwrap().cursor;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let stores = Arc::clone(&stores);
            tokio::spawn(async move {
                for n in 0..25 {
                    announce(&stores[writer % 2], &format!("busy-{writer}-{n}")).await;
                }
            })
        })
        .collect();
    let mut told = Vec::new();
    let reading = async {
        while told.len() < 200 {
            let batch = stores[0].changes(&cursor).await.unwrap();
            cursor = batch.cursor;
            told.extend(batch.changed.into_iter().map(|changed| changed.domain));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(stores[0].changes(&cursor).await.unwrap().changed.is_empty());
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 200, "each is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_replicas_takes_a_domain() {
    let folder = Folder::new();
    let clocks = [START, START, START, START].map(ManualClock::at);
    let (_engine, stores) = replicas(&folder, &clocks).await;
    for n in 0..20 {
        let label = format!("taken-{n}");
        let take = |store: &'static str| {
            let mut change = Change::of(record(&label), Expected::Absent);
            change.record.registration.tenant = Some(store.to_owned());
            change
        };
        let outcomes = futures::future::join_all(
            stores.iter().zip(["a", "b", "c", "d"]).map(|(store, name)| store.write(take(name))),
        )
        .await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1);
        let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        for error in lost {
            assert!(matches!(error, StoreError::Lost { .. }), "{error}");
        }
    }
}
