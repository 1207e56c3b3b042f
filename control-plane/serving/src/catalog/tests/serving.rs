//! Wildcards, and which edge may have whose.

use std::collections::BTreeMap;

use sealwax_protocol::edge::CertificateAnswer;
use sealwax_xds::Peer;

use super::*;
use crate::edge::Readiness as _;

fn wildcards() -> Fixture {
    let zones = [name("example.com")];
    fixture_with(Serving {
        on_handshake: true,
        wildcard_zones: WildcardZones::new(&zones),
        ..Serving::default()
    })
}

async fn serves(fixture: &Fixture, asked: &str, of: &str) -> bool {
    let looked_up = fixture.catalog.lookup(EDGE, &name(asked)).await;
    let peeked = fixture.catalog.peek(EDGE, &name(asked));
    match (looked_up, peeked) {
        (Lookup::Ready(found), Some(Lookup::Ready(known))) => {
            assert_eq!(found.version(), known.version(), "{asked}");
            found.name().as_str() == of
        }
        (Lookup::Absent, Some(Lookup::Absent)) | (Lookup::Missing, Some(Lookup::Missing)) => false,
        (looked_up, peeked) => panic!("{asked}: {looked_up:?}, {peeked:?}"),
    }
}

#[tokio::test]
async fn a_wildcard_serves_names_right_below_its_zone_that_have_none_of_their_own() {
    let fixture = wildcards();
    for zone in ["example.com", "example.net"] {
        fixture.register(&name(zone)).await;
        fixture.certify_for(&name(zone), &[zone, &format!("*.{zone}")]).await;
    }
    assert!(serves(&fixture, "a.example.com", "example.com").await);
    assert!(serves(&fixture, "example.com", "example.com").await);
    // Two labels below, a zone that is not configured, and a name that only ends the same.
    assert!(!serves(&fixture, "b.a.example.com", "example.com").await);
    assert!(!serves(&fixture, "a.example.net", "example.net").await);
    assert!(!serves(&fixture, "aexample.com", "example.com").await);

    let exact = name("a.example.com");
    fixture.register(&exact).await;
    fixture.catalog.forget(&exact);
    // Its own is on the way; until then the wildcard's is better than a wait.
    let waiting = fixture.catalog.lookup(EDGE, &exact).await;
    assert!(matches!(waiting, Lookup::Ready(found) if found.name().as_str() == "example.com"));
    fixture.certify(&exact, "a.example.com").await;
    fixture.catalog.forget(&exact);
    assert!(serves(&fixture, "a.example.com", "a.example.com").await, "an exact one wins");

    let ready = fixture.catalog.ready(&Peer::Unproved, &name("b.example.com")).await.unwrap();
    assert_eq!(ready.answer.status(), 200, "the edge API says the same: {ready:?}");
}

#[tokio::test]
async fn a_zone_without_a_wildcard_covers_nothing() {
    let fixture = wildcards();
    assert!(!serves(&fixture, "a.example.com", "").await, "not registered");
    fixture.register(&name("example.com")).await;
    fixture.certify_for(&name("example.com"), &["example.com", "*.a.example.com"]).await;
    fixture.catalog.forget(&name("example.com"));
    assert!(!serves(&fixture, "a.example.com", "").await, "a certificate for the zone alone");
    assert!(fixture.catalog.covers_below(&name("example.com")));
    assert!(!fixture.catalog.covers_below(&name("a.example.com")));
}

#[tokio::test]
async fn a_wildcard_in_memory_serves_while_the_store_is_away() {
    let fixture = wildcards();
    let zone = name("example.com");
    fixture.register(&zone).await;
    fixture.certify_for(&zone, &["example.com", "*.example.com"]).await;
    assert!(matches!(fixture.catalog.lookup(EDGE, &zone).await, Lookup::Ready(_)));
    fixture.store.0.away.store(true, Ordering::SeqCst);
    assert!(matches!(
        fixture.catalog.lookup(EDGE, &name("new.example.com")).await,
        Lookup::Ready(_)
    ));
}

