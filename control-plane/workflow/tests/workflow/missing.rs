//! What the CA has and does not hand out yet: a certificate that begins later than our clock says,
//! and orders and certificates that its copies do not know so soon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use crate::common::World;
use sealwax_core::issuer::IssueError;
use sealwax_core::{Clock as _, DomainState, Span, Work};
use sealwax_protocol::DomainName;
use sealwax_workflow::Ask;

const MINUTE: Span = Span::from_secs(60);

fn gone(times: usize) -> impl Iterator<Item = IssueError> {
    std::iter::repeat_with(|| IssueError::OrderGone { detail: "404".to_owned() }).take(times)
}

async fn serial(world: &World, domain: &DomainName) -> Option<String> {
    world.entry(domain).await.stored.record.certificate.map(|held| held.serial)
}

/// Runs the domain when it is due next.
async fn next(world: &World, domain: &DomainName) {
    let at = world.entry(domain).await.stored.record.wake_at().unwrap();
    world.clock.advance(at.since(world.clock.now()));
    world.process("one").run(domain, Ask::Due).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_begins_in_half_an_hour_is_waited_for_and_not_ordered_again() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let old = serial(&world, &domain).await;
    world.clock.advance(Span::from_secs(61 * 86_400));
    world.ca.date_ahead(MINUTE.scale(90, 1));
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(serial(&world, &domain).await, old, "the one before is served");
    assert!(matches!(record.work, Work::Keyed { .. }), "{:?}", record.work);
    assert!(record.failure.unwrap().detail.contains("clock"));
    // Once after an hour, and once when it is valid.
    next(&world, &domain).await;
    assert_eq!(serial(&world, &domain).await, old);
    next(&world, &domain).await;
    let record = world.entry(&domain).await.stored.record;
    assert!(record.failure.is_none() && serial(&world, &domain).await != old);
    assert_eq!((world.ca.orders_for(&domain), world.ca.signed()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_begins_next_week_is_a_fault_of_the_cas() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.date_ahead(Span::from_secs(7 * 86_400));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.failure.unwrap().cause, sealwax_core::Cause::CaProtocol);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_not_found_at_once_is_fetched_again_with_its_key() {
    for times in [1, 2, 7] {
        let world = World::new();
        let domain = world.register("a.example.com").await;
        world.ca.fail("download", gone(times));
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        while world.entry(&domain).await.stored.record.certificate.is_none() {
            next(&world, &domain).await;
        }
        assert_eq!((world.ca.orders_for(&domain), world.ca.signed()), (1, 1), "{times}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_found_at_once_is_gone_on_with() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.fail("observe", gone(2));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn what_stays_lost_is_ordered_anew() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.fail("download", gone(50));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    for _ in 0..40 {
        if world.ca.orders_for(&domain) > 1 {
            return;
        }
        next(&world, &domain).await;
    }
    panic!("no other order: {:?}", world.entry(&domain).await.stored.record);
}
