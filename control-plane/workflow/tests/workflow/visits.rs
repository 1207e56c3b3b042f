//! What visits may not do: ask a CA that wants to be left alone, or order on the word of a store
//! that is not the known one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::Ordering;

use crate::common::World;
use sealwax_core::issuer::{IssueError, LimitScope};
use sealwax_core::{Clock as _, DomainState, Span};
use sealwax_protocol::DomainName;
use sealwax_workflow::{Ask, Workflow};

fn asked(world: &World, call: &str) -> usize {
    world.tripwire.effects().iter().filter(|name| **name == call).count()
}

/// A visit every five seconds, for a while.
async fn visits(world: &World, process: &Workflow, domain: &DomainName, times: usize) {
    for _ in 0..times {
        world.clock.advance(Span::from_secs(5));
        process.run(domain, Ask::Demand).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_name_that_says_no_moment_is_not_asked_about_by_each_visit() {
    let world = World::new();
    let process = world.process("one");
    let domain = world.register("a.example.com").await;
    let limited = || IssueError::RateLimited {
        until: world.clock.now(),
        scope: LimitScope::Name,
        detail: "429".to_owned(),
    };
    world.ca.fail("place_order", std::iter::repeat_with(limited).take(1_000));
    process.run(&domain, Ask::Demand).await.unwrap();
    visits(&world, &process, &domain, 120).await;
    let asked = asked(&world, "place_order");
    assert!(asked < 10, "{asked} requests in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_first_certificate_that_begins_later_is_not_fetched_by_each_visit() {
    let world = World::new();
    let process = world.process("one");
    let domain = world.register("a.example.com").await;
    world.ca.date_ahead(Span::from_secs(1_800));
    process.run(&domain, Ask::Demand).await.unwrap();
    visits(&world, &process, &domain, 60).await;
    assert_eq!(asked(&world, "download"), 1);
    world.next_attempt(&domain).await;
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_not_the_known_one_orders_nothing_for_the_first_time() {
    let world = World::new();
    let process = world.process("one");
    let renewed = world.register("a.renewed.com").await;
    process.run(&renewed, Ask::Demand).await.unwrap();
    world.trusted.store(false, Ordering::SeqCst);
    let domain = world.register("a.example.com").await;
    let version = world.entry(&domain).await.stored.version;
    visits(&world, &process, &domain, 20).await;
    assert_eq!(world.ca.orders_for(&domain), 0);
    assert_eq!(world.entry(&domain).await.stored.version, version, "nothing is written");
    world.clock.advance(Span::from_secs(61 * 86_400));
    process.run(&renewed, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders_for(&renewed), 2, "what is served does not end for it");
    world.trusted.store(true, Ordering::SeqCst);
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
}

/// The order was about to be placed when the copy was taken.
#[tokio::test(start_paused = true)]
async fn an_order_that_an_older_copy_was_about_to_place_is_not_placed() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let lost = IssueError::UnknownOutcome { detail: "connection reset".to_owned() };
    world.ca.fail("place_order", [lost]);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    world.trusted.store(false, Ordering::SeqCst);
    for _ in 0..5 {
        world.next_attempt(&domain).await;
        world.clock.advance(Span::from_secs(60));
    }
    assert_eq!(world.ca.orders_for(&domain), 0);
    world.trusted.store(true, Ordering::SeqCst);
    world.next_attempt(&domain).await;
    assert_eq!(world.ca.orders_for(&domain), 1);
}
