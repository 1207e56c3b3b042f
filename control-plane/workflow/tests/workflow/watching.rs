//! Between issuance and renewal: the CA's renewal information, notifications.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::Ordering;

use crate::common::World;
use sealwax_core::issuer::{IssueError, RenewalInfo};
use sealwax_core::permission::Verdict;
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Clock as _, DomainState, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_workflow::Ask;

const DAY: Span = Span::from_secs(86_400);

fn window(start: Timestamp, end: Timestamp) -> RenewalInfo {
    let link = Some("https://ca.example/why".to_owned());
    RenewalInfo { start, end, retry_after: Span::from_secs(21_600), explanation_url: link }
}

async fn renew_at(world: &World, domain: &DomainName) -> Timestamp {
    let record = world.entry(domain).await.stored.record;
    record.certificate.and_then(|held| held.renew_at).unwrap()
}

async fn kinds(world: &World, domain: &DomainName) -> Vec<String> {
    let events = world.store.events(domain, 50).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

/// Runs the domain whenever it is due, until a moment.
async fn live(world: &World, domain: &DomainName, until: Timestamp) {
    let process = world.process("one");
    while let Some(at) = world.entry(domain).await.stored.record.wake_at() {
        if at > until {
            break;
        }
        world.clock.advance(at.since(world.clock.now()));
        process.run(domain, Ask::Due).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_comes_when_the_ca_suggests_and_the_moment_is_kept() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let start = world.clock.now() + DAY.scale(40, 1);
    world.ca.suggest(window(start, start + DAY));
    live(&world, &domain, world.clock.now() + DAY.scale(10, 1)).await;
    assert_eq!(renew_at(&world, &domain).await, start, "no jitter: the window's start");
    assert!(world.ca.asked() >= 20, "asked twice a day at least: {}", world.ca.asked());
    let planned = kinds(&world, &domain).await;
    assert_eq!(planned.iter().filter(|kind| *kind == "renewal.planned").count(), 1);
    let events = world.store.events(&domain, 50).await.unwrap();
    assert!(events.iter().any(|event| event.detail.contains("https://ca.example/why")));
    live(&world, &domain, start + DAY).await;
    assert_eq!(world.ca.orders_for(&domain), 2);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_moves_into_the_past_renews_at_once() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let start = world.clock.now() + DAY.scale(40, 1);
    world.ca.suggest(window(start, start + DAY));
    live(&world, &domain, world.clock.now() + DAY.scale(3, 1)).await;
    let now = world.clock.now();
    world.ca.suggest(window(now - DAY, now - Span::from_secs(60)));
    live(&world, &domain, now + DAY).await;
    assert_eq!(world.ca.orders_for(&domain), 2, "revoked: replaced within half a day");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_does_not_say_never_keeps_a_renewal_back() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let error = || IssueError::Protocol { detail: "500".to_owned() };
    world.ca.fail("renewal_info", std::iter::repeat_with(error).take(5000));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let fallback = renew_at(&world, &domain).await;
    live(&world, &domain, fallback + Span::from_secs(1)).await;
    assert_eq!(world.ca.orders_for(&domain), 2);
}

#[tokio::test(start_paused = true)]
async fn the_platform_hears_of_success_and_failure() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let process = world.process("one");
    *world.platform.0.lock().unwrap() = Verdict::Denied;
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.receiver.kinds(), ["domain.refused"]);
    world.clock.advance(Span::from_secs(61));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.receiver.kinds(), ["domain.refused"], "a refusal is news once");
    *world.platform.0.lock().unwrap() = Verdict::Granted;
    world.clock.advance(Span::from_secs(601));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.receiver.kinds(), ["domain.refused", "certificate.issued"]);
    assert!(world.entry(&domain).await.stored.record.outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_hears_of_it_later_from_whichever_process_is_there() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    world.receiver.away.store(true, Ordering::SeqCst);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!((record.state(), record.outbox.len()), (DomainState::Issued, 1));
    assert_eq!(
        world.store.due(world.clock.now() + DAY, 9, None).await.unwrap().domains,
        std::slice::from_ref(&domain)
    );
    world.receiver.away.store(false, Ordering::SeqCst);
    world.clock.advance(Span::from_secs(20));
    world.process("two").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.receiver.kinds(), ["certificate.issued"]);
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_cannot_be_delivered_is_given_up_and_reported() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.receiver.away.store(true, Ordering::SeqCst);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    live(&world, &domain, world.clock.now() + DAY.scale(5, 1)).await;
    assert!(world.entry(&domain).await.stored.record.outbox.is_empty());
    assert!(kinds(&world, &domain).await.contains(&"notification.dropped".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_notification_whose_receiver_rests_all_the_while_is_given_up_with_the_reason() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.receiver.resting.store(true, Ordering::SeqCst);
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    live(&world, &domain, world.clock.now() + DAY.scale(5, 1)).await;
    assert!(world.entry(&domain).await.stored.record.outbox.is_empty());
    let events = world.store.events(&domain, 50).await.unwrap();
    let dropped = events.iter().find(|event| event.kind == "notification.dropped").unwrap();
    assert!(
        dropped.detail.contains("certificate.issued") && dropped.detail.contains("no such topic")
    );
    let listed = sealwax_workflow::DeadLetterList::new(world.store.clone()).read().await.unwrap();
    let [letter] = listed.newest_first() else { panic!("{listed:?}") };
    assert_eq!((&letter.domain, letter.to.as_str()), (&domain, "platform"));
    assert_eq!((letter.at, letter.detail.as_str()), (dropped.at, "no such topic"));
    assert!(dropped.detail.contains(&letter.id), "{dropped:?}");
    let days = letter.at.since(letter.happened_at).secs() / 86_400;
    assert_eq!(days, 2, "{letter:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removed_domain_is_forgotten_when_the_platform_heard_of_it() {
    let world = World::shared();
    let domain = world.register("a.example.com").await;
    let stored = world.entry(&domain).await.stored;
    let mut record = sealwax_core::apply::removed(stored.record, world.clock.now());
    let removed = sealwax_core::store::LifecycleEvent {
        at: world.clock.now(),
        kind: "domain.removed".to_owned(),
        detail: String::new(),
    };
    sealwax_core::notice::enqueue(&mut record, &[removed], &*world.receiver);
    let change = Change::of(record, Expected::Version(stored.version));
    world.store.write(change).await.unwrap();
    world.clock.advance(Span::from_secs(20));
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.receiver.kinds(), ["domain.removed"]);
    let left = world.store.load(std::slice::from_ref(&domain)).await.unwrap().remove(0);
    assert!(left.is_none());
    assert_eq!(world.ca.orders(), 0);
}

/// An imported certificate has no renewal: its end is pointed out instead.
#[tokio::test(start_paused = true)]
async fn an_imported_certificate_is_warned_about() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let entry = world.entry(&domain).await;
    let mut record = entry.stored.record;
    let mut facts = record.certificate.clone().unwrap();
    facts.source = sealwax_core::CertificateSource::Imported;
    (facts.renew_at, facts.ordered_from) = (None, None);
    record = sealwax_core::apply::imported(record, facts.clone());
    record.watch = sealwax_core::watch::begun(&facts, world.clock.now(), &crate::common::NoJitter);
    let change = Change::of(record, Expected::Version(entry.stored.version));
    world.store.write(change).await.unwrap();
    live(&world, &domain, facts.not_after).await;
    let warned = kinds(&world, &domain).await;
    let count = warned.iter().filter(|kind| *kind == "certificate.expiring").count();
    assert!((3..15).contains(&count), "{count}");
    assert_eq!(world.ca.orders_for(&domain), 1);
}

/// A CA that always answers that it is time.
#[tokio::test(start_paused = true)]
async fn a_ca_whose_windows_are_always_over_does_not_renew_all_day() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let start = world.clock.now();
    world.ca.suggest_for_all(window(start - DAY, start - Span::from_secs(60)));
    live(&world, &domain, start + DAY.scale(20, 1)).await;
    assert_eq!(world.ca.orders_for(&domain), 5, "after 1, 2, 4 and 8 days");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_renewal_the_ca_does_not_know_is_hardly_asked_about() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    let error = || IssueError::OrderGone { detail: "404".to_owned() };
    world.ca.fail("renewal_info", std::iter::repeat_with(error).take(5000));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let fallback = renew_at(&world, &domain).await;
    live(&world, &domain, fallback - Span::from_secs(1)).await;
    assert_eq!(world.ca.failures_left("renewal_info"), 5000 - 5, "daily, five times");
    live(&world, &domain, fallback + Span::from_secs(1)).await;
    assert_eq!(world.ca.orders_for(&domain), 2, "renewed all the same");
}