/// INV-23
#[tokio::test]
async fn a_zone_takes_its_wildcard_with_it_and_no_certificate_that_was_a_names_own() {
    let fixture = wildcards();
    let (zone, covered) = (name("example.com"), name("a.example.com"));
    fixture.register(&zone).await;
    fixture.certify_for(&zone, &["example.com", "*.example.com"]).await;
    let Lookup::Ready(wildcard) = fixture.catalog.lookup(EDGE, &covered).await else {
        panic!("not served")
    };
    let asked = fixture.catalog.removed(&covered, wildcard.version()).await;
    assert_eq!(asked, Removed::No, "it is there");
    fixture.certify_for(&zone, &["example.com"]).await;
    fixture.catalog.forget(&zone);
    let asked = fixture.catalog.removed(&covered, wildcard.version()).await;
    assert_eq!(asked, Removed::Yes, "the zone has none any more");
    assert_eq!(fixture.catalog.removed(&covered, "its own").await, Removed::No);
    let names = std::slice::from_ref(&zone);
    let version = fixture.store.load(names).await.unwrap().remove(0).unwrap().stored.version;
    fixture.store.remove(&zone, version).await.unwrap();
    fixture.catalog.forget(&zone);
    assert_eq!(fixture.catalog.removed(&covered, "its own").await, Removed::No, "nor its trace");
}

#[tokio::test]
async fn a_wildcards_refusal_is_kept_with_its_zone() {
    let fixture = wildcards();
    let zone = name("example.com");
    fixture.register(&zone).await;
    fixture.certify_for(&zone, &["example.com", "*.example.com"]).await;
    assert!(serves(&fixture, "a.example.com", "example.com").await);
    fixture.catalog.rejected(&name("a.example.com"), "0123", "edge-1", "bad PEM");
    let event = refusal_of(&fixture, &zone).await;
    assert!(event.detail.contains("bad PEM"));
}

#[tokio::test]
async fn an_edge_gets_its_tenants_domains_and_no_others() {
    let tenants = BTreeMap::from([("edge-eu".to_owned(), vec!["acme".to_owned()])]);
    let fixture = fixture_with(Serving {
        on_handshake: true,
        tenants: EdgeTenants::new(&tenants),
        ..Serving::default()
    });
    for (domain, tenant) in [
        ("a.example.com", Some("acme")),
        ("g.example.com", Some("globex")),
        ("n.example.com", None),
    ] {
        fixture.register_for(&name(domain), tenant).await;
    }
    // Without a certificate yet: a refused edge's handshake must not even wait.
    for (domain, pending) in
        [("a.example.com", true), ("g.example.com", false), ("n.example.com", false)]
    {
        let answer = fixture.catalog.lookup("edge-eu", &name(domain)).await;
        assert_eq!(matches!(answer, Lookup::Pending), pending, "{domain}: {answer:?}");
        assert_eq!(matches!(answer, Lookup::Absent), !pending, "{domain}: {answer:?}");
    }
    for domain in ["a.example.com", "g.example.com", "n.example.com"] {
        fixture.certify(&name(domain), domain).await;
        fixture.catalog.forget(&name(domain));
        let ready = fixture.catalog.lookup(EDGE, &name(domain)).await;
        assert!(matches!(ready, Lookup::Ready(_)), "an edge without an entry may serve all");
    }
    for (domain, ready) in
        [("a.example.com", true), ("g.example.com", false), ("n.example.com", false)]
    {
        let looked_up = fixture.catalog.lookup("edge-eu", &name(domain)).await;
        let peeked = fixture.catalog.peek("edge-eu", &name(domain)).unwrap();
        let edge = Peer::Certified(["edge-eu".into()].into());
        let told = fixture.catalog.ready(&edge, &name(domain)).await.unwrap().answer;
        let unknown = matches!(told, CertificateAnswer::Unknown);
        assert_eq!(unknown, !ready, "{domain}: the edge API says the same");
        for answer in [looked_up, peeked] {
            assert_eq!(matches!(answer, Lookup::Ready(_)), ready, "{domain}: {answer:?}");
            assert_eq!(matches!(answer, Lookup::Absent), !ready, "{domain}: {answer:?}");
        }
    }
}
