//! Names nobody registered: refused for nothing, and never in the way of the others.

use sealwax_protocol::edge::CertificateAnswer;
use sealwax_xds::Peer;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::catalog::RegisteredNames;
use crate::edge::Readiness as _;

const FLOOD: usize = 100_000;

/// Passes over the store's names, as a control plane does that has the store to itself.
async fn filled(fixture: &Fixture) -> CancellationToken {
    fixture.catalog.hears_changes();
    let (catalog, stop) = (Arc::clone(&fixture.catalog), CancellationToken::new());
    let (store, until) = (Arc::clone(&fixture.store) as Arc<dyn Store>, stop.clone());
    tokio::spawn(async move { catalog.keep_known(store, until).await });
    until_filled(fixture).await;
    stop
}

async fn until_filled(fixture: &Fixture) {
    let filled = async {
        while !fixture.catalog.registered_names().filled {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), filled).await.unwrap();
}

/// The store is away for long enough to be noticed.
async fn away(fixture: &Fixture) {
    fixture.store.0.away.store(true, Ordering::SeqCst);
    for n in [1_000_000, 1_000_001] {
        fixture.catalog.lookup(EDGE, &stranger(n)).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

fn stranger(n: usize) -> DomainName {
    name(&format!("s{n}.example.net"))
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_strangers_costs_no_call_of_the_store_whether_it_is_there_or_not() {
    let fixture = fixture();
    let known = name("a.example.com");
    fixture.register(&known).await;
    fixture.certify(&known, "a.example.com").await;
    let _filling = filled(&fixture).await;
    for n in 0..FLOOD {
        fixture.store.0.away.store(n >= FLOOD / 2, Ordering::SeqCst);
        let peeked = fixture.catalog.peek(EDGE, &stranger(n));
        assert!(matches!(peeked, Some(Lookup::Missing)), "at once: {peeked:?}");
        if n % 100 == 0 {
            let found = fixture.catalog.lookup(EDGE, &stranger(n)).await;
            assert!(matches!(found, Lookup::Missing), "{found:?}");
            let told = fixture.catalog.ready(&Peer::Unproved, &stranger(n)).await.unwrap();
            assert!(matches!(told.answer, CertificateAnswer::Unknown), "{told:?}");
        }
    }
    assert_eq!(fixture.loads(), 0);
    let seen = fixture.catalog.registered_names();
    let refused = FLOOD + 2 * FLOOD / 100;
    assert_eq!((seen.names, seen.refused), (1, u64::try_from(refused).unwrap()));
    fixture.store.0.away.store(false, Ordering::SeqCst);
    assert!(matches!(fixture.catalog.lookup(EDGE, &known).await, Lookup::Ready(_)));
    assert_eq!(fixture.loads(), 1, "an exact look-up where the set says yes");
}

#[tokio::test(start_paused = true)]
async fn a_registration_counts_when_it_is_announced_and_a_removal_by_an_exact_look_up() {
    let fixture = fixture();
    let _filling = filled(&fixture).await;
    let domain = name("new.example.com");
    fixture.register(&domain).await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Missing));
    fixture.catalog.forget(&domain);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Pending));
    let stored = fixture.store.load(std::slice::from_ref(&domain)).await.unwrap().remove(0);
    fixture.store.remove(&domain, stored.unwrap().stored.version).await.unwrap();
    fixture.catalog.forget(&domain);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Missing));
}

#[tokio::test(start_paused = true)]
async fn after_an_interrupted_change_log_nobody_is_refused_unread_until_the_set_is_whole_again() {
    let fixture = fixture();
    let _filling = filled(&fixture).await;
    let domain = name("new.example.com");
    // Registered elsewhere, and nobody told.
    fixture.register(&domain).await;
    fixture.catalog.forget_all();
    assert!(!fixture.catalog.registered_names().filled);
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Pending));
    // While the store is away the set counts as it was filled last.
    away(&fixture).await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &stranger(1)).await, Lookup::Missing));
    fixture.store.0.away.store(false, Ordering::SeqCst);
    until_filled(&fixture).await;
    let RegisteredNames { names, .. } = fixture.catalog.registered_names();
    assert_eq!(names, 1);
    let reads = fixture.loads();
    assert!(matches!(fixture.catalog.lookup(EDGE, &stranger(2)).await, Lookup::Missing));
    assert_eq!(fixture.loads(), reads);
}

