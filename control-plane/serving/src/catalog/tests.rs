mod evidence;
mod fixture;
mod serving;
mod strangers;

use std::sync::atomic::Ordering;

use sealwax_core::store::{CertificateChange, Change, Expected, LifecycleEvent};
use sealwax_core::{DomainRecord, Span};
use sealwax_system::{SystemClock, SystemJitter};
use sealwax_xds::{CertificateSource, Lookup, Removed};

use fixture::*;

use super::*;

#[tokio::test]
async fn a_certificate_is_read_once_and_then_served_from_memory() {
    let fixture = fixture();
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    fixture.certify(&domain, "a.example.com").await;
    assert!(fixture.catalog.peek(EDGE, &domain).is_none(), "nothing is known without a look");
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
    assert!(matches!(fixture.catalog.peek(EDGE, &domain), Some(Lookup::Ready(_))));
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
    assert_eq!(fixture.loads(), 1);
}

#[tokio::test]
async fn a_strangers_name_costs_one_read_however_often_it_is_asked_for() {
    let fixture = fixture();
    let domain = name("stranger.example.com");
    for _ in 0..10 {
        assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Missing));
    }
    assert_eq!(fixture.loads(), 1);
    fixture.register(&domain).await;
    fixture.catalog.forget(&domain);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Pending));
}

#[tokio::test]
async fn a_crowd_that_asks_at_once_shares_its_reads() {
    let fixture = fixture();
    let mut asked = tokio::task::JoinSet::new();
    for index in 0..400 {
        let catalog = Arc::clone(&fixture.catalog);
        let domain = name(&format!("d{}.example.com", index % 100));
        asked.spawn(async move { catalog.lookup(EDGE, &domain).await });
    }
    while let Some(answer) = asked.join_next().await {
        assert!(matches!(answer, Ok(Lookup::Missing)));
    }
    assert_eq!(fixture.store.0.names.load(Ordering::SeqCst), 100, "one load a name");
    assert!(fixture.loads() < 20, "many names a read: {}", fixture.loads());
}

#[tokio::test]
async fn a_change_during_a_read_is_never_overlooked() {
    let fixture = fixture();
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    fixture.store.0.held.store(true, Ordering::SeqCst);
    let catalog = Arc::clone(&fixture.catalog);
    let asked = domain.clone();
    let early = tokio::spawn(async move { catalog.lookup(EDGE, &asked).await });
    // The read has seen the domain without a certificate and is on its way back.
    fixture.store.0.started.notified().await;
    fixture.certify(&domain, "a.example.com").await;
    fixture.catalog.forget(&domain);
    fixture.store.0.held.store(false, Ordering::SeqCst);
    fixture.store.0.release.notify_one();
    assert!(matches!(early.await.unwrap(), Lookup::Ready(_)));
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
}

#[tokio::test]
async fn a_known_certificate_outlives_an_outage_of_the_store() {
    let fixture = fixture();
    let known = name("a.example.com");
    fixture.register(&known).await;
    fixture.certify(&known, "a.example.com").await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &known).await, Lookup::Ready(_)));
    fixture.store.0.away.store(true, Ordering::SeqCst);
    fixture.catalog.forget(&known);
    assert!(matches!(fixture.catalog.lookup(EDGE, &known).await, Lookup::Ready(_)));
    fixture.catalog.forget_all();
    assert!(matches!(fixture.catalog.lookup(EDGE, &known).await, Lookup::Ready(_)));
    assert!(matches!(
        fixture.catalog.lookup(EDGE, &name("b.example.com")).await,
        Lookup::Unavailable
    ));
}

#[tokio::test]
async fn in_an_outage_the_last_good_copy_serves_what_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let known = name("a.example.com");
    let before = fixture();
    before.register(&known).await;
    before.certify(&known, "a.example.com").await;
    let stop = CancellationToken::new();
    let (copy, keeper) = LastGood::open(folder.path(), 1 << 20).unwrap();
    let keeper = tokio::spawn(keeper.serve(Arc::clone(&before.store) as _, stop.clone()));
    before.catalog.fall_back_on(copy.clone());
    let Lookup::Ready(served) = before.catalog.lookup(EDGE, &known).await else {
        panic!("not served")
    };
    stop.cancel();
    keeper.await.unwrap();
    let store = Arc::clone(&before.store);
    drop(before);

    // A catalog that knows nothing, over what is on the disk.
    let after = fixture_over(store, Serving { on_handshake: true, ..Serving::default() });
    after.catalog.fall_back_on(copy);
    after.store.0.away.store(true, Ordering::SeqCst);
    let Lookup::Ready(found) = after.catalog.lookup(EDGE, &known).await else {
        panic!("not served")
    };
    assert_eq!(found.version(), served.version());
    assert!(matches!(
        after.catalog.lookup(EDGE, &name("b.example.com")).await,
        Lookup::Unavailable
    ));
    let loads = after.loads();
    assert!(matches!(after.catalog.lookup(EDGE, &known).await, Lookup::Ready(_)));
    assert_eq!(after.loads(), loads + 1, "the store is asked first, every time");

    after.store.0.away.store(false, Ordering::SeqCst);
    let stored = after.store.load(std::slice::from_ref(&known)).await.unwrap().remove(0).unwrap();
    after.store.remove(&known, stored.stored.version).await.unwrap();
    assert!(matches!(after.catalog.lookup(EDGE, &known).await, Lookup::Absent));
}

