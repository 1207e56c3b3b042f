//! The workflow on a reference store and a CA in memory.

use std::time::Duration;

use crate::common::World;
use crate::common::tripwire::Side;
use sealwax_core::issuer::{IssueError, LimitScope, Refusal};
use sealwax_core::permission::Verdict;
use sealwax_core::store::Store as _;
use sealwax_core::{Cause, DomainState, Span};
use sealwax_protocol::ChallengeToken;
use sealwax_workflow::Ask;

#[tokio::test(start_paused = true)]
async fn a_demand_ends_in_a_served_certificate_and_one_order() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let rested = world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let entry = world.entry(&domain).await;
    let record = entry.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!(record.lease, None);
    assert!(entry.certificate.is_some());
    assert_eq!(rested.until, record.wake_at());
    let renew_at = record.certificate.as_ref().and_then(|held| held.renew_at);
    assert_eq!(record.scheduled_at(), renew_at);
    assert_eq!(world.ca.orders_for(&domain), 1);
    assert!(world.heard.0.lock().unwrap().contains(&domain), "caches and edges are told");
    let token = ChallengeToken::parse("token1").unwrap();
    assert!(world.store.challenge(&token).await.unwrap().is_none(), "the answer is withdrawn");
    assert_eq!(world.store.events(&domain, 9).await.unwrap()[0].kind, "certificate.issued");
}

#[tokio::test(start_paused = true)]
async fn a_due_certificate_is_renewed_and_the_old_one_stays_until_then() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    let first = world.entry(&domain).await;
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await, first, "not due: nothing happens");
    world.clock.advance(Span::from_secs(61 * 86_400));
    process.run(&domain, Ask::Due).await.unwrap();
    let second = world.entry(&domain).await;
    assert_ne!(second.certificate, first.certificate);
    assert_eq!(world.ca.orders_for(&domain), 2);
    assert_eq!(world.store.events(&domain, 9).await.unwrap()[0].kind, "certificate.renewed");
}

/// Every crash ends in one certificate. No second order is placed, but for the one window no
/// client can close: the CA took the order and its answer was not written down yet.
#[tokio::test(start_paused = true)]
async fn a_crash_before_or_after_any_effect_resumes_the_same_order() {
    let effects = {
        let world = World::new();
        let domain = world.register("a.example.com").await;
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        world.tripwire.effects()
    };
    assert!(effects.len() >= 9, "{effects:?}");
    for (nth, effect) in effects.iter().enumerate() {
        for side in [Side::Before, Side::After] {
            let world = World::new();
            let domain = world.register("a.example.com").await;
            world.dies(nth, side, &domain, Ask::Demand).await;

            // The demand itself is repeated: a crash before the first write forgets it.
            let next = world.process("two");
            world.clock.advance(Span::from_secs(31));
            for _ in 0..3 {
                next.run(&domain, Ask::Demand).await.unwrap();
                tokio::time::advance(Duration::from_secs(31)).await;
            }
            let entry = world.entry(&domain).await;
            let place = format!("{side:?} {effect} ({nth})");
            assert_eq!(entry.stored.record.state(), DomainState::Issued, "{place}");
            let lost = nth_is_lost_order(&effects, nth, side);
            let orders = world.ca.orders_for(&domain);
            assert_eq!(orders, if lost { 2 } else { 1 }, "{place}");
            assert_eq!(world.ca.signed(), 1, "{place}");
        }
    }
}

/// Between the CA's answer to the order and the write that remembers it.
fn nth_is_lost_order(effects: &[&str], nth: usize, side: Side) -> bool {
    let placed = effects.iter().position(|effect| *effect == "place_order");
    (Some(nth) == placed && side == Side::After)
        || (nth.checked_sub(1) == placed && side == Side::Before)
}