#[tokio::test(start_paused = true)]
async fn before_the_set_is_filled_and_with_the_store_away_few_strangers_are_held() {
    let fixture = fixture();
    away(&fixture).await;
    let reads = fixture.loads();
    let mut held = 0;
    for n in 0..2_000 {
        match fixture.catalog.lookup(EDGE, &stranger(n)).await {
            Lookup::Unavailable => held += 1,
            Lookup::Missing => {}
            other @ (Lookup::Ready(_) | Lookup::Pending | Lookup::Absent) => panic!("{other:?}"),
        }
    }
    assert!((200..=256).contains(&held), "{held}");
    assert_eq!(fixture.loads(), reads, "and none of them is asked for");
    // It is back: the next one is asked for.
    fixture.store.0.away.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(2)).await;
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_no_stranger_of_a_set_that_was_filled() {
    let fixture = fixture();
    let _filling = filled(&fixture).await;
    // Cut off: the change log is interrupted, and reads hang until their client gives up.
    fixture.store.0.held.store(true, Ordering::SeqCst);
    fixture.catalog.forget_all();
    let asked = tokio::time::Instant::now();
    let first = fixture.catalog.lookup(EDGE, &stranger(1)).await;
    assert!(matches!(first, Lookup::Missing), "{first:?}");
    assert!(asked.elapsed() <= UNLIKELY_WAIT, "{:?}", asked.elapsed());
    let asked = tokio::time::Instant::now();
    for n in 2..1_000 {
        let next = fixture.catalog.lookup(EDGE, &stranger(n)).await;
        assert!(matches!(next, Lookup::Missing), "{next:?}");
    }
    assert_eq!(asked.elapsed(), Duration::ZERO, "the store is known to hang");
}

#[tokio::test]
async fn a_name_that_is_known_does_not_wait_behind_strangers() {
    let fixture = fixture();
    let known = name("a.example.com");
    fixture.register(&known).await;
    fixture.catalog.forget(&known);
    // A store that answers nobody, and a flood of names that may be anybody's.
    fixture.store.0.held.store(true, Ordering::SeqCst);
    for n in 0..1_000 {
        let (catalog, domain) = (Arc::clone(&fixture.catalog), stranger(n));
        tokio::spawn(async move { catalog.lookup(EDGE, &domain).await });
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let busy = fixture.loads();
    assert!(busy > 0);
    let catalog = Arc::clone(&fixture.catalog);
    let asked = tokio::spawn(async move { catalog.lookup(EDGE, &known).await });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.loads(), busy + 1, "it is read at once");
    fixture.store.0.held.store(false, Ordering::SeqCst);
    while !asked.is_finished() {
        fixture.store.0.release.notify_waiters();
        tokio::task::yield_now().await;
    }
    assert!(matches!(asked.await.unwrap(), Lookup::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_covers_names_that_are_not_in_the_set() {
    let zone = name("example.com");
    let fixture = fixture_with(Serving {
        on_handshake: true,
        wildcard_zones: WildcardZones::new(std::slice::from_ref(&zone)),
        ..Serving::default()
    });
    fixture.register(&zone).await;
    fixture.certify_for(&zone, &["example.com", "*.example.com"]).await;
    let _filling = filled(&fixture).await;
    fixture.store.0.away.store(true, Ordering::SeqCst);
    let below = name("a.example.com");
    let unsure = fixture.catalog.lookup(EDGE, &below).await;
    assert!(matches!(unsure, Lookup::Unavailable), "its zone may cover it: {unsure:?}");
    fixture.store.0.away.store(false, Ordering::SeqCst);
    assert!(matches!(fixture.catalog.lookup(EDGE, &below).await, Lookup::Ready(_)));
    assert!(matches!(fixture.catalog.peek(EDGE, &below), Some(Lookup::Ready(_))));
    assert!(matches!(fixture.catalog.peek(EDGE, &stranger(1)), Some(Lookup::Missing)));
}

#[tokio::test]
async fn without_on_handshake_a_request_is_no_demand_and_is_told_so() {
    let fixture = fixture_with(Serving { on_handshake: false, ..Serving::default() });
    let domain = name("a.example.com");
    fixture.register(&domain).await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &domain).await, Lookup::Absent));
    let told = fixture.catalog.ready(&Peer::Unproved, &domain).await.unwrap();
    assert!(matches!(told.answer, CertificateAnswer::Denied), "{told:?}");
}
