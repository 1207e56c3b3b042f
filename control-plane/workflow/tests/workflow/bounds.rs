//! What never ends by itself is ended: an order the CA does not finish, a run, a wait.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::World;
use sealwax_core::issuer::Refusal;
use sealwax_core::store::Store as _;
use sealwax_core::{Cause, Clock as _, DomainRecord, DomainState, Span};
use sealwax_protocol::DomainName;
use sealwax_workflow::Ask;

const DAY: Span = Span::from_secs(86_400);

async fn record(world: &World, domain: &DomainName) -> DomainRecord {
    world.entry(domain).await.stored.record
}

async fn wait_until_due(world: &World, domain: &DomainName) {
    let next = record(world, domain).await.wake_at().unwrap();
    world.clock.advance(next.since(world.clock.now()));
}

async fn wait_for_attempt(world: &World, domain: &DomainName) {
    let next = record(world, domain).await.failure.unwrap().next_attempt_at.unwrap();
    world.clock.advance(next.since(world.clock.now()));
}

/// Writes of the record so far.
async fn writes(world: &World, domain: &DomainName) -> u64 {
    world.entry(domain).await.stored.version.0
}

#[tokio::test(start_paused = true)]
async fn an_order_left_in_processing_rests_after_its_time_whoever_is_to_be_told() {
    for (away, resting) in [(false, false), (true, false), (false, true)] {
        let world = World::new();
        let domain = world.register("a.example.com").await;
        world.ca.hang(true);
        world.receiver.away.store(away, Ordering::SeqCst);
        world.receiver.resting.store(resting, Ordering::SeqCst);
        let process = world.process("one");
        // Something is to be told from the first attempt on.
        *world.platform.0.lock().unwrap() = sealwax_core::permission::Verdict::Denied;
        process.run(&domain, Ask::Demand).await.unwrap();
        *world.platform.0.lock().unwrap() = sealwax_core::permission::Verdict::Granted;
        wait_for_attempt(&world, &domain).await;
        let before = writes(&world, &domain).await;
        let began = tokio::time::Instant::now();
        process.run(&domain, Ask::Due).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(330), "{:?}", began.elapsed());
        let written = writes(&world, &domain).await - before;
        assert!(written < 50, "{written} writes");
        let stalled = record(&world, &domain).await;
        let failure = stalled.failure.as_ref().unwrap();
        assert_eq!((failure.attempts, failure.stalls), (1, 1));
        assert_eq!(stalled.state(), DomainState::Deferred);
        let told = if away || resting { vec![] } else { vec!["domain.refused"] };
        assert_eq!(world.receiver.kinds(), told);

        assert_eq!(world.ca.orders_for(&domain), 1, "the order is kept");

        // The seventh time in a row is news, told after the order had its time.
        for _ in 0..6 {
            wait_for_attempt(&world, &domain).await;
            process.run(&domain, Ask::Due).await.unwrap();
        }
        assert_eq!(record(&world, &domain).await.failure.unwrap().stalls, 7);
        let told =
            if away || resting { vec![] } else { vec!["domain.refused", "certificate.failed"] };
        assert_eq!(world.receiver.kinds(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_in_processing_for_an_hour_is_followed_by_another() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.hang(true);
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    world.ca.hang(false);
    while record(&world, &domain).await.state() != DomainState::Issued {
        assert!(world.clock.now().since(crate::common::START) < Span::from_secs(2 * 3_600));
        wait_until_due(&world, &domain).await;
        process.run(&domain, Ask::Due).await.unwrap();
    }
    assert_eq!(world.ca.orders_for(&domain), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_past_its_own_end_is_followed_by_another() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.ca.stall(&domain);
    world.ca.expire_orders_after(Span::from_secs(1_200));
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 1);
    world.clock.advance(Span::from_secs(1_201));
    process.run(&domain, Ask::Due).await.unwrap();
    wait_until_due(&world, &domain).await;
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.ca.orders_for(&domain), 2);
}

#[tokio::test(start_paused = true)]
async fn another_ca_takes_what_one_leaves_in_processing_in_the_same_run() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    world.ca.hang(true);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let issued = record(&world, &domain).await;
    assert_eq!(issued.state(), DomainState::Issued);
    let from = issued.certificate.unwrap().ordered_from;
    assert_eq!(from.as_deref(), Some("spare"));
    assert!(
        world.store.events(&domain, 9).await.unwrap().iter().any(|event| {
            event.kind == "order.abandoned" && event.detail.starts_with("memory: ")
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waited_long_for_a_place_is_no_failure() {
    let world = World::new();
    let process = world.process("one");
    // All four places are taken by names whose platform does not answer for six minutes.
    world.platform.1.answers.forget_permits(1_000_000);
    let mut runs = Vec::new();
    for index in 0..5 {
        let domain = world.register(&format!("d{index}.example.com")).await;
        let (process, domain) = (process.clone(), domain);
        runs.push(tokio::spawn(async move { process.run(&domain, Ask::Demand).await }));
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(360)).await;
    world.platform.1.answers.add_permits(100);
    for run in runs {
        run.await.unwrap().unwrap();
    }
    for index in 0..5 {
        let domain = DomainName::parse(&format!("d{index}.example.com")).unwrap();
        let record = record(&world, &domain).await;
        assert_eq!((record.state(), record.failure), (DomainState::Issued, None), "{domain}");
        let events = world.store.events(&domain, 9).await.unwrap();
        assert!(events.iter().all(|event| !event.kind.starts_with("attempt")), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_six_days_is_renewed_when_its_dns_was_mended_in_time() {
    let world = World::new();
    world.ca.live(DAY.scale(6, 1));
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    let end = record(&world, &domain).await.certificate.unwrap().not_after;
    world.ca.reject(&domain, Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() });
    let mended = end - Span::from_secs(20 * 3_600);
    let mut attempts = 0;
    loop {
        wait_until_due(&world, &domain).await;
        if world.clock.now() >= mended {
            world.ca.accept(&domain);
        }
        process.run(&domain, Ask::Due).await.unwrap();
        attempts += 1;
        assert!(attempts < 40, "no more attempts than that");
        let held = record(&world, &domain).await.certificate.unwrap();
        if held.not_after > end {
            break;
        }
    }
    assert!(world.clock.now() < end);
    let late = world.clock.now().since(mended);
    assert!(late < Span::from_secs(4 * 3_600), "{late:?}");
}
