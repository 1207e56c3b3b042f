//! Orders whose CA goes away, or is in the configuration no more, or never finishes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::Arc;

use crate::common::ca::MemoryCa;
use crate::common::{START, World};
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::issuer::IssueError;
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Clock as _, DomainRecord, DomainState, Span, Work};
use sealwax_protocol::DomainName;
use sealwax_workflow::Ask;

const HOUR: Span = Span::from_secs(3_600);
const PATIENCE: Span = Span::from_secs(300);

fn down(times: usize) -> impl Iterator<Item = IssueError> {
    std::iter::repeat_with(|| IssueError::Retry { after: None, detail: "503".into() }).take(times)
}

fn spare(world: &World) -> &MemoryCa {
    world.spare.as_ref().unwrap()
}

async fn issued_by(world: &World, domain: &DomainName) -> Option<String> {
    world.record(domain).await.certificate.and_then(|held| held.ordered_from)
}

/// With an order at the first CA, which is away from then on.
async fn ordered() -> (World, DomainName) {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    world.ca.fail("observe", down(1_000));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert!(matches!(world.record(&domain).await.work, Work::Ordered { .. }));
    assert_eq!((world.ca.orders(), spare(&world).orders()), (1, 0));
    (world, domain)
}

#[tokio::test(start_paused = true)]
async fn an_order_at_a_ca_that_is_away_for_minutes_is_left_for_another() {
    let (world, domain) = ordered().await;
    world.next_attempt(&domain).await;
    assert_eq!(spare(&world).orders(), 0, "a blip costs no order");
    world.clock.advance(PATIENCE);
    world.next_attempt(&domain).await;
    assert_eq!(issued_by(&world, &domain).await.as_deref(), Some("spare"));
    assert!(world.kinds(&domain).await.contains(&"order.abandoned".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_order_of_an_earlier_version_is_as_old_as_its_last_write() {
    let (world, domain) = ordered().await;
    let stored = world.entry(&domain).await.stored;
    let old = DomainRecord { ordered_at: None, ..stored.record };
    world.store.write(Change::of(old, Expected::Version(stored.version))).await.unwrap();
    for _ in 0..8 {
        world.next_attempt(&domain).await;
    }
    assert_eq!(issued_by(&world, &domain).await.as_deref(), Some("spare"));
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_issuer_is_configured_no_more_is_left() {
    let (mut world, domain) = ordered().await;
    let clock = Arc::clone(&world.clock);
    world.ca = Arc::new(MemoryCa::new("renamed", clock));
    world.spare = None;
    world.clock.advance(PATIENCE);
    for _ in 0..2 {
        world.next_attempt(&domain).await;
    }
    assert_eq!(issued_by(&world, &domain).await.as_deref(), Some("renamed"));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_may_have_been_placed_does_not_hold_the_name_at_its_ca() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    let lost = || IssueError::UnknownOutcome { detail: "connection reset".to_owned() };
    world.ca.fail("place_order", std::iter::repeat_with(lost).take(100));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(spare(&world).orders(), 0, "it is asked once more first");
    world.next_attempt(&domain).await;
    assert_eq!(issued_by(&world, &domain).await.as_deref(), Some("spare"));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_kept_while_the_other_ca_has_no_room() {
    let mut world = World::new().with_spare();
    let one = Limits { orders_per_account: Limit::per(1, HOUR.scale(48, 1)), ..Limits::default() };
    world.limits.insert("spare".to_owned(), one);
    let other = world.register_with("spare", "a.other.com").await;
    world.process("one").run(&other, Ask::Demand).await.unwrap();
    let domain = world.register("a.example.com").await;
    world.ca.hang(true);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    while world.clock.now().since(START) < HOUR.scale(1, 2) {
        world.next_attempt(&domain).await;
    }
    assert!(matches!(world.record(&domain).await.work, Work::Keyed { .. }));
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_orders_no_ca_finishes_is_ordered_ever_more_rarely() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    world.ca.hang(true);
    spare(&world).hang(true);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    while world.clock.now().since(START) < HOUR.scale(24, 1) {
        world.next_attempt(&domain).await;
    }
    let orders = world.ca.orders() + spare(&world).orders();
    assert!((4..12).contains(&orders), "{orders} orders in a day");
    world.ca.hang(false);
    spare(&world).hang(false);
    while world.record(&domain).await.state() != DomainState::Issued {
        world.next_attempt(&domain).await;
    }
    assert_eq!(world.record(&domain).await.lost_orders, 0);
}
