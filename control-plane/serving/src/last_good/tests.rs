use sealwax_core::SealedKey;
use sealwax_core::certificate::Chain;
use sealwax_core::record::{DomainRecord, Registration};
use sealwax_core::store::{
    CertificateChange, Change, Expected, RecordVersion, Store, StoreError, StoredCertificate,
};
use sealwax_store::conformance::{ManualClock, START};
use sealwax_store::memory::{Fault, MemoryStore};
use tokio_util::sync::CancellationToken;

use super::*;

const ROOM: u64 = 1 << 20;

struct Running {
    copy: LastGood,
    stop: CancellationToken,
    keeper: tokio::task::JoinHandle<()>,
}

fn start(folder: &Path, room: u64, store: &Arc<MemoryStore>) -> Running {
    let (copy, keeper) = LastGood::open(folder, room).unwrap();
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(keeper.serve(Arc::clone(store) as Arc<dyn Store>, stop.clone()));
    Running { copy, stop, keeper }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.keeper.await.unwrap();
    }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

async fn certify(store: &MemoryStore, domain: &DomainName, pem: &str) -> Entry {
    let found = store.load(std::slice::from_ref(domain)).await.unwrap().remove(0);
    let expected = found.map_or(Expected::Absent, |entry| Expected::Version(entry.stored.version));
    let record = DomainRecord::registered(domain.clone(), Registration::default(), START);
    let chain = Chain::from_pem(pem.to_owned()).unwrap();
    let key = SealedKey::new(b"sealed under a key of the store".to_vec());
    let change = Change {
        certificate: CertificateChange::Replace(StoredCertificate { chain, key }),
        ..Change::of(record, expected)
    };
    store.write(change).await.unwrap();
    store.load(std::slice::from_ref(domain)).await.unwrap().remove(0).unwrap()
}

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(ManualClock::at(START)))
}

/// Waits for a level.
async fn until(mut seen: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !seen().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.unwrap();
}

#[tokio::test]
async fn what_was_loaded_is_found_after_a_restart_and_the_key_stays_sealed() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let domain = name("a.example.com");
    let entry = certify(&store, &domain, "chain").await;
    let running = start(folder.path(), ROOM, &store);
    running.copy.loaded(&domain, Some(&entry));
    running.end().await;

    let running = start(folder.path(), ROOM, &store);
    assert_eq!(running.copy.find(&domain).await, Some(entry));
    assert_eq!(running.copy.find(&name("b.example.com")).await, None);
    let again = LastGood::open(folder.path(), ROOM).err().unwrap();
    assert!(matches!(again, FolderError::InUse(_)), "{again}");
    running.end().await;
}

#[tokio::test]
async fn a_domain_that_was_removed_leaves_the_disk() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let domains = ["a.example.com", "b.example.com", "c.example.com"].map(name);
    let running = start(folder.path(), ROOM, &store);
    for domain in &domains {
        let entry = certify(&store, domain, "chain").await;
        running.copy.loaded(domain, Some(&entry));
    }
    until(async || running.copy.held() == 3).await;
    let gone = async |copy: &LastGood, domain: &DomainName| {
        let path = folder.path().join(domain.as_str());
        until(async || copy.find(domain).await.is_none() && !path.exists()).await;
    };
    // It is read as gone; or someone says that it changed; or the process was not there.
    store.remove(&domains[0], RecordVersion(1)).await.unwrap();
    running.copy.loaded(&domains[0], None);
    gone(&running.copy, &domains[0]).await;
    store.remove(&domains[1], RecordVersion(1)).await.unwrap();
    running.copy.changed(&domains[1]);
    gone(&running.copy, &domains[1]).await;
    running.end().await;
    store.remove(&domains[2], RecordVersion(1)).await.unwrap();
    let running = start(folder.path(), ROOM, &store);
    gone(&running.copy, &domains[2]).await;
    running.end().await;
}

#[tokio::test]
async fn a_change_elsewhere_is_copied_and_an_outage_takes_nothing_away() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let domain = name("a.example.com");
    let old = certify(&store, &domain, "old").await;
    let running = start(folder.path(), ROOM, &store);
    running.copy.loaded(&domain, Some(&old));
    until(async || running.copy.held() == 1).await;
    store.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
    assert!(matches!(
        store.load(std::slice::from_ref(&domain)).await,
        Err(StoreError::Unavailable { .. })
    ));
    running.copy.changed(&domain);
    running.end().await;

    let running = start(folder.path(), ROOM, &store);
    assert_eq!(running.copy.find(&domain).await, Some(old), "the store did not say anything");
    running.end().await;
    store.set_faults(None);
    let new = certify(&store, &domain, "new").await;
    let running = start(folder.path(), ROOM, &store);
    until(async || running.copy.find(&domain).await.as_ref() == Some(&new)).await;
    running.end().await;
}

#[tokio::test]
async fn the_folder_keeps_to_its_bound() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let running = start(folder.path(), 20_000, &store);
    for n in 0..20 {
        let domain = name(&format!("n{n}.example.com"));
        let entry = certify(&store, &domain, "chain").await;
        running.copy.loaded(&domain, Some(&entry));
    }
    running.end().await;
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap())
        .filter(|file| !file.file_name().to_string_lossy().starts_with('.'))
        .collect();
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!((1..20).contains(&files.len()) && bytes <= 20_000, "{} files, {bytes}", files.len());
    assert!(folder.path().join("n19.example.com").exists(), "the newest stays");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_closed_to_others_and_a_damaged_one_is_as_good_as_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let path = folder.path().join("copy");
    let domain = name("a.example.com");
    let entry = certify(&store, &domain, "chain").await;
    let running = start(&path, ROOM, &store);
    running.copy.loaded(&domain, Some(&entry));
    until(async || running.copy.held() == 1).await;
    let file = path.join("a.example.com");
    for (path, mode) in [(&path, 0o700), (&file, 0o600)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
    let whole = std::fs::read(&file).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"{}"] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(running.copy.find(&domain).await, None);
    }
    // A file under another name is of no use there.
    std::fs::write(path.join("b.example.com"), &whole).unwrap();
    assert_eq!(running.copy.find(&name("b.example.com")).await, None);
    running.end().await;
    let blocked = folder.path().join("a-file");
    std::fs::write(&blocked, "").unwrap();
    let error = LastGood::open(&blocked, ROOM).err().unwrap().to_string();
    assert!(error.contains("last_good_mb = 0"), "{error}");
}
