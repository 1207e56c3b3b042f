//! A process that is told to stop: what is at the CA is written down, and nobody waits for a lease.
#![allow(clippy::panic, reason = "a test that cannot go on says so by a panic")]

use std::time::Duration;

use crate::common::World;
use sealwax_core::record::Work;
use sealwax_core::{DomainState, Span};
use sealwax_workflow::{Ask, Lane, Queue};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

struct Working {
    queue: Queue,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

fn working(world: &World, holder: &str) -> Working {
    let (queue, stop) = (Queue::new(world.process(holder)), CancellationToken::new());
    let served = tokio::spawn(queue.clone().serve(stop.clone()));
    Working { queue, stop, served }
}

async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not come to that");
}

#[tokio::test(start_paused = true)]
async fn an_order_the_ca_took_is_written_down_and_the_next_one_goes_on_with_it_at_once() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    let answers = world.ca.answers.acquire_many(1_000_000).await.unwrap();
    let one = working(&world, "one");
    one.queue.submit(&domain, Lane::Request, Ask::Demand);
    until(|| world.ca.orders_for(&domain) == 1).await;
    one.stop.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!one.served.is_finished(), "the order's URL is not written yet");
    let told = Instant::now();
    drop(answers);
    one.served.await.unwrap();
    assert_eq!(told.elapsed(), Duration::ZERO, "and then it waits for nothing");

    let record = world.entry(&domain).await.stored.record;
    assert!(matches!(&record.work, Work::Ordered { .. }), "{:?}", record.work);
    assert_eq!(record.lease, None);
    assert!(record.wake_at().is_some_and(|at| at <= record.updated_at), "due now");
    world.process("two").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_ca_or_the_platform_is_handed_over_at_once() {
    let world = World::shared();
    let (stalled, asking) =
        (world.register("a.example.com").await, world.register("b.example.com").await);
    world.ca.stall(&stalled);
    let one = working(&world, "one");
    one.queue.submit(&stalled, Lane::Request, Ask::Demand);
    // Validating, and looked at from time to time.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let answers = world.platform.1.answers.available_permits();
    let answers = u32::try_from(answers).unwrap();
    let answers = world.platform.1.answers.acquire_many(answers).await.unwrap();
    one.queue.submit(&asking, Lane::Request, Ask::Demand);
    until(|| world.platform.1.asked.lock().unwrap().contains(&asking)).await;
    let told = Instant::now();
    one.stop.cancel();
    one.queue.submit(&world.register("late.example.com").await, Lane::Request, Ask::Demand);
    one.served.await.unwrap();
    assert_eq!(told.elapsed(), Duration::ZERO);
    assert_eq!(one.queue.in_flight(), 0);
    drop(answers);

    let record = world.entry(&stalled).await.stored.record;
    assert!(record.work.in_flight() && record.lease.is_none(), "{record:?}");
    assert!(!world.entry(&asking).await.stored.record.work.in_flight());
    // Nobody has to watch a lease first.
    let two = world.process("two");
    let going_on = tokio::spawn(async move { two.run(&stalled, Ask::Due).await });
    let name = record.domain.clone();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let record = world.entry(&name).await.stored.record;
    assert_eq!(record.lease.map(|lease| lease.holder).as_deref(), Some("two"));
    going_on.abort();
    assert_eq!(world.ca.orders(), 1, "what was not begun does not begin");
    world.clock.advance(Span::from_secs(1));
}
