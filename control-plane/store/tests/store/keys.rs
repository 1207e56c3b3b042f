//! Keys and whole stores on the move: to another key-encryption key, to another store.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backends::{Folder, Moto};
use futures::FutureExt as _;
use sealwax_core::identity::{IDENTITY_DOCUMENT, StoreIdentity};
use sealwax_core::record::Work;
use sealwax_core::secret::{SealError, SealPlace, Sealer as _};
use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, Document, Expected, RecordVersion, Store as _,
    StoreError,
};
use sealwax_core::{PrivateKey, SealedKey, Timestamp};
use sealwax_store::conformance::{
    ManualClock, START, certificate, challenge, domain, event, record, sealed, token,
};
use sealwax_store::memory::{Fault, MemoryStore, Operation};
use sealwax_store::seal::{CANARY_ISSUER, KeyCheckError, LocalKek};
use sealwax_store::{
    CopyError, KeySealer, RewrapError, Upkeep, copy_store, open_embedded, rewrap_keys,
};
use zeroize::Zeroizing;

const DOMAINS: usize = 120;

fn kek(byte: u8) -> Arc<LocalKek> {
    Arc::new(LocalKek::new(&Zeroizing::new([byte; 32])).unwrap())
}

async fn seal(sealer: &KeySealer, place: SealPlace<'_>) -> SealedKey {
    let key = PrivateKey::new(Zeroizing::new(format!("{place:?}").into_bytes()));
    sealer.seal(place, &key).await.unwrap()
}

/// Fills a store: certificates, orders in flight, accounts.
async fn fill(store: &dyn Upkeep, sealer: &KeySealer) {
    sealer.check(store).await.unwrap();
    let account = seal(sealer, SealPlace::Account("ca")).await;
    store.create_account("ca", &account).await.unwrap();
    for n in 0..DOMAINS {
        let label = format!("filled-{n}");
        let name = domain(&label);
        let mut change = Change::of(record(&label), Expected::Absent);
        let place = SealPlace::Certificate(name.as_str());
        if n % 2 == 0 {
            let mut served = certificate(&label);
            served.key = seal(sealer, place).await;
            change.certificate = CertificateChange::Replace(served);
        }
        if n % 10 == 1 {
            change.record.work = Work::Keyed {
                issuer: "ca".to_owned(),
                order_url: "https://ca.example/order".to_owned(),
                token: Some(token(&label).as_str().to_owned()),
                key: seal(sealer, place).await,
            };
            change.publish = Some(challenge(&label));
        }
        change.events = vec![event(START, "one"), event(START, "two")];
        store.write(change).await.unwrap();
    }
}

/// Opens everything that is sealed; how many there were.
async fn open_all(store: &dyn Upkeep, sealer: &KeySealer) -> Result<usize, SealError> {
    let mut opened = 0;
    for n in 0..DOMAINS {
        let name = domain(&format!("filled-{n}"));
        let place = SealPlace::Certificate(name.as_str());
        let entry = store.load(std::slice::from_ref(&name)).await.unwrap().remove(0).unwrap();
        let in_flight =
            if let Work::Keyed { key, .. } = entry.stored.record.work { Some(key) } else { None };
        for key in entry.certificate.map(|served| served.key).into_iter().chain(in_flight) {
            let key = sealer.open(place, &key).await?;
            assert_eq!(key.expose(), format!("{place:?}").as_bytes());
            opened += 1;
        }
    }
    let account = store.account("ca").await.unwrap().unwrap();
    sealer.open(SealPlace::Account("ca"), &account).await?;
    Ok(opened)
}

