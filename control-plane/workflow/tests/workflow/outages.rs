//! Infrastructure is away: nobody's failure, over as soon as it is back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use crate::common::{START, World};
use sealwax_core::budget::Limits;
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::permission::Verdict;
use sealwax_core::store::Store as _;
use sealwax_core::{Cause, Clock as _, DomainRecord, DomainState, Failure, Span};
use sealwax_protocol::DomainName;
use sealwax_workflow::{Ask, Workflow};

const VISIT: Span = Span::from_secs(5);

async fn record(world: &World, domain: &DomainName) -> DomainRecord {
    world.entry(domain).await.stored.record
}

async fn failure(world: &World, domain: &DomainName) -> Failure {
    record(world, domain).await.failure.unwrap()
}

/// Waits for the schedule's word and goes on.
async fn when_due(world: &World, process: &Workflow, domain: &DomainName) -> Span {
    let next = record(world, domain).await.wake_at().unwrap();
    let waited = next.since(world.clock.now());
    world.clock.advance(waited);
    process.run(domain, Ask::Due).await.unwrap();
    waited
}

fn platform(world: &World, verdict: Verdict) {
    *world.platform.0.lock().unwrap() = verdict;
}

fn away() -> Verdict {
    Verdict::Unknown { detail: "it answered 500".into() }
}

fn down() -> IssueError {
    IssueError::Retry { after: None, detail: "503".into() }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_was_away_for_seconds_costs_a_visitor_seconds() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    platform(&world, away());
    process.run(&domain, Ask::Demand).await.unwrap();
    let stalled = failure(&world, &domain).await;
    assert_eq!((stalled.attempts, stalled.stalls), (0, 1));
    assert_eq!(record(&world, &domain).await.state(), DomainState::Deferred);

    platform(&world, Verdict::Granted);
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 0, "the next visit asks after five seconds");
    world.clock.advance(VISIT);
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(record(&world, &domain).await.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn visits_during_an_outage_leave_the_schedules_clock_alone_and_tell_nothing_twice() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    platform(&world, away());
    process.run(&domain, Ask::Demand).await.unwrap();
    for _ in 0..4 {
        when_due(&world, &process, &domain).await;
    }
    let scheduled = failure(&world, &domain).await;
    assert_eq!(scheduled.stalls, 5);
    let events = world.store.events(&domain, 99).await.unwrap().len();
    for _ in 0..8 {
        world.clock.advance(VISIT);
        process.run(&domain, Ask::Demand).await.unwrap();
    }
    assert_eq!(failure(&world, &domain).await, scheduled);
    assert_eq!(world.store.events(&domain, 99).await.unwrap().len(), events);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_hours_every_name_is_tried_within_ten_minutes() {
    for renewal in [false, true] {
        let world = World::new();
        let domain = world.register("a.example.com").await;
        let process = world.process("one");
        if renewal {
            process.run(&domain, Ask::Demand).await.unwrap();
            // Not when it is looked at next: nobody looks at one whose renewal failed.
            let held = record(&world, &domain).await.certificate.unwrap();
            world.clock.advance(held.renew_at.unwrap().since(START));
        }
        platform(&world, away());
        process.run(&domain, if renewal { Ask::Due } else { Ask::Demand }).await.unwrap();
        for _ in 0..40 {
            let waited = when_due(&world, &process, &domain).await;
            assert!(waited <= Span::from_secs(600), "{waited:?}");
        }
        platform(&world, Verdict::Granted);
        when_due(&world, &process, &domain).await;
        let record = record(&world, &domain).await;
        assert_eq!((record.state(), record.failure), (DomainState::Issued, None));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_ten_minutes_tells_the_platform_nothing_and_a_longer_one_once() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    platform(&world, away());
    process.run(&domain, Ask::Demand).await.unwrap();
    while world.clock.now().since(START) < Span::from_secs(600) {
        assert_eq!(world.receiver.kinds(), Vec::<String>::new());
        when_due(&world, &process, &domain).await;
    }
    while world.clock.now().since(START) < Span::from_secs(7_200) {
        when_due(&world, &process, &domain).await;
    }
    assert_eq!(world.receiver.kinds(), ["certificate.failed"]);
    let events = world.store.events(&domain, 99).await.unwrap();
    let stalls = events.iter().filter(|event| event.kind == "attempt.stalled").count();
    assert_eq!(stalls, 7, "what is known to last is not told again");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_owners_is_counted_on_where_it_was_before_the_outage() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    world.ca.reject(&domain, Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() });
    process.run(&domain, Ask::Demand).await.unwrap();
    when_due(&world, &process, &domain).await;
    platform(&world, away());
    for _ in 0..5 {
        when_due(&world, &process, &domain).await;
    }
    let behind = failure(&world, &domain).await;
    assert_eq!((behind.cause, behind.attempts), (Cause::PlatformUnavailable, 2));
    world.clock.advance(VISIT);
    platform(&world, Verdict::Granted);
    when_due(&world, &process, &domain).await;
    let again = failure(&world, &domain).await;
    assert_eq!((again.cause, again.attempts, again.stalls), (Cause::DnsNoRecord, 3, 0));
    let refused = world.receiver.kinds().iter().filter(|kind| *kind == "domain.refused").count();
    assert_eq!(refused, 1, "it is no news after the outage");
}

#[tokio::test(start_paused = true)]
async fn a_visit_goes_on_with_an_order_that_an_outage_stopped() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    world.ca.fail("finalize", [down(), down(), down()]);
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(record(&world, &domain).await.state(), DomainState::Deferred);
    world.clock.advance(VISIT);
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(record(&world, &domain).await.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1, "the same order");
}

/// What is not answered may have been placed, but no certificate comes of it: it does not use up
/// what one name may have in a week, and the outage is over when the CA is back.
#[tokio::test(start_paused = true)]
async fn answers_that_get_lost_do_not_use_up_what_a_name_may_have() {
    let world = World::shared().limited(Limits::default());
    let domain = world.register("shop.example.com").await;
    let process = world.process("one");
    let lost = || IssueError::UnknownOutcome { detail: "connection reset".to_owned() };
    world.ca.fail("place_order", std::iter::repeat_with(lost).take(40));
    for _ in 0..40 {
        process.run(&domain, Ask::Demand).await.unwrap();
        world.clock.advance(Span::from_secs(600));
    }
    world.ca.mend("place_order");
    process.run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued, "{:?}", record.failure);
}