#[tokio::test(start_paused = true)]
async fn another_process_takes_over_only_after_the_lease_was_silent() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    world.dies(3, Side::After, &domain, Ask::Demand).await;

    let next = world.process("two");
    // A wall clock that runs ahead by a day changes nothing: silence is timed, not computed.
    world.clock.advance(Span::from_secs(86_400));
    next.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issuing);
    tokio::time::advance(Duration::from_secs(29)).await;
    next.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issuing);
    tokio::time::advance(Duration::from_secs(1)).await;
    next.run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!(record.fence, 2, "the new holder raised the fence");
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_waits_for_the_ca_is_not_taken_over_from() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    let after = Some(Span::from_secs(25));
    let busy = || IssueError::Retry { after, detail: "503".into() };
    world.ca.fail("place_order", [busy(), busy()]);
    let (one, two) = (world.process("one"), world.process("two"));
    let name = domain.clone();
    let working = tokio::spawn(async move { one.run(&name, Ask::Demand).await });
    // The second process looks each second, for longer than a lease lasts.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        two.run(&domain, Ask::Due).await.unwrap();
    }
    working.await.unwrap().unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!((record.fence, world.ca.orders_for(&domain)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_ca_is_sat_out_within_the_run() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let down = || IssueError::Retry { after: None, detail: "503".into() };
    world.ca.fail("place_order", [down(), down()]);
    world.ca.fail("download", [down(), down()]);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_is_left_to_the_schedule_and_the_order_is_kept() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let down = || IssueError::Retry { after: None, detail: "503".into() };
    world.ca.fail("finalize", [down(), down(), down()]);
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Deferred);
    let failure = record.failure.as_ref().unwrap();
    assert_eq!((failure.attempts, failure.stalls), (0, 1), "nobody's failure");
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(
        world.entry(&domain).await.stored.record,
        record,
        "a handshake does not ask at once again"
    );
    world.clock.advance(Span::from_secs(60));
    process.run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!(record.failure, None);
    assert_eq!(world.ca.orders_for(&domain), 1, "the same order");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_is_looked_for_before_anything_is_done_again() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let lost = || IssueError::UnknownOutcome { detail: "reset".into() };
    world.ca.fail("answer", [lost()]);
    world.ca.fail("finalize", [lost()]);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_ready_any_more_is_looked_at_and_not_finalized_again() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let after = Some(Span::from_secs(30));
    world.ca.fail("finalized", [IssueError::Retry { after, detail: "orderNotReady".into() }]);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn a_domain_the_ca_cannot_validate_is_refused_with_a_reason_and_tried_again_later() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let refusal = Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() };
    world.ca.reject(&domain, refusal);
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Refused);
    let failure = record.failure.clone().unwrap();
    assert_eq!((failure.cause, failure.attempts), (Cause::DnsNoRecord, 1));
    assert_eq!(world.store.events(&domain, 9).await.unwrap()[0].kind, "attempt.failed");
    for attempt in 2..6 {
        let next = world.entry(&domain).await.stored.record.wake_at().unwrap();
        world.clock.advance(next.since(sealwax_core::Clock::now(&*world.clock)));
        process.run(&domain, Ask::Due).await.unwrap();
        let failure = world.entry(&domain).await.stored.record.failure.unwrap();
        assert_eq!(failure.attempts, attempt);
    }
    world.ca.accept(&domain);
    world.clock.advance(Span::from_secs(2 * 86_400));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_defers_without_another_order() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let until = crate::common::START + Span::from_secs(7_200);
    let limited =
        IssueError::RateLimited { until, scope: LimitScope::Account, detail: "too many".into() };
    world.ca.fail("place_order", [limited]);
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert!(record.wake_at().unwrap() >= until);
    assert_eq!(world.ca.orders_for(&domain), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ordered_unless_the_platform_agrees() {
    for (verdict, state) in [
        (Verdict::Denied, DomainState::Refused),
        (Verdict::Gone, DomainState::Deferred),
        (Verdict::Unknown { detail: "500".into() }, DomainState::Deferred),
    ] {
        let world = World::new();
        let domain = world.register("a.example.com").await;
        *world.platform.0.lock().unwrap() = verdict;
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        assert_eq!(world.entry(&domain).await.stored.record.state(), state);
        assert_eq!(world.ca.orders_for(&domain), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_answer_does_not_end_the_serving() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    world.clock.advance(Span::from_secs(61 * 86_400));
    *world.platform.0.lock().unwrap() = Verdict::Unknown { detail: "500".into() };
    process.run(&domain, Ask::Due).await.unwrap();
    let entry = world.entry(&domain).await;
    assert!(entry.certificate.is_some());
    assert_eq!(entry.stored.record.state(), DomainState::Deferred);
}

fn timed_out() -> Refusal {
    Refusal { cause: Cause::ConnectionFailed, detail: "Timeout during connect".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_left_open_after_a_failure_is_answered_again_and_says_why() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.complain(&domain, timed_out(), 2);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!((world.ca.answers(), world.ca.orders_for(&domain)), (3, 1));
    let events = world.store.events(&domain, 9).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["certificate.issued", "validation.retried", "validation.retried"]);
    assert!(events[1].detail.contains("Timeout during connect"), "{}", events[1].detail);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_is_left_open_for_good_is_a_failed_validation_with_its_cause() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.complain(&domain, timed_out(), u32::MAX);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    let failure = record.failure.unwrap();
    assert_eq!((failure.cause, failure.attempts), (Cause::ConnectionFailed, 1));
    assert_eq!(failure.detail, "Timeout during connect");
    assert_eq!(world.ca.answers(), 4, "a bounded number of times");
    assert!(!record.work.in_flight());
}
