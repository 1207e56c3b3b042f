//! Others write while the workflow works: nothing that was done is thrown away, and nothing is
//! done twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::Ordering;

use crate::common::World;
use sealwax_core::issuer::IssueError;
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Clock as _, DomainState, Span, Work};
use sealwax_workflow::Ask;

#[tokio::test(start_paused = true)]
async fn a_registration_before_each_write_costs_no_order() {
    for world in [World::new(), World::shared()] {
        let domain = world.register("a.example.com").await;
        world.tripwire.meddled.store(true, Ordering::SeqCst);
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        let entry = world.entry(&domain).await;
        assert_eq!(entry.stored.record.state(), DomainState::Issued);
        assert!(entry.certificate.is_some());
        assert!(entry.stored.record.registration.tenant.is_some(), "the others' writes are kept");
        assert_eq!((world.ca.orders_for(&domain), world.ca.signed()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_looked_for_and_costs_no_order() {
    for made in [[true, true], [false, true], [true, false], [false, false]] {
        let world = World::shared();
        let domain = world.register("a.example.com").await;
        world.tripwire.unanswered.lock().unwrap().extend(made);
        world.process("one").run(&domain, Ask::Demand).await.unwrap();
        let record = world.entry(&domain).await.stored.record;
        assert_eq!(record.state(), DomainState::Issued, "{made:?}");
        assert_eq!((world.ca.orders_for(&domain), world.ca.signed()), (1, 1), "{made:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_find_a_name_due_at_once_ask_for_it_once() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let held = world.entry(&domain).await.stored.record.certificate.unwrap();
    let due = held.renew_at.unwrap();
    world.clock.advance(due.since(world.clock.now()));
    world.platform.1.asked.lock().unwrap().clear();
    // The platform takes its time: all of them are there before it answers.
    world.platform.1.answers.forget_permits(1_000_000);
    let runs: Vec<_> = ["two", "three", "four"]
        .map(|holder| {
            let (process, domain) = (world.process(holder), domain.clone());
            tokio::spawn(async move { process.run(&domain, Ask::Due).await })
        })
        .into_iter()
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.platform.1.answers.add_permits(100);
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(world.platform.1.asked.lock().unwrap().len(), 1);
    assert_eq!((world.ca.orders_for(&domain), world.ca.signed()), (2, 2));
    assert_eq!(world.entry(&domain).await.stored.record.failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_died_while_it_asked_is_followed_by_another() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    let stored = world.entry(&domain).await.stored;
    let wanted = sealwax_core::apply::demand(&stored.record, world.clock.now()).unwrap();
    let held = sealwax_core::apply::leased(wanted, "dead", 7, Span::from_secs(30));
    let change = Change::of(held, Expected::Version(stored.version));
    world.store.write(change).await.unwrap();
    let next = world.process("two");
    next.run(&domain, Ask::Due).await.unwrap();
    let waiting = world.entry(&domain).await.stored.record;
    assert!(matches!(waiting.work, Work::Wanted { .. }));
    assert_eq!(waiting.state(), DomainState::Pending);
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    next.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
}

/// A CA that wants to be left alone for as long as a lease lasts: it is renewed meanwhile.
#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_its_ca_keeps_its_lease() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    let busy = || IssueError::Retry { after: Some(Span::from_secs(30)), detail: "503".to_owned() };
    world.ca.fail("observe", [busy(), busy()]);
    let run = {
        let (process, domain) = (world.process("one"), domain.clone());
        tokio::spawn(async move { process.run(&domain, Ask::Demand).await })
    };
    let other = world.process("two");
    while !run.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        other.run(&domain, Ask::Due).await.unwrap();
    }
    run.await.unwrap().unwrap();
    let record = world.record(&domain).await;
    assert_eq!((record.state(), record.fence), (DomainState::Issued, 1), "nobody took it over");
}
