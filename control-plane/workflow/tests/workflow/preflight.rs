//! The look at a domain before its order: it classifies and delays, and never has the last word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::Ordering;

use crate::common::{START, World};
use sealwax_core::budget::{BucketKey, Budget, Limits};
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::preflight::{
    Address, CaaRecord, CaaSet, Findings, HOLDS_MAX, Looked, Path, Place,
};
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Cause, Clock as _, DomainState, Span, apply};
use sealwax_protocol::ChallengeToken;
use sealwax_workflow::Ask;

/// An edge answers.
fn good() -> Findings {
    let from = "203.0.113.7".parse().unwrap();
    Findings {
        at: START,
        ipv4: Looked::Found(vec![Address { ip: from, ours: Some(true) }]),
        ipv6: Looked::Nothing { said: "no such record".to_owned() },
        aliases: Vec::new(),
        caa: Looked::Nothing { said: "no such record".to_owned() },
        path: Path::Answered { from, redirects: 0 },
        also: Vec::new(),
        vantage_proven: false,
    }
}

/// Points at another server.
fn astray() -> Findings {
    let from = "198.51.100.1".parse().unwrap();
    Findings {
        ipv4: Looked::Found(vec![Address { ip: from, ours: Some(false) }]),
        path: Path::Elsewhere { from, detail: "404 Not Found".to_owned(), withheld: false },
        ..good()
    }
}

impl World {
    fn show(&self, findings: Findings) {
        *self.outlook.sees.lock().unwrap() = Some(findings);
    }

    fn looks(&self) -> u64 {
        self.outlook.looks.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_points_elsewhere_waits_and_no_ca_is_asked_until_it_is_mended() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.show(astray());
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.record(&domain).await;
    assert_eq!((record.state(), world.ca.orders()), (DomainState::Refused, 0));
    let failure = record.failure.clone().unwrap();
    assert_eq!((failure.cause, failure.attempts), (Cause::ChallengeWrong, 1));
    assert_eq!(failure.next_attempt_at, Some(START + Span::from_secs(60)));
    assert_eq!(record.preflight.as_deref(), Some(&astray()), "what was seen is kept");
    assert_eq!(world.kinds(&domain).await, ["attempt.failed", "domain.refused", "preflight.seen"]);
    assert_eq!(world.receiver.kinds(), ["domain.refused"], "the platform hears who must act");

    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.record(&domain).await.failure, Some(failure), "a handshake starts nothing");