/// It is served, and each visit is a reason to ask the platform again, once in a while.
#[tokio::test]
async fn a_parked_domain_is_served_and_looked_at_again_by_who_comes_to_it() {
    let fixture = fixture();
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    fixture.certify(&domain, "a.example.com").await;
    let stored =
        fixture.store.load(std::slice::from_ref(&domain)).await.unwrap().remove(0).unwrap();
    let now = SystemClock.now();
    let left = sealwax_core::departure::left(stored.stored.record, "gone", now);
    let change = Change::of(left, Expected::Version(stored.stored.version));
    fixture.store.write(change).await.unwrap();
    let standing = fixture.catalog.standing(&domain).await.unwrap();
    assert!(standing.is_doubted());
    assert!(fixture.catalog.peek(EDGE, &domain).is_none(), "memory alone asks nobody");
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
    assert!(
        matches!(fixture.catalog.peek(EDGE, &domain), Some(Lookup::Ready(_))),
        "asked just now"
    );
}

/// INV-8: what got into the store by whatever way is not served unless it fits.
#[tokio::test]
async fn a_stored_certificate_for_another_name_is_not_served() {
    let fixture = fixture();
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    fixture.certify(&domain, "b.example.com").await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Pending));
}

#[tokio::test]
async fn an_edges_refusal_is_kept_with_the_domains_events() {
    let fixture = fixture();
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    fixture.catalog.rejected(&domain, "0123", "edge-1", "bad\nPEM");
    let event = refusal_of(&fixture, &domain).await;
    assert!(event.detail.contains("edge-1") && event.detail.contains("bad PEM"));
}

async fn refusal_of(fixture: &Fixture, domain: &DomainName) -> LifecycleEvent {
    let seen = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let events = fixture.store.events(domain, 5).await.unwrap();
            if let Some(event) = events.into_iter().find(|event| event.kind == "edge.refused") {
                return event;
            }
            tokio::task::yield_now().await;
        }
    });
    seen.await.unwrap()
}

#[tokio::test]
async fn a_visit_asks_again_for_what_an_outage_stopped_but_not_at_once() {
    let fixture = fixture();
    for (age, held) in [(1, false), (6, true)] {
        let domain = name(&format!("d{age}.example.com"));
        fixture.register(&domain).await;
        let names = std::slice::from_ref(&domain);
        let stored = fixture.store.0.inner.load(names).await.unwrap().remove(0).unwrap().stored;
        let ago = SystemClock.now() - Span::from_secs(age);
        let cause = sealwax_core::Cause::PlatformUnavailable;
        let jitter = SystemJitter::default();
        let stalled = sealwax_core::apply::stalled(stored.record, cause, "500", None, ago, &jitter);
        let record = DomainRecord { updated_at: ago, ..stalled };
        let change = Change::of(record, Expected::Version(stored.version));
        fixture.store.write(change).await.unwrap();
        for _ in 0..2 {
            let found = fixture.catalog.lookup(EDGE, &domain).await;
            assert_eq!(matches!(found, Lookup::Pending), held, "after {age} s");
            assert_eq!(fixture.catalog.peek(EDGE, &domain).is_none(), held, "after {age} s");
        }
        // Where a visit asks for nothing, a visitor is not told to wait either.
        let scheduled = Serving { on_handshake: false, ..Serving::default() };
        let scheduled = fixture_over(Arc::clone(&fixture.store), scheduled).catalog;
        let told =
            crate::edge::Readiness::ready(&*scheduled, &sealwax_xds::Peer::Unproved, &domain);
        let told = told.await.unwrap().answer;
        let failed = matches!(told, sealwax_protocol::edge::CertificateAnswer::Failed { .. });
        assert!(failed, "after {age} s: {told:?}");
    }
}
