//! Domains that keep failing leave the places to act to the others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::time::Duration;

use crate::common::World;
use sealwax_core::issuer::Refusal;
use sealwax_core::{Cause, Span};
use sealwax_workflow::{Ask, Lane, Queue};
use tokio_util::sync::CancellationToken;

const BROKEN: usize = 40;
const GOOD: usize = 30;

#[tokio::test(start_paused = true)]
async fn domains_that_fail_again_do_not_stand_in_front_of_the_others() {
    let world = World::new();
    let mut broken = Vec::new();
    for n in 0..BROKEN {
        let domain = world.register(&format!("b{n}.example.com")).await;
        let detail = "no such name".to_owned();
        world.ca.reject(&domain, Refusal { cause: Cause::DnsNoRecord, detail });
        world.process("before").run(&domain, Ask::Demand).await.unwrap();
        broken.push(domain);
    }
    world.clock.advance(Span::from_secs(600));

    let permits = &world.platform.1;
    permits.answers.forget_permits(usize::MAX);
    permits.asked.lock().unwrap().clear();
    let queue = Queue::new(world.process("one"));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(queue.clone().serve(stop.clone()));
    // One that is worked on, then all those that fail, then the others.
    let first = world.register("first.example.com").await;
    queue.submit(&first, Lane::Request, Ask::Demand);
    tokio::time::sleep(Duration::from_millis(1)).await;
    for domain in &broken {
        queue.submit(domain, Lane::Retry, Ask::Due);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    for n in 0..GOOD {
        let domain = world.register(&format!("g{n}.example.com")).await;
        queue.submit(&domain, Lane::Request, Ask::Demand);
    }
    while permits.asked.lock().unwrap().len() < 1 + BROKEN + GOOD {
        permits.answers.add_permits(1);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = permits.asked.lock().unwrap().clone();
    let last = asked.iter().rposition(|domain| !broken.contains(domain)).unwrap();
    let before = asked.iter().take(last).filter(|domain| broken.contains(domain)).count();
    assert!(before <= BROKEN / 2, "{before} of those that fail before the last of the others");
    permits.answers.add_permits(1_000);
    stop.cancel();
    serving.await.unwrap();
}
