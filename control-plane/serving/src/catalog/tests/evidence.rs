//! What is taken away, and on whose word.

use super::*;
use crate::identity::Standing as StoreStanding;

/// INV-23: a store that has nothing of a name says nothing about it.
#[tokio::test]
async fn what_is_known_is_taken_away_by_a_removal_and_not_by_a_store_that_lost_it() {
    let domain = name("a.example.com");
    let serving = Serving { on_handshake: true, ..Serving::default() };
    let fixture = fixture();
    fixture.register(&domain).await;
    fixture.certify(&domain, "a.example.com").await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
    let names = std::slice::from_ref(&domain);
    let version = fixture.store.load(names).await.unwrap().remove(0).unwrap().stored.version;

    // The records vanish without a trace.
    let full = fixture.store.0.inner.replaced();
    fixture.catalog.forget(&domain);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Ready(_)));
    assert_eq!(fixture.catalog.removed(&domain, "").await, Removed::No);
    let elsewhere = fixture_over(Arc::clone(&fixture.store), serving);
    assert!(matches!(elsewhere.catalog.lookup(EDGE, &domain).await, Lookup::Missing));
    assert_eq!(elsewhere.catalog.removed(&domain, "").await, Removed::No, "nobody removed it");

    // They are back, and the domain is removed.
    fixture.store.0.inner.restore(full);
    fixture.store.remove(&domain, version).await.unwrap();
    fixture.catalog.forget(&domain);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Absent));
    elsewhere.catalog.forget(&domain);
    assert!(matches!(elsewhere.catalog.lookup(EDGE, &domain).await, Lookup::Missing));
    assert_eq!(elsewhere.catalog.removed(&domain, "").await, Removed::Yes, "there is a trace");
    elsewhere.store.0.away.store(true, Ordering::SeqCst);
    let asked = elsewhere.catalog.removed(&domain, "").await;
    assert_eq!(asked, Removed::NotKnown, "a read that failed says nothing");
    elsewhere.store.0.away.store(false, Ordering::SeqCst);
    elsewhere.trust.set(StoreStanding::Unchecked);
    assert_eq!(
        elsewhere.catalog.removed(&domain, "").await,
        Removed::No,
        "of a store that may be the wrong one"
    );
}

/// INV-23
#[tokio::test]
async fn a_store_that_is_not_trusted_takes_nothing_away_whatever_it_says() {
    let domain = name("a.example.com");
    let fixture = fixture();
    fixture.register(&domain).await;
    fixture.certify(&domain, "a.example.com").await;
    let Lookup::Ready(served) = fixture.catalog.lookup(EDGE, &domain).await else {
        panic!("not served")
    };
    fixture.trust.set(StoreStanding::Unchecked);
    // An older copy, in which the domain has no certificate yet.
    let names = std::slice::from_ref(&domain);
    let stored = fixture.store.load(names).await.unwrap().remove(0).unwrap().stored;
    let change = Change {
        certificate: CertificateChange::Remove,
        ..Change::of(
            DomainRecord { certificate: None, ..stored.record },
            Expected::Version(stored.version),
        )
    };
    fixture.store.write(change).await.unwrap();
    fixture.catalog.forget_all();
    let found = fixture.catalog.lookup(EDGE, &domain).await;
    assert!(matches!(found, Lookup::Ready(found) if found.version() == served.version()));
    // What it has is served.
    let new = name("b.example.com");
    fixture.register(&new).await;
    fixture.certify(&new, "b.example.com").await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &new).await, Lookup::Ready(_)));
}
