//! What is special about the store in a file: it survives, and it belongs to one process.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::backends::Folder;
use sealwax_core::store::{
    Change, Expected, RecordVersion, Selection, Store as _, StoreError, WRITE_ALL_MAX,
};
use sealwax_protocol::DomainName;
use sealwax_store::conformance::{ManualClock, START, domain, record};
use sealwax_store::wire::Wire;
use sealwax_store::{DynamoStore, open_embedded, open_embedded_through};

/// Acknowledged before the writer is killed.
const ACKNOWLEDGED: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = Folder::new();
    let mut writer = Command::new(env!("CARGO_BIN_EXE_store-bench"))
        .arg("write")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let acknowledged = lines.map_while(Result::ok).take(ACKNOWLEDGED).count();
    assert_eq!(acknowledged, ACKNOWLEDGED);

    let second = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap_err();
    assert!(matches!(second, StoreError::Misconfigured { .. }), "{second}");
    assert!(second.to_string().contains("another process"), "{second}");

    writer.kill().unwrap();
    writer.wait().unwrap();
    let store = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    for n in 0..ACKNOWLEDGED {
        let name = DomainName::parse(&format!("shop{n}.customer.example.com")).unwrap();
        let entry = store.load(&[name]).await.unwrap().remove(0);
        let entry = entry.unwrap_or_else(|| panic!("{n} is lost"));
        assert_eq!(entry.certificate.is_some(), n % 100 == 0, "{n} is there in part");
    }
}

/// More than a page of names, over all shards of the index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_names_of_a_fleet_come_in_pages_and_each_once() {
    const FLEET: usize = 2_500;
    let folder = Folder::new();
    let store = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    let fleet: Vec<_> = (0..FLEET).map(|n| record(&format!("fleet-{n}"))).collect();
    for some in fleet.chunks(WRITE_ALL_MAX) {
        let changes = some.iter().map(|one| Change::of(one.clone(), Expected::Absent)).collect();
        assert!(store.write_all(changes).await.iter().all(Result::is_ok));
    }
    let (mut names, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = store.names(cursor.as_deref()).await.unwrap();
        names.extend(page.domains);
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(pages > 1, "{pages}");
    assert_eq!(names.len(), FLEET);
    names.sort();
    let mut wanted: Vec<_> = fleet.into_iter().map(|record| record.domain).collect();
    wanted.sort();
    assert!(names == wanted);
    let foreign = store.list(&Selection::default(), 1, None).await.unwrap().cursor;
    assert!(matches!(store.names(foreign.as_deref()).await, Err(StoreError::Bug { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_free_again_when_its_store_is_dropped() {
    let folder = Folder::new();
    for n in 0..3 {
        let store = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
        assert!(store.exclusive());
        let found = store.list(&Selection::default(), 10, None).await.unwrap().records;
        assert_eq!(found.len(), n);
        let label = format!("again-{n}");
        store.write(Change::of(record(&label), Expected::Absent)).await.unwrap();
        let twice = open_embedded(folder.path(), ManualClock::at(START)).await;
        assert!(twice.is_err(), "one process, two stores");
        drop(store);
    }
    let store = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    let loaded = store.load(&[domain("again-1")]).await.unwrap();
    assert!(loaded[0].is_some());
}

/// Writes many records at once; how many requests it took, and what came of each.
async fn write_at_once(
    store: &Arc<DynamoStore>,
    wire: &Wire,
    changes: Vec<Change>,
) -> (usize, Vec<Result<RecordVersion, StoreError>>) {
    wire.take_calls();
    let writes: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.write(change).await })
        })
        .collect();
    let mut written = Vec::new();
    for write in writes {
        written.push(write.await.unwrap());
    }
    (wire.take_calls().len(), written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_at_once_shares_a_sync_and_fails_each_by_itself() {
    const AT_ONCE: usize = 200;
    const LOSER: usize = 100;
    let folder = Folder::new();
    let wire = Wire::new();
    let clock = ManualClock::at(START);
    let around = |transport| wire.around(transport);
    let store = open_embedded_through(folder.path(), clock, around).await.unwrap();
    let store = Arc::new(store);
    let change = |n: usize, expected| Change::of(record(&format!("at-once-{n}")), expected);

    let changes = (0..AT_ONCE).map(|n| change(n, Expected::Absent)).collect();
    let (requests, written) = write_at_once(&store, &wire, changes).await;
    assert!(written.iter().all(|written| matches!(written, Ok(RecordVersion(1)))));
    assert!(requests < AT_ONCE / 2, "{requests} requests");

    let expected = |n| Expected::Version(RecordVersion(if n == LOSER { 7 } else { 1 }));
    let changes = (0..AT_ONCE).map(|n| change(n, expected(n))).collect();
    let (_, written) = write_at_once(&store, &wire, changes).await;
    for (n, written) in written.iter().enumerate() {
        match written {
            Ok(version) => assert!(n != LOSER && *version == RecordVersion(2), "{n}"),
            Err(error) => assert!(n == LOSER && matches!(error, StoreError::Lost { .. }), "{n}"),
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let path = folder.path().join("new");
    let _store = open_embedded(&path, ManualClock::at(START)).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = Folder::new();
    let path = folder.path().join("a-file");
    std::fs::write(&path, "not a folder").unwrap();
    let error = open_embedded(&path, ManualClock::at(START)).await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
    assert!(error.to_string().contains("a-file"), "{error}");
}
