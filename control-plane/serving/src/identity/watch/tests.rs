use std::path::Path;

use sealwax_core::store::{Change, Expected};
use sealwax_core::{DomainRecord, Registration};
use sealwax_protocol::DomainName;
use sealwax_store::conformance::{ManualClock, START};
use sealwax_store::memory::{Fault, MemoryStore, Operation};

use super::*;

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(ManualClock::at(START)))
}

/// What a control plane on this machine makes of a store at its start.
async fn start(machine: &Path, store: &Arc<MemoryStore>) -> IdentityWatch {
    let places = Places::none().beside(&machine.join("s"));
    let clock = ManualClock::at(START);
    let trust = Trust::unchecked();
    let watch = IdentityWatch::new(Arc::clone(store) as _, clock, places, trust);
    watch.first().await;
    watch
}

fn kind(watch: &IdentityWatch) -> &'static str {
    match watch.view().standing {
        Standing::Unchecked => "unchecked",
        Standing::Trusted => "trusted",
        Standing::Doubted { kind, .. } => kind,
    }
}

/// A copy of what a store says of itself, put into another store: a backup.
async fn restored(from: &Document) -> Arc<MemoryStore> {
    let (target, document) = (store(), Document { version: 0, ..from.clone() });
    target.put_document(IDENTITY_DOCUMENT, &document).await.unwrap();
    target
}

async fn identity(store: &MemoryStore) -> Document {
    store.document(IDENTITY_DOCUMENT).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_in_the_place_of_a_known_one_is_not_trusted_until_it_is_accepted() {
    let machine = tempfile::tempdir().unwrap();
    let right = store();
    assert_eq!(kind(&start(machine.path(), &right).await), "trusted", "a first start");
    let empty = store();
    let watch = start(machine.path(), &empty).await;
    assert_eq!(kind(&watch), "nameless");
    assert!(empty.document(IDENTITY_DOCUMENT).await.unwrap().is_none(), "left as it is");
    assert_eq!(kind(&start(machine.path(), &right).await), "trusted", "the right one is back");
    // Another one, in use elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = store();
    start(elsewhere.path(), &other).await;
    let watch = start(machine.path(), &other).await;
    assert_eq!(kind(&watch), "other");
    watch.accept().await.unwrap();
    assert_eq!(kind(&watch), "trusted");
    assert_eq!(kind(&start(machine.path(), &other).await), "trusted");
    assert_eq!(kind(&start(elsewhere.path(), &other).await), "trusted");
    assert_eq!(kind(&start(machine.path(), &right).await), "other", "the first one no more");
}

#[tokio::test(start_paused = true)]
async fn a_store_behind_its_mark_is_told_to_every_control_plane_until_one_accepts_it() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let used = store();
    let watch = Arc::new(start(one.path(), &used).await);
    let backup = identity(&used).await;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(Arc::clone(&watch).serve(|| {}, stop.clone()));
    tokio::time::sleep(MARK_EVERY * 10).await;
    stop.cancel();
    serving.await.unwrap();
    let writes = identity(&used).await.version - backup.version;
    assert!((5..=11).contains(&writes), "{writes} marks in ten minutes");
    assert_eq!(kind(&start(one.path(), &used).await), "trusted");

    let older = restored(&backup).await;
    assert_eq!(kind(&start(two.path(), &older).await), "trusted", "it never saw it newer");
    assert_eq!(kind(&start(one.path(), &older).await), "older");
    let second = start(two.path(), &older).await;
    assert_eq!(kind(&second), "older", "it heard of it");
    second.accept().await.unwrap();
    assert_eq!(kind(&start(one.path(), &older).await), "trusted", "accepted for all");
}

#[tokio::test(start_paused = true)]
async fn whoever_accepts_a_store_accepts_it_for_those_who_knew_another() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (right, other) = (store(), store());
    start(one.path(), &right).await;
    let fresh = start(two.path(), &other).await;
    assert_eq!(kind(&start(one.path(), &other).await), "other");
    fresh.accept().await.unwrap();
    assert_eq!(kind(&start(one.path(), &other).await), "trusted", "the command went elsewhere");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_compared_when_it_answers_and_the_change_is_told() {
    let machine = tempfile::tempdir().unwrap();
    let (right, domain) = (store(), DomainName::parse("a.example.com").unwrap());
    let record = DomainRecord::registered(domain, Registration::default(), START);
    right.write(Change::of(record, Expected::Absent)).await.unwrap();
    right.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
    let watch = Arc::new(start(machine.path(), &right).await);
    assert_eq!(kind(&watch), "unchecked");
    assert!(watch.accept().await.is_err());
    right.set_faults(None);
    let (told, mut hears) = tokio::sync::mpsc::channel(8);
    let changed = move || told.try_send(()).unwrap();
    tokio::spawn(Arc::clone(&watch).serve(changed, CancellationToken::new()));
    hears.recv().await.unwrap();
    assert_eq!(kind(&watch), "trusted");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_be_read_and_not_written_is_said_after_the_second_failure() {
    let machine = tempfile::tempdir().unwrap();
    let right = store();
    let watch = start(machine.path(), &right).await;
    for _ in 0..2 {
        watch.compare().await.unwrap();
    }
    right.set_faults(Some(Arc::new(|operation| {
        (operation == Operation::PutDocument).then_some(Fault::Refused)
    })));
    tokio::time::advance(MARK_EVERY).await;
    watch.compare().await.unwrap();
    assert_eq!(watch.view().unwritable, None, "once may be throttling");
    watch.compare().await.unwrap();
    let view = watch.view();
    assert!(view.unwritable.is_some() && view.standing == Standing::Trusted);
    right.set_faults(None);
    watch.compare().await.unwrap();
    assert_eq!(watch.view().unwritable, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_away_on_the_word_of_a_store_whose_file_was_moved() {
    let machine = tempfile::tempdir().unwrap();
    let (file, aside) = (machine.path().join("file"), machine.path().join("aside"));
    std::fs::write(&file, "").unwrap();
    let watch = start(machine.path(), &store()).await.watching(Some(file.clone()));
    assert!(!watch.compare().await.unwrap());
    std::fs::rename(&file, &aside).unwrap();
    assert!(watch.compare().await.unwrap());
    assert_eq!(kind(&watch), "moved");
    std::fs::rename(&aside, &file).unwrap();
    assert!(watch.compare().await.unwrap());
    assert_eq!(kind(&watch), "trusted");
}