#[tokio::test]
async fn a_wrong_key_is_found_at_start() {
    let store = MemoryStore::new(ManualClock::at(START));
    KeySealer::new(kek(1)).check(&store).await.unwrap();
    KeySealer::new(kek(1)).check(&store).await.unwrap();
    let error = KeySealer::new(kek(2)).check(&store).await.unwrap_err();
    assert!(matches!(error, KeyCheckError::WrongKey { .. }), "{error}");
    assert!(error.to_string().contains("rewrap-keys"), "{error}");
    KeySealer::new(kek(2)).with_retired(kek(1)).check(&store).await.unwrap();
    let torn = SealedKey::new(b"SWXK".to_vec());
    let canary = store.account(CANARY_ISSUER).await.unwrap().unwrap();
    store.replace_account(CANARY_ISSUER, &canary, &torn).await.unwrap();
    let error = KeySealer::new(kek(1)).check(&store).await.unwrap_err();
    assert!(matches!(error, KeyCheckError::WrongKey { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_move_to_a_new_kek_and_an_interrupted_run_goes_on() {
    let folder = Folder::new();
    let store = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    let old = KeySealer::new(kek(1));
    fill(&store, &old).await;
    let cursor = store.changes(&ChangeCursor::default()).await.unwrap().cursor;
    let sealer = KeySealer::new(kek(2)).with_retired(kek(1));

    // Stopped in the middle, where the second of three steps is told.
    let steps = AtomicUsize::new(0);
    let run = rewrap_keys(&store, &sealer, |_| {
        if steps.fetch_add(1, Ordering::SeqCst) == 1 {
            resume_unwind(Box::new("stopped"));
        }
    });
    assert!(AssertUnwindSafe(run).catch_unwind().await.is_err(), "it was to be stopped");
    // Both keys are needed now, and suffice.
    assert!(open_all(&store, &KeySealer::new(kek(2))).await.is_err());
    let opened = open_all(&store, &sealer).await.unwrap();

    let done = rewrap_keys(&store, &sealer, |_| {}).await.unwrap();
    assert!(done.resumed, "{done:?}");
    assert_eq!(open_all(&store, &KeySealer::new(kek(2))).await.unwrap(), opened);
    KeySealer::new(kek(2)).check(&store).await.unwrap();
    let again = rewrap_keys(&store, &sealer, |_| {}).await.unwrap();
    assert_eq!((again.rewrapped, again.resumed), (0, false));
    // What is served is the same: nobody is told.
    assert!(store.changes(&cursor).await.unwrap().changed.is_empty());
    let error = rewrap_keys(&store, &KeySealer::new(kek(3)), |_| {}).await.unwrap_err();
    assert!(matches!(error, RewrapError::Seal { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_written_meanwhile_keeps_what_was_written() {
    let store = Arc::new(MemoryStore::new(ManualClock::at(START)));
    fill(store.as_ref(), &KeySealer::new(kek(1))).await;
    let sealer = KeySealer::new(kek(2)).with_retired(kek(1));
    // A writer gets in between each load and write, the first time.
    let (writer, lost) = (Arc::clone(&store), AtomicUsize::new(0));
    store.set_faults(Some(Arc::new(move |operation| {
        if operation == Operation::Write && lost.fetch_add(1, Ordering::SeqCst) == 0 {
            let version = RecordVersion(1);
            let mut change = Change::of(record("filled-0"), Expected::Version(version));
            change.record.fence = 77;
            writer.set_faults(None);
            writer.write(change).now_or_never().unwrap().unwrap();
        }
        None
    })));
    rewrap_keys(store.as_ref(), &sealer, |_| {}).await.unwrap();
    open_all(store.as_ref(), &KeySealer::new(kek(2))).await.unwrap();
    let entry = store.load(&[domain("filled-0")]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.stored.record.fence, 77);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_to_another_and_an_interrupted_move_goes_on() {
    let folder = Folder::new();
    let source = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    let sealer = KeySealer::new(kek(1));
    fill(&source, &sealer).await;
    let target = MemoryStore::new(ManualClock::at(START));
    // The target was started once before, and has a canary of its own.
    KeySealer::new(kek(1)).check(&target).await.unwrap();
    let left = AtomicUsize::new(70);
    target.set_faults(Some(Arc::new(move |operation| {
        let strike = operation == Operation::Write && left.fetch_sub(1, Ordering::SeqCst) == 1;
        strike.then_some(Fault::AnswerLost)
    })));
    let error = copy_store(&source, &target, |_| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::Store { side: "target", .. }), "{error}");
    target.set_faults(None);
    let mut told = 0;
    let done = copy_store(&source, &target, |progress| told = progress.verified).await.unwrap();
    assert!(done.resumed && done.written < DOMAINS as u64, "{done:?}");
    assert_eq!(told, done.verified);
    open_all(&target, &sealer).await.unwrap();
    sealer.check(&target).await.unwrap();
    let answer = target.challenge(&token("filled-1")).await.unwrap();
    assert_eq!(answer, Some(challenge("filled-1")));
    let events = target.events(&domain("filled-3"), 9).await.unwrap();
    assert_eq!(events, source.events(&domain("filled-3"), 9).await.unwrap());
    let again = copy_store(&source, &target, |_| {}).await.unwrap();
    assert_eq!((again.seen, again.written, again.resumed), (DOMAINS as u64, 0, false));

    // What is newer in the target is never overwritten.
    let mut newer = Change::of(record("filled-5"), Expected::Version(RecordVersion(1)));
    newer.record.updated_at = Timestamp::from_millis(START.millis() + 1);
    target.write(newer).await.unwrap();
    let error = copy_store(&source, &target, |_| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::NewerInTarget(_)), "{error}");
    assert!(error.to_string().contains("filled-5"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_store_moves_to_a_remote_one() {
    let folder = Folder::new();
    let source = open_embedded(folder.path(), ManualClock::at(START)).await.unwrap();
    let sealer = KeySealer::new(kek(1));
    fill(&source, &sealer).await;
    let moto = Moto::start();
    let (target, _) = moto.store("moved-").await;
    let done = copy_store(&source, &target, |_| {}).await.unwrap();
    assert_eq!((done.written, done.verified), (DOMAINS as u64, DOMAINS as u64));
    open_all(&target, &sealer).await.unwrap();
}

#[tokio::test]
async fn a_store_in_use_is_left_alone_and_the_identity_moves_along() {
    let clock = ManualClock::at(START);
    let (source, target) = (MemoryStore::new(clock.clone()), MemoryStore::new(clock.clone()));
    fill(&source, &KeySealer::new(kek(1))).await;
    let named = Document {
        text: "named".into(),
        version: 0,
        expires_at: Timestamp::from_millis(u64::MAX / 2),
    };
    source.put_document(IDENTITY_DOCUMENT, &named).await.unwrap();
    // It has a domain of its own, under another key.
    let own = KeySealer::new(kek(2));
    own.check(&target).await.unwrap();
    target.write(Change::of(record("own"), Expected::Absent)).await.unwrap();
    let accounts = target.accounts().await.unwrap();
    let error = copy_store(&source, &target, |_| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::InUse), "{error}");
    assert_eq!(target.accounts().await.unwrap(), accounts, "it looked before it wrote");
    own.check(&target).await.unwrap();
    assert_eq!(target.document(IDENTITY_DOCUMENT).await.unwrap(), None);

    let empty = MemoryStore::new(clock);
    assert!(!own.check_if_any(&empty).await.unwrap());
    assert_eq!(empty.accounts().await.unwrap(), Vec::<String>::new(), "asking writes nothing");
    for _ in 0..2 {
        copy_store(&source, &empty, |_| {}).await.unwrap();
        let moved = empty.document(IDENTITY_DOCUMENT).await.unwrap().unwrap();
        assert_eq!((moved.text.as_str(), moved.version), ("named", 1));
    }
}

#[tokio::test]
async fn a_copy_that_is_run_again_does_not_take_the_targets_identity_back() {
    let clock = ManualClock::at(START);
    let (source, target) = (MemoryStore::new(clock.clone()), MemoryStore::new(clock));
    fill(&source, &KeySealer::new(kek(1))).await;
    let identity = StoreIdentity::new("one".to_owned(), START);
    let text = |identity: &StoreIdentity| serde_json::to_string(identity).unwrap();
    let expires_at = Timestamp::from_millis(u64::MAX / 2);
    let named = Document { text: text(&identity), version: 0, expires_at };
    source.put_document(IDENTITY_DOCUMENT, &named).await.unwrap();
    copy_store(&source, &target, |_| {}).await.unwrap();
    let used = text(&identity.marked(START));
    let marked = Document { text: used.clone(), version: 1, expires_at };
    target.put_document(IDENTITY_DOCUMENT, &marked).await.unwrap();
    copy_store(&source, &target, |_| {}).await.unwrap();
    let kept = target.document(IDENTITY_DOCUMENT).await.unwrap().unwrap();
    assert_eq!(kept.text, used);
}

#[tokio::test]
async fn an_account_that_differs_is_not_overwritten() {
    let clock = ManualClock::at(START);
    let (source, target) = (MemoryStore::new(clock.clone()), MemoryStore::new(clock));
    source.create_account("ca", &sealed("source")).await.unwrap();
    target.create_account("ca", &sealed("target")).await.unwrap();
    let error = copy_store(&source, &target, |_| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::NewerInTarget(_)), "{error}");
    assert_eq!(target.account("ca").await.unwrap(), Some(sealed("target")));
    source.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
    assert!(matches!(source.ping().await, Err(StoreError::Unavailable { .. })));
}
