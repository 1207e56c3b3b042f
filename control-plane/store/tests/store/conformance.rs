//! Every store passes the same suite.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::Arc;

use crate::backends::{Folder, Moto};
use sealwax_store::conformance::{ManualClock, START, Subject, run};
use sealwax_store::memory::MemoryStore;
use sealwax_store::wire::Wire;
use sealwax_store::{SharedEngine, Timeouts, open_embedded, open_remote_through};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_memory_keeps_the_contract() {
    let clock = ManualClock::at(START);
    let store = Arc::new(MemoryStore::new(clock.clone()));
    run(&Subject { store, clock }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_keeps_the_contract() {
    let folder = Folder::new();
    let clock = ManualClock::at(START);
    let store = Arc::new(open_embedded(folder.path(), clock.clone()).await.unwrap());
    run(&Subject { store, clock }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_shared_by_replicas_keeps_the_contract() {
    let folder = Folder::new();
    let engine = SharedEngine::open(folder.path()).await.unwrap();
    let clock = ManualClock::at(START);
    let store = engine.replica(clock.clone(), &Timeouts::default(), |wire| wire).unwrap();
    store.init().await.unwrap();
    run(&Subject { store: Arc::new(store), clock }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_independent_implementation_of_the_api_keeps_the_contract() {
    let moto = Moto::start();
    let clock = ManualClock::at(START);
    // moto checks a condition and writes in two steps, without a lock between its threads.
    let wire = Wire::one_at_a_time();
    let settings = moto.settings("conformance-");
    let store = open_remote_through(&settings, clock.clone(), |inner| wire.around(inner)).await;
    let store = store.unwrap();
    assert!(store.init().await.unwrap().created);
    let again = store.init().await.unwrap();
    assert!(!again.created && !again.expiry_enabled, "set up twice: {again:?}");
    run(&Subject { store: Arc::new(store), clock }).await;
}
