//! Others write the same records, or nobody can.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt as _;
use sealwax_store::memory::{Fault, MemoryStore, Operation};

use super::tests::{name, tenant, world};
use super::*;

/// Someone else writes the domain right before each write of the registry, so many times.
fn meddle(store: &Arc<MemoryStore>, domain: &DomainName, times: u64) {
    let (others, domain) = (Arc::downgrade(store), domain.clone());
    let (left, at_it) = (AtomicU64::new(times), AtomicBool::new(false));
    store.set_faults(Some(Arc::new(move |operation| {
        let write = matches!(operation, Operation::Write | Operation::Remove);
        // What is done here comes by here too.
        if !write || at_it.swap(true, Ordering::SeqCst) {
            return None;
        }
        let once_less = |left: u64| left.checked_sub(1);
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, once_less).is_ok() {
            let others = others.upgrade().unwrap();
            let names = std::slice::from_ref(&domain);
            let found = others.load(names).now_or_never().unwrap().unwrap().remove(0);
            let stored = found.unwrap().stored;
            let change = Change::of(stored.record, Expected::Version(stored.version));
            others.write(change).now_or_never().unwrap().unwrap();
        }
        at_it.store(false, Ordering::SeqCst);
        None
    })));
}

#[tokio::test]
async fn a_lost_race_is_run_again_and_given_up_at_some_point() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, tenant("t1")).await.unwrap();
    let meddled = |times| {
        meddle(&world.store, &domain, times);
        &world.registry
    };
    let put = meddled(3).put(&domain, tenant("t2")).await.unwrap();
    assert_eq!(put.record.registration, tenant("t2"));
    assert!(matches!(
        meddled(100).put(&domain, tenant("t3")).await,
        Err(RegistryError::Contended(_))
    ));
    assert!(matches!(
        meddled(100).renew(&domain, Window::Ignored).await,
        Err(RegistryError::Contended(_))
    ));
    meddled(3).remove(&domain).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_is_said_and_nothing_is_announced() {
    let world = world(true);
    world.store.set_faults(Some(Arc::new(|operation| {
        (operation == Operation::Write).then_some(Fault::Refused)
    })));
    let put = world.registry.put(&name("a.example.com"), Registration::default()).await;
    assert!(matches!(put, Err(RegistryError::Store(StoreError::Unavailable { .. }))));
    assert!(world.heard().is_empty());
}
