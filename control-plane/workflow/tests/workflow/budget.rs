//! A CA's limits, kept by all replicas together.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::World;
use crate::common::tripwire::Side;
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::issuer::{IssueError, LimitScope, Refusal};
use sealwax_core::store::Store as _;
use sealwax_core::{Cause, Clock as _, DomainState, Span};
use sealwax_protocol::DomainName;
use sealwax_store::memory::{Fault, Operation};
use sealwax_workflow::Ask;

const HOUR: Span = Span::from_secs(3_600);
const MINUTE: Span = Span::from_secs(60);

pub(crate) fn orders(count: u64, period: Span) -> Limits {
    Limits { orders_per_account: Limit::per(count, period), ..Limits::default() }
}

fn broken() -> Refusal {
    Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn no_order_is_placed_beyond_the_accounts_limit_and_the_rest_wait_in_line() {
    let world = World::shared().limited(orders(3, HOUR));
    let replicas = [world.process("one"), world.process("two")];
    let mut waiting = Vec::new();
    for number in 0..8 {
        let domain = world.register(&format!("a.site{number}.com")).await;
        replicas[number % 2].run(&domain, Ask::Demand).await.unwrap();
        let record = world.entry(&domain).await.stored.record;
        if record.state() == DomainState::Deferred {
            let failure = record.failure.unwrap();
            assert_eq!((failure.cause, failure.attempts), (Cause::CaRateLimited, 0));
            let turn = failure.next_attempt_at.unwrap().since(world.clock.now());
            assert!(turn <= MINUTE, "nobody knows now what there is room for then: {turn:?}");
            waiting.push(domain);
        }
    }
    assert_eq!((world.ca.orders(), waiting.len()), (3, 5), "two replicas share one budget");
    for issued in 4..=8 {
        let minutes = if issued == 4 { 20 } else { 19 };
        for minute in 0..=minutes {
            for domain in &waiting {
                replicas[minute % 2].run(domain, Ask::Due).await.unwrap();
            }
            world.clock.advance(MINUTE);
        }
        assert_eq!(world.ca.orders(), issued, "one in twenty minutes");
    }
    for domain in waiting {
        assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    }
}

/// However long it waits, it is written once.
#[tokio::test(start_paused = true)]
async fn a_name_that_waits_is_written_once_and_the_platform_is_not_asked_again() {
    let world = World::shared().limited(orders(1, HOUR));
    let process = world.process("one");
    for label in ["a", "b"] {
        let domain = world.register(&format!("a.{label}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
    }
    let waits = DomainName::parse("a.b.com").unwrap();
    let version = world.entry(&waits).await.stored.version;
    let asked = world.platform.1.asked.lock().unwrap().len();
    for _ in 0..59 {
        world.clock.advance(MINUTE);
        process.run(&waits, Ask::Due).await.unwrap();
    }
    assert_eq!(world.entry(&waits).await.stored.version, version);
    assert_eq!(world.platform.1.asked.lock().unwrap().len(), asked);
    world.clock.advance(MINUTE);
    process.run(&waits, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&waits).await.stored.record.state(), DomainState::Issued);
}

/// A turn that is written down is none that a change of the limits comes too late for.
#[tokio::test(start_paused = true)]
async fn limits_that_are_raised_hold_for_those_who_wait_already() {
    let mut world = World::shared().limited(orders(1, HOUR));
    let domain = world.register("a.two.com").await;
    let first = world.register("a.one.com").await;
    let process = world.process("one");
    process.run(&first, Ask::Demand).await.unwrap();
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Deferred);
    // One comes back in 400 s instead of an hour.
    world.limits.insert("memory".to_owned(), orders(9, HOUR));
    world.clock.advance(MINUTE.scale(7, 1));
    world.process("restarted").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn a_visit_to_a_name_that_waits_uses_what_is_kept_for_visits() {
    let world = World::shared().limited(orders(20, HOUR));
    let process = world.process("one");
    for number in 0..20 {
        let domain = world.register(&format!("a.site{number}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
    }
    let domain = world.register("a.waits.com").await;
    process.run(&domain, Ask::Demand).await.unwrap();
    world.clock.advance(MINUTE + MINUTE + MINUTE);
    process.run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Deferred, "one is there, and two are kept");
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
}

fn away() -> IssueError {
    IssueError::Retry { after: None, detail: "connection refused".to_owned() }
}

/// What is left of a document's buckets.
async fn used(world: &World, name: &str) -> usize {
    let document = world.store.document(name).await.unwrap();
    let Some(document) = document else { return 0 };
    serde_json::from_str::<Vec<serde_json::Value>>(&document.text).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_away_spends_nothing() {
    let limits = Limits { tenant_share_permille: 500, ..Limits::default() };
    let world = World::shared().limited(limits);
    let process = world.process("one");
    world.ca.fail("place_order", std::iter::repeat_n(away(), 1_000));
    let mut names = Vec::new();
    for number in 0..20 {
        names.push(world.register_for("t", &format!("a.site{number}.com")).await);
    }
    for _ in 0..30 {
        for domain in &names {
            process.run(domain, Ask::Demand).await.unwrap();
            process.run(domain, Ask::Due).await.unwrap();
        }
        world.clock.advance(Span::from_secs(20));
    }
    assert_eq!(world.ca.orders(), 0);
    assert_eq!(used(&world, "budget#memory").await, 0, "no order, no token");
    assert_eq!(used(&world, "budget#memory#tenant#t").await, 0);
    for (number, domain) in names.iter().enumerate() {
        assert_eq!(used(&world, &format!("budget#memory#site{number}.com")).await, 0);
        let record = world.entry(domain).await.stored.record;
        assert!(record.usage.values().all(sealwax_core::budget::BudgetState::is_empty));
    }
}

/// Each answer of a CA that certainly has no order gives the token back; one that may have an
/// order does not. What counts certificates is given back all the same: of an order that nobody
/// knows none comes.
#[tokio::test(start_paused = true)]
async fn a_token_is_given_back_exactly_when_the_ca_certainly_has_no_order() {
    let limited = |scope| IssueError::RateLimited {
        until: crate::common::START,
        scope,
        detail: "slow down".to_owned(),
    };
    let detail = || "no".to_owned();
    for (error, kept) in [
        (away(), 0),
        (limited(LimitScope::Account), 0),
        (limited(LimitScope::Ca), 0),
        (IssueError::Refused(broken()), 0),
        (IssueError::Misconfigured { detail: detail() }, 0),
        (IssueError::Protocol { detail: detail() }, 0),
        (IssueError::Paused { detail: detail() }, 0),
        (IssueError::UnknownOutcome { detail: detail() }, 1),
    ] {
        let world = World::shared().limited(Limits::default());
        let domain = world.register("a.site.com").await;
        world.ca.fail("place_order", std::iter::repeat_n(error.clone(), 9));
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        assert_eq!(used(&world, "budget#memory").await, kept, "{error}");
        assert_eq!(used(&world, "budget#memory#site.com").await, 0, "{error}");
        let record = world.entry(&domain).await.stored.record;
        let own = record.usage.values().filter(|used| !used.is_empty()).count();
        assert_eq!(own, 0, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_order_at_once_never_spend_one_token_twice() {
    let world = World::shared().limited(orders(5, HOUR));
    let replicas = [world.process("one"), world.process("two"), world.process("three")];
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..24 {
        let domain = world.register(&format!("a.site{number}.com")).await;
        let replica = replicas[number % 3].clone();
        runs.spawn(async move { replica.run(&domain, Ask::Demand).await.map(|_| ()) });
    }
    while let Some(run) = runs.join_next().await {
        // A store that is contended leaves the domain to the sweep: never an order too many.
        drop(run.unwrap());
    }
    assert!(world.ca.orders() <= 5, "{} orders", world.ca.orders());
    assert!(world.ca.orders() >= 1);
}

#[tokio::test(start_paused = true)]
async fn failing_names_leave_half_of_the_orders_to_the_others() {
    let world = World::new().limited(orders(10, Span::from_secs(30 * 86_400)));
    let process = world.process("one");
    let mut broken_ones = Vec::new();
    for number in 0..4 {
        let domain = world.register(&format!("a.broken{number}.com")).await;
        world.ca.reject(&domain, broken());
        process.run(&domain, Ask::Demand).await.unwrap();
        broken_ones.push(domain);
    }
    for _ in 0..6 {
        world.clock.advance(Span::from_secs(600));
        for domain in &broken_ones {
            process.run(domain, Ask::Due).await.unwrap();
        }
    }
    let spent = world.ca.orders();
    assert!(spent <= 5, "{spent} of 10 orders went to names that fail");
    let good = world.register("a.good.com").await;
    process.run(&good, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&good).await.stored.record.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn a_name_stops_before_the_ca_counts_its_last_failure() {
    let limits = Limits { failures_per_name: Limit::per(2, HOUR), ..Limits::default() };
    let world = World::new().limited(limits);
    let domain = world.register("a.example.com").await;
    world.ca.reject(&domain, broken());
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    world.clock.advance(Span::from_secs(61));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 2);
    world.clock.advance(Span::from_secs(601));
    process.run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(world.ca.orders_for(&domain), 2, "the limit is the name's own");
    let failure = record.failure.unwrap();
    assert_eq!(failure.cause, Cause::DnsNoRecord, "what is wrong stays in view");
    assert!(failure.next_attempt_at.unwrap() <= world.clock.now(), "due when there is room");
    world.clock.advance(HOUR);
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_ca_says_corrects_the_count_for_all_names_and_replicas() {
    let world = World::shared().limited(Limits::default());
    let until = world.clock.now() + HOUR;
    let limited = IssueError::RateLimited {
        until,
        scope: LimitScope::Account,
        detail: "too many new orders".to_owned(),
    };
    world.ca.fail("place_order", [limited]);
    let first = world.register("a.one.com").await;
    world.process("one").run(&first, Ask::Demand).await.unwrap();
    let second = world.register("a.two.com").await;
    world.process("two").run(&second, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders(), 0, "the second was not even asked for");
    world.clock.advance(HOUR.less(MINUTE));
    world.process("three").run(&second, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders(), 0, "not before the CA's moment");
    world.clock.advance(MINUTE);
    world.process("three").run(&second, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders(), 1);
}

#[tokio::test(start_paused = true)]
async fn renewals_are_exempt_from_the_accounts_limit() {
    let world = World::new().limited(orders(1, Span::from_secs(400 * 86_400)));
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    world.clock.advance(Span::from_secs(61 * 86_400));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 2);
    let other = world.register("b.example.org").await;
    process.run(&other, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders_for(&other), 0);
}

#[tokio::test(start_paused = true)]
async fn a_registered_domain_has_a_limit_that_costs_the_account_nothing() {
    let limits = Limits {
        certificates_per_registered_domain: Limit::per(1, HOUR),
        ..orders(2, Span::from_secs(400 * 86_400))
    };
    let world = World::new().limited(limits);
    let process = world.process("one");
    for label in ["a", "b", "c", "d"] {
        let domain = world.register(&format!("{label}.example.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
    }
    assert_eq!(world.ca.orders(), 1);
    let other = world.register("a.example.org").await;
    process.run(&other, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders(), 2);
}

/// Dying at any moment loses tokens at most: the CA never sees more orders than the limit.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_effect_never_exceeds_the_limit() {
    for side in [Side::Before, Side::After] {
        for nth in 0..24 {
            let world = World::new().limited(orders(2, Span::from_secs(400 * 86_400)));
            let domain = world.register("a.example.com").await;
            world.tripwire.arm(nth, side);
            let process = world.process("one");
            tokio::select! {
                _ = process.run(&domain, Ask::Demand) => {}
                () = world.tripwire.dead.notified() => {}
            }
            world.tripwire.disarm();
            for label in ["b", "c", "d"] {
                let other = world.register(&format!("a.{label}.com")).await;
                world.process("two").run(&other, Ask::Demand).await.unwrap();
            }
            world.clock.advance(HOUR);
            world.process("two").run(&domain, Ask::Demand).await.unwrap();
            assert!(world.ca.orders() <= 2, "{side:?} {nth}: {} orders", world.ca.orders());
        }
    }
}

/// The account's and the tenant's tokens are taken before the registered domain's, and given back
/// when that one cannot be.
#[tokio::test(start_paused = true)]
async fn what_was_taken_is_given_back_when_the_rest_cannot_be() {
    let limits = Limits { tenant_share_permille: 500, ..orders(4, Span::from_secs(400 * 86_400)) };
    let world = World::new().limited(limits);
    let domain = world.register_for("t", "a.site.com").await;
    let puts = AtomicUsize::new(0);
    world.store.set_faults(Some(Arc::new(move |operation| {
        let put = operation == Operation::PutDocument;
        let third = put && puts.fetch_add(1, Ordering::SeqCst) == 2;
        third.then_some(Fault::Refused)
    })));
    world.process("one").run(&domain, Ask::Demand).await.ok();
    world.store.set_faults(None);
    assert_eq!(world.ca.orders(), 0);
    for name in ["budget#memory", "budget#memory#tenant#t"] {
        let document = world.store.document(name).await.unwrap().unwrap();
        assert_eq!(document.text, "[]", "{name}: nothing is used");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_the_same_for_every_replica() {
    let world = World::shared().limited(orders(3, HOUR));
    let (one, two) = (world.process("one"), world.process("two"));
    let left = async |replica: &sealwax_workflow::Workflow| {
        let queue = sealwax_workflow::Queue::new(replica.clone());
        let all = queue.budgets_left(world.clock.now()).await.unwrap();
        let found = all.into_iter().find(|one| one.limit == "orders").unwrap();
        (found.left, found.of)
    };
    assert_eq!(left(&one).await, (3, 3));
    let domain = world.register("a.site.com").await;
    one.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(left(&one).await, (2, 3));
    assert_eq!(left(&two).await, (2, 3), "read from what both share");
    world.clock.advance(Span::from_secs(1_200));
    assert_eq!(left(&two).await, (3, 3));
}