    world.show(good());
    world.next_attempt(&domain).await;
    let record = world.record(&domain).await;
    assert_eq!((record.state(), world.ca.orders()), (DomainState::Issued, 1));
    assert_eq!((record.preflight, record.failure), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_wrong_delays_a_first_order_by_two_hours_at_most() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.show(astray());
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    for attempt in 1..HOLDS_MAX {
        assert_eq!(world.ca.orders(), 0);
        assert_eq!(world.record(&domain).await.failure.unwrap().attempts, attempt);
        world.next_attempt(&domain).await;
    }
    world.next_attempt(&domain).await;
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    assert_eq!(world.kinds(&domain).await.get(1).map(String::as_str), Some("preflight.overruled"));
    assert!(world.clock.now().since(START) < Span::from_secs(2 * 3_600));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_holds_nothing_back() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let unknown = || "the name servers did not answer in time".to_owned();
    world.show(Findings {
        ipv4: Looked::Unknown { detail: unknown() },
        ipv6: Looked::Unknown { detail: unknown() },
        caa: Looked::Unknown { detail: unknown() },
        path: Path::NotTried { why: unknown() },
        ..good()
    });
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    assert_eq!((world.looks(), world.ca.orders()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_goes_before_what_is_seen() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.show(astray());
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!((world.looks(), world.ca.orders()), (1, 0));
    let stored = world.entry(&domain).await.stored;
    let forced = apply::waived(apply::force(&stored.record, world.clock.now()).unwrap());
    let change = Change::of(forced, Expected::Version(stored.version));
    world.store.write(change).await.unwrap();
    let refusal = Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() };
    world.ca.reject(&domain, refusal);
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    assert_eq!((world.looks(), world.ca.orders()), (1, 1));

    // It holds for one order.
    assert!(!world.record(&domain).await.preflight_waived);
    world.next_attempt(&domain).await;
    assert_eq!((world.looks(), world.ca.orders()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_the_owners_fault_is_looked_at_and_a_renewal_is_not() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.show(good());
    // A timeout at addresses that are all edges would be ours.
    let refusal = Refusal { cause: Cause::DnsFailed, detail: "SERVFAIL looking up A".into() };
    world.ca.reject(&domain, refusal);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.record(&domain).await;
    assert_eq!((world.looks(), world.ca.orders()), (1, 1));
    assert_eq!(record.preflight.as_deref(), Some(&good()), "beside the CA's words");

    world.show(astray());
    world.next_attempt(&domain).await;
    assert_eq!((world.looks(), world.ca.orders()), (2, 1), "held back");

    world.show(good());
    world.ca.accept(&domain);
    world.next_attempt(&domain).await;
    assert_eq!((world.looks(), world.ca.orders()), (3, 2));
    world.clock.advance(Span::from_secs(61 * 86_400));
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    assert_eq!((world.looks(), world.ca.orders()), (3, 3), "renewed without a look");
}

#[tokio::test(start_paused = true)]
async fn the_order_goes_to_the_ca_that_caa_records_allow() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    let issue = |value: &str| CaaRecord {
        critical: false,
        tag: "issue".to_owned(),
        value: value.to_owned(),
    };
    let set = |value| CaaSet {
        at: "example.com".to_owned(),
        stands_at: None,
        records: vec![issue(value)],
    };
    world.show(Findings { caa: Looked::Found(set("spare.example")), ..good() });
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    assert_eq!((world.ca.orders(), world.spare.as_ref().unwrap().orders()), (0, 1));

    let neither = world.register("b.example.com").await;
    world.show(Findings { caa: Looked::Found(set(";")), ..good() });
    world.process("one").run(&neither, Ask::Demand).await.unwrap();
    let failure = world.record(&neither).await.failure.unwrap();
    assert_eq!(failure.cause, Cause::CaaForbids);
    assert!(failure.detail.contains("CAA at example.com: 0 issue \";\""), "{}", failure.detail);
    assert_eq!((world.ca.orders(), world.spare.as_ref().unwrap().orders()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_fails_is_told_as_that_when_the_ca_does_not_say_so() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let failing = || "the name servers answered Server Failure".to_owned();
    world.show(Findings {
        ipv4: Looked::Unknown { detail: failing() },
        ipv6: Looked::Unknown { detail: failing() },
        caa: Looked::Unknown { detail: failing() },
        path: Path::NotTried { why: "no address is known".to_owned() },
        ..good()
    });
    let words = "dial tcp: lookup a.example.com: server misbehaving";
    let refusal = Refusal { cause: Cause::ConnectionFailed, detail: words.to_owned() };
    world.ca.reject(&domain, refusal);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let failure = world.record(&domain).await.failure.unwrap();
    assert_eq!((failure.cause, failure.attempts), (Cause::DnsFailed, 1));
    assert!(failure.detail.starts_with(words), "{}", failure.detail);
    assert!(failure.detail.contains("Server Failure"), "{}", failure.detail);
    // Clear words need no second look: one before the order, one after it.
    assert_eq!((world.looks(), world.ca.orders()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_leads_elsewhere_is_warned_of_while_the_order_goes_well() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let stale = "198.51.100.1".parse().unwrap();
    let detail = "404 Not Found".to_owned();
    let path = Path::Elsewhere { from: stale, detail, withheld: false };
    world.show(Findings { also: vec![Place { ip: stale, path }], ..good() });
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    let events = world.store.events(&domain, 9).await.unwrap();
    let warned = events.iter().find(|event| event.kind == "preflight.warned").unwrap();
    assert!(warned.detail.contains("198.51.100.1 answered 404"), "{}", warned.detail);
}

/// What Let's Encrypt says of an edge without an answer.
fn met_503() -> Refusal {
    let detail = "203.0.113.7: Invalid response from http://a.example.com/x: 503".to_owned();
    Refusal { cause: Cause::ChallengeWrong, detail }
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_met_an_edge_without_an_answer_is_the_platforms() {
    let world = World::new().limited(Limits::default());
    let domain = world.register("a.example.com").await;
    world.show(good());
    world.ca.reject(&domain, met_503());
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.record(&domain).await;
    let failure = record.failure.clone().unwrap();
    assert_eq!((failure.cause, failure.refused), (Cause::EdgeUnavailable, false));
    assert!(failure.detail.ends_with(": 503"), "the CA's words stay: {}", failure.detail);
    assert_eq!(record.state(), DomainState::Deferred);
    assert!(!world.kinds(&domain).await.contains(&"domain.refused".to_owned()));
    assert!(!world.receiver.kinds().contains(&"domain.refused".to_owned()));
    let now = world.clock.now();
    let budget = Budget::restore(Limits::default(), record.usage["memory"].clone());
    let left = |key: fn(String) -> BucketKey| budget.left(&key(domain.to_string()), now);
    let (failures, of) = left(BucketKey::Failures);
    assert_eq!(failures + 1, of, "the CA counted it");
    let (row, of) = left(BucketKey::ConsecutiveFailures);
    assert_eq!(row, of, "and it is none of the owner's");

    // Tried again within seconds, and not on the owner's schedule.
    assert_eq!(failure.attempts, 0);
    assert!(failure.next_attempt_at.unwrap().since(now) <= Span::from_secs(10));
    world.ca.accept(&domain);
    world.next_attempt(&domain).await;
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn another_servers_503_stays_its_owners() {
    let world = World::new();
    let other = world.register("b.example.com").await;
    world.ca.reject(&other, met_503());
    world.show(astray());
    world.process("one").run(&other, Ask::Demand).await.unwrap();
    for _ in 0..HOLDS_MAX {
        world.next_attempt(&other).await;
    }
    assert_eq!(world.ca.orders_for(&other), 1);
    assert_eq!(world.record(&other).await.failure.unwrap().cause, Cause::ChallengeWrong);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_known_in_memory_until_the_order_is_over() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let away = || IssueError::Retry { after: Some(Span::from_secs(600)), detail: "503".into() };
    world.ca.fail("answer", [away()]);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let known = || world.edges.known.lock().unwrap().clone();
    assert_eq!(known(), [ChallengeToken::parse("token1").unwrap()]);
    world.clock.advance(Span::from_secs(700));
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    assert_eq!(known(), []);
}
