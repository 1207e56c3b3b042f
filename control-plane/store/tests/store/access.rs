//! What is really asked of the API: which permissions that takes, by which index, at what price.

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
use sealwax_core::record::{DomainRecord, Work};
use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, Expected, RecordVersion, Store as _, StoredCertificate,
};
use sealwax_core::{SealedKey, Timestamp};
use sealwax_store::conformance::{
    ManualClock, START, Subject, challenge, domain, event, record, run, token,
};
use sealwax_store::wire::{Call, Wire};
use sealwax_store::{DynamoStore, SharedEngine, Timeouts};
use serde_json::Value;

async fn tapped(folder: &Folder) -> (SharedEngine, Arc<DynamoStore>, Arc<ManualClock>, Arc<Wire>) {
    let engine = SharedEngine::open(folder.path()).await.unwrap();
    let (wire, clock) = (Wire::new(), ManualClock::at(START));
    let store = engine.replica(clock.clone(), &Timeouts::default(), |inner| wire.around(inner));
    (engine, Arc::new(store.unwrap()), clock, wire)
}

/// The actions a call needs, as IAM names them.
fn actions(call: &Call) -> Vec<String> {
    let names = match call.operation.as_str() {
        // A transaction has no action of its own: each part needs its own.
        "TransactWriteItems" => vec!["DeleteItem", "PutItem", "UpdateItem"],
        name => vec![name],
    };
    names.into_iter().map(|name| format!("dynamodb:{name}")).collect()
}

fn allowed(policy: &Value, statement: &str) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    let found = statements.iter().find(|found| found["Sid"] == statement).unwrap();
    assert_eq!(found["Effect"], "Allow");
    let actions = found["Action"].as_array().unwrap();
    actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_allows_what_is_done_and_nothing_else() {
    let policy: Value = serde_json::from_str(include_str!("../../docs/iam-policy.json")).unwrap();
    let folder = Folder::new();
    let (_engine, store, clock, wire) = tapped(&folder).await;
    store.init().await.unwrap();
    store.facts().await.unwrap();
    let set_up: BTreeSet<_> = wire.take_calls().iter().flat_map(actions).collect();
    run(&Subject { store, clock }).await;
    let calls = wire.take_calls();
    let served: BTreeSet<_> = calls.iter().flat_map(actions).collect();

    assert_eq!(served, allowed(&policy, "Serve"));
    // Setting up writes one item and reads it back: that is allowed by the other statement.
    let alone: BTreeSet<_> = set_up.difference(&served).cloned().collect();
    assert_eq!(alone, allowed(&policy, "SetUp"));
    let indexes: BTreeSet<_> = calls.iter().filter_map(|call| call.index.as_deref()).collect();
    assert_eq!(indexes, BTreeSet::from(["due", "listing", "state", "tenant"]));
    assert!(served.iter().all(|action| !action.contains("Scan")));
}

fn units(wire: &Wire) -> f64 {
    wire.take_calls().iter().map(|call| call.units).sum()
}

fn real_sized() -> StoredCertificate {
    let chain = sealwax_core::Chain::from_pem("x".repeat(3_500)).unwrap();
    StoredCertificate { chain, key: SealedKey::new(vec![7; 260]) }
}

/// The writes of one issuance as the workflow does them, from a record at a version.
async fn issue(store: &DynamoStore, label: &str, mut version: RecordVersion) -> RecordVersion {
    let (issuer, order_url) = ("le".to_owned(), "https://ca.example/acme/order/1/2".to_owned());
    let held = Some(token(label).as_str().to_owned());
    let steps = [
        Work::Wanted { since: START },
        Work::Ordering { issuer: issuer.clone() },
        Work::Ordered { issuer: issuer.clone(), order_url: order_url.clone() },
        Work::Challenged {
            issuer: issuer.clone(),
            order_url: order_url.clone(),
            token: token(label).as_str().to_owned(),
        },
        Work::Keyed { issuer, order_url, token: held, key: SealedKey::new(vec![7; 260]) },
        Work::Idle,
    ];
    for work in steps {
        let mut change = Change::of(
            DomainRecord { work: work.clone(), ..record(label) },
            Expected::Version(version),
        );
        match work {
            Work::Challenged { .. } => change.publish = Some(challenge(label)),
            Work::Idle => {
                change.certificate = CertificateChange::Replace(real_sized());
                change.withdraw = Some(token(label));
                change.events = vec![event(START, "issued")];
            }
            Work::Wanted { .. }
            | Work::Trial { .. }
            | Work::Ordering { .. }
            | Work::Ordered { .. }
            | Work::Keyed { .. }
            | Work::Parked => {}
        }
        version = store.write(change).await.unwrap();
    }
    version
}

/// The documented figure: the line `| name | figure |` of the table of measured units.
fn documented(name: &str) -> f64 {
    let text = include_str!("../../docs/access-patterns.md");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
    let line = line.unwrap_or_else(|| panic!("docs/access-patterns.md has no figure for {name}"));
    line.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_units_are_what_is_used() {
    let folder = Folder::new();
    let (_engine, store, _clock, wire) = tapped(&folder).await;
    store.init().await.unwrap();
    let mut cursor = store.changes(&ChangeCursor::default()).await.unwrap().cursor;
    // The writer knows where the log is, as one that polls does.
    units(&wire);
    let mut measured = Vec::new();
    let version = store.write(Change::of(record("priced"), Expected::Absent)).await.unwrap();
    measured.push(("registration", units(&wire)));
    let mut change = Change::of(record("announced"), Expected::Absent);
    (change.events, change.announce) = (vec![event(START, "domain.registered")], true);
    store.write(change).await.unwrap();
    measured.push(("registration through the API", units(&wire)));
    cursor = store.changes(&cursor).await.unwrap().cursor;
    units(&wire);
    let version = issue(&store, "priced", version).await;
    measured.push(("issuance", units(&wire)));
    cursor = store.changes(&cursor).await.unwrap().cursor;
    measured.push(("poll with one change", units(&wire)));
    issue(&store, "priced", version).await;
    measured.push(("renewal", units(&wire)));
    store.load(&[domain("priced")]).await.unwrap();
    measured.push(("cold handshake", units(&wire)));
    store.load(&[domain("unknown")]).await.unwrap();
    measured.push(("unknown name", units(&wire)));
    store.changes(&cursor).await.unwrap();
    units(&wire);
    store.due(Timestamp::from_millis(1), 100, None).await.unwrap();
    measured.push(("sweep with nothing due", units(&wire)));
    store.challenge(&token("unknown")).await.unwrap();
    measured.push(("challenge", units(&wire)));
    let differing: Vec<_> =
        measured.iter().filter(|(name, units)| (documented(name) - units).abs() > 0.01).collect();
    assert!(differing.is_empty(), "measured otherwise: {differing:?}");
}
