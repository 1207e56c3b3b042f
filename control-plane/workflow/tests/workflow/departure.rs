//! A domain that the platform says is gone: one answer proves nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::time::Duration;

use crate::common::{GONE_GRACE, GONE_PER_HOUR, NoJitter, World};
use sealwax_core::issuer::{IssueError, LimitScope};
use sealwax_core::permission::Verdict;
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{
    Cause, Clock as _, Departing, Departure, DomainState, Span, Timestamp, departure,
};
use sealwax_protocol::DomainName;
use sealwax_workflow::{Ask, Departures};

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);

fn says(world: &World, verdict: Verdict) {
    *world.platform.0.lock().unwrap() = verdict;
}

fn silent() -> Verdict {
    Verdict::Unknown { detail: "500".to_owned() }
}

async fn state(world: &World, domain: &DomainName) -> DomainState {
    world.entry(domain).await.stored.record.state()
}

async fn kinds(world: &World, domain: &DomainName) -> Vec<String> {
    let events = world.store.events(domain, 50).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

async fn run(world: &World, domain: &DomainName, ask: Ask) {
    world.process("one").run(domain, ask).await.unwrap();
}

/// Runs the domain whenever it is due, until a moment, and sets the clock to it.
async fn live(world: &World, domain: &DomainName, until: Timestamp) {
    let mut runs = 0;
    while let Some(at) = world.entry(domain).await.stored.record.wake_at() {
        if at > until {
            break;
        }
        world.clock.advance(at.since(world.clock.now()));
        run(world, domain, Ask::Due).await;
        runs += 1;
        assert!(runs < 500, "it never rests: {:?}", world.entry(domain).await.stored.record);
    }
    world.clock.advance(until.since(world.clock.now()));
}

/// With a certificate whose renewal is due, and a platform that has said once that it is gone.
async fn doubted() -> (World, DomainName, Timestamp) {
    let world = World::new();
    let domain = issued(&world, "a.example.com").await;
    says(&world, Verdict::Gone);
    let record = world.entry(&domain).await.stored.record;
    let due = record.certificate.unwrap().renew_at.unwrap();
    live(&world, &domain, due).await;
    (world, domain, due)
}

async fn issued(world: &World, name: &str) -> DomainName {
    let domain = world.register(name).await;
    run(world, &domain, Ask::Demand).await;
    domain
}

async fn parked() -> (World, DomainName, Timestamp) {
    let (world, domain, due) = doubted().await;
    let mut now = due;
    while state(&world, &domain).await != DomainState::Parked {
        now = now + MINUTE;
        assert!(now < due + DAY, "never parked");
        live(&world, &domain, now).await;
    }
    (world, domain, now)
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_answers_404_for_half_an_hour_parks_nothing() {
    let (world, domain, due) = doubted().await;
    let record = world.entry(&domain).await.stored.record;
    let failure = record.failure.clone().unwrap();
    assert_eq!((record.state(), failure.cause), (DomainState::Deferred, Cause::PlatformGone));
    assert_eq!((failure.attempts, failure.refused), (0, false), "not the domain's failure");
    assert!(world.entry(&domain).await.certificate.is_some(), "served");
    live(&world, &domain, due + MINUTE.scale(30, 1)).await;
    says(&world, Verdict::Granted);
    live(&world, &domain, due + HOUR.scale(2, 1)).await;
    let record = world.entry(&domain).await.stored.record;
    assert_eq!((record.state(), record.departure), (DomainState::Issued, None));
    assert_eq!(world.ca.orders_for(&domain), 2, "renewed");
    assert_eq!(world.receiver.kinds(), ["certificate.issued", "certificate.renewed"]);
}

#[tokio::test(start_paused = true)]
async fn parking_needs_several_answers_over_an_hour_and_erasing_needs_them_again() {
    let (world, domain, at) = parked().await;
    let asked = world.platform.1.asked.lock().unwrap().len();
    let first = world.store.events(&domain, 50).await.unwrap();
    let first = first.iter().rfind(|event| event.kind == "platform.gone").unwrap().at;
    assert!(at.since(first) >= HOUR && asked > 3, "{asked} questions in {:?}", at.since(first));
    assert!(world.receiver.kinds().contains(&"domain.parked".to_owned()));
    assert!(world.entry(&domain).await.certificate.is_some(), "served until the grace is over");
    live(&world, &domain, at + GONE_GRACE + MINUTE.scale(50, 1)).await;
    assert!(world.entry(&domain).await.certificate.is_some(), "asked once more is not enough");
    live(&world, &domain, at + GONE_GRACE + HOUR.scale(2, 1)).await;
    let entry = world.entry(&domain).await;
    assert!(entry.certificate.is_none() && entry.stored.record.certificate.is_none());
    assert_eq!(
        (entry.stored.record.state(), entry.stored.record.wake_at()),
        (DomainState::Parked, None)
    );
    assert_eq!(world.ca.orders_for(&domain), 1, "renewals stopped");
    assert_eq!(kinds(&world, &domain).await[0], "certificate.erased");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_answer_proves_nothing_and_erases_nothing() {
    let (world, domain, due) = doubted().await;
    says(&world, silent());
    live(&world, &domain, due + HOUR.scale(5, 1)).await;
    assert_eq!(state(&world, &domain).await, DomainState::Deferred);
    let (world, domain, at) = parked().await;
    says(&world, silent());
    live(&world, &domain, at + GONE_GRACE + DAY.scale(3, 1)).await;
    assert!(world.entry(&domain).await.certificate.is_some());
    let hourly = world.platform.1.asked.lock().unwrap().len();
    assert!(hourly < 90, "asked {hourly} times in three days");
}

#[tokio::test(start_paused = true)]
async fn a_parked_domain_that_the_platform_knows_again_when_its_grace_is_over_is_renewed() {
    let (world, domain, at) = parked().await;
    live(&world, &domain, at + GONE_GRACE - MINUTE).await;
    says(&world, Verdict::Granted);
    live(&world, &domain, at + GONE_GRACE + HOUR).await;
    assert_eq!(state(&world, &domain).await, DomainState::Issued);
    assert_eq!(world.ca.orders_for(&domain), 2);
    assert!(kinds(&world, &domain).await.contains(&"domain.returned".to_owned()));
    // One that is known and not allowed is refused, and keeps what it has.
    let (world, domain, at) = parked().await;
    says(&world, Verdict::Denied);
    live(&world, &domain, at + GONE_GRACE + HOUR).await;
    let entry = world.entry(&domain).await;
    assert_eq!(entry.stored.record.state(), DomainState::Refused);
    assert!(entry.certificate.is_some() && entry.stored.record.erase_at.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_visit_wakes_a_parked_domain_and_a_flood_of_them_asks_rarely() {
    let (world, domain, _) = parked().await;
    let asked = || world.platform.1.asked.lock().unwrap().len();
    let before = asked();
    for _ in 0..60 {
        run(&world, &domain, Ask::Demand).await;
        world.clock.advance(MINUTE);
    }
    assert!((5..=7).contains(&(asked() - before)), "{} questions in an hour", asked() - before);
    assert_eq!(state(&world, &domain).await, DomainState::Parked);
    says(&world, Verdict::Granted);
    world.clock.advance(MINUTE.scale(10, 1));
    run(&world, &domain, Ask::Demand).await;
    let record = world.entry(&domain).await.stored.record;
    assert_eq!((record.state(), record.erase_at), (DomainState::Issued, None));
    assert_eq!(world.ca.orders_for(&domain), 2, "its renewal was due");
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_is_asked_about_again_by_its_next_visitor() {
    let world = World::new();
    let domain = world.register("a.example.com").await;
    says(&world, Verdict::Gone);
    run(&world, &domain, Ask::Demand).await;
    says(&world, Verdict::Granted);
    run(&world, &domain, Ask::Demand).await;
    assert_eq!(state(&world, &domain).await, DomainState::Deferred, "at once");
    world.clock.advance(MINUTE);
    run(&world, &domain, Ask::Demand).await;
    assert_eq!(state(&world, &domain).await, DomainState::Issued);
    // And one that is gone for good is parked without a certificate.
    let other = world.register("b.example.com").await;
    says(&world, Verdict::Gone);
    run(&world, &other, Ask::Demand).await;
    live(&world, &other, world.clock.now() + HOUR.scale(2, 1)).await;
    assert_eq!(state(&world, &other).await, DomainState::Parked);
    says(&world, Verdict::Granted);
    run(&world, &other, Ask::Demand).await;
    assert_eq!(state(&world, &other).await, DomainState::Issued, "a visit wakes it");
}

#[tokio::test(start_paused = true)]
async fn when_many_are_gone_at_once_a_brake_keeps_the_others_until_it_is_released() {
    let world = World::new();
    let mut domains = Vec::new();
    for n in 0..GONE_PER_HOUR + 3 {
        domains.push(issued(&world, &format!("d{n}.example.com")).await);
    }
    says(&world, Verdict::Gone);
    world.clock.advance(DAY.scale(61, 1));
    let all = async |hours: u64| {
        for _ in 0..hours * 6 {
            world.clock.advance(MINUTE.scale(10, 1));
            for domain in &domains {
                run(&world, domain, Ask::Due).await;
            }
        }
        let mut count = 0;
        for domain in &domains {
            count += u64::from(state(&world, domain).await == DomainState::Parked);
        }
        count
    };
    assert_eq!(all(5).await, GONE_PER_HOUR, "and no more for a day");
    let departures = Departures::new(world.store.clone(), GONE_PER_HOUR);
    let now = world.clock.now();
    assert!(departures.show().await.unwrap().holds(now));
    let last = world.entry(domains.last().unwrap()).await;
    let detail = last.stored.record.failure.unwrap().detail;
    assert!(last.certificate.is_some() && detail.contains("release-parking"), "{detail}");
    departures.release(now).await.unwrap();
    assert_eq!(all(2).await, GONE_PER_HOUR + 3, "an operator says that it is right");
    tokio::time::sleep(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_brake_that_is_on_keeps_certificates_too() {
    let (world, domain, at) = parked().await;
    let departures = Departures::new(world.store.clone(), GONE_PER_HOUR);
    live(&world, &domain, at + GONE_GRACE - MINUTE).await;
    for _ in 0..=GONE_PER_HOUR {
        departures.admit(Departing::Parked, world.clock.now()).await.unwrap();
    }
    live(&world, &domain, at + GONE_GRACE + HOUR.scale(20, 1)).await;
    assert!(world.entry(&domain).await.certificate.is_some(), "kept while it holds");
    live(&world, &domain, at + GONE_GRACE + DAY.scale(2, 1)).await;
    assert!(world.entry(&domain).await.certificate.is_none(), "a day later it lets go");
}

/// The platform's word ends the evidence, in a store that one process has to itself too, where
/// nothing is written for a name that waits.
#[tokio::test(start_paused = true)]
async fn a_platform_that_agrees_ends_the_evidence_although_no_ca_can_be_asked() {
    let (world, domain, due) = doubted().await;
    let process = world.process("one");
    says(&world, Verdict::Granted);
    let until = world.clock.now() + DAY;
    let (scope, detail) = (LimitScope::Ca, "slow down".to_owned());
    world.ca.fail("place_order", [IssueError::RateLimited { until, scope, detail }]);
    let other = world.register("b.example.com").await;
    process.run(&other, Ask::Demand).await.unwrap();
    assert!(world.record(&domain).await.departure.is_some());
    world.clock.advance(MINUTE.scale(10, 1));
    process.run(&domain, Ask::Due).await.unwrap();
    let record = world.record(&domain).await;
    assert_eq!((record.departure, world.ca.orders_for(&domain)), (None, 1), "{due}");
}

#[tokio::test(start_paused = true)]
async fn what_the_brake_holds_back_is_asked_about_within_ten_minutes() {
    let world = World::new();
    let departures = Departures::new(world.store.clone(), GONE_PER_HOUR);
    let domain = issued(&world, "a.example.com").await;
    says(&world, Verdict::Gone);
    world.clock.advance(DAY.scale(61, 1));
    for _ in 0..=GONE_PER_HOUR {
        departures.admit(Departing::Parked, world.clock.now()).await.unwrap();
    }
    for _ in 0..20 {
        run(&world, &domain, Ask::Due).await;
        let next = world.record(&domain).await.failure.unwrap().next_attempt_at.unwrap();
        let wait = next.since(world.clock.now());
        assert!(wait <= MINUTE.scale(10, 1), "{wait:?}");
        world.clock.advance(wait);
    }
    assert!(world.record(&domain).await.failure.unwrap().detail.contains("release-parking"));
}

/// The same answer to several replicas at once is one domain.
#[tokio::test(start_paused = true)]
async fn the_brake_counts_domains_and_not_the_replicas_that_ask() {
    let world = World::shared();
    let departures = Departures::new(world.store.clone(), GONE_PER_HOUR);
    let replicas = ["one", "two", "three"].map(|holder| world.process(holder));
    for (count, erased) in [false, true, false, true].into_iter().enumerate() {
        let domain = issued(&world, &format!("d{count}.example.com")).await;
        let stored = world.entry(&domain).await.stored;
        let now = world.clock.now();
        let (first_at, last_at) = (now - HOUR.scale(2, 1), now - MINUTE.scale(15, 1));
        let mut record = stored.record;
        if erased {
            record = departure::left(record, "gone", now);
        } else {
            record.certificate = None;
            record = departure::doubted(record, "gone", now, &NoJitter);
        }
        record.departure = Some(Departure { first_at, last_at, answers: 5 });
        world.store.write(Change::of(record, Expected::Version(stored.version))).await.unwrap();
        world.platform.1.answers.forget_permits(1_000_000);
        says(&world, Verdict::Gone);
        world.clock.advance(MINUTE.scale(10, 1));
        let ask = if erased { Ask::Due } else { Ask::Demand };
        let runs: Vec<_> = replicas
            .iter()
            .map(|replica| {
                let (replica, domain) = (replica.clone(), domain.clone());
                tokio::spawn(async move { replica.run(&domain, ask).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.platform.1.answers.add_permits(1_000_000);
        for run in runs {
            run.await.unwrap().unwrap();
        }
        says(&world, Verdict::Granted);
    }
    let brake = departures.show().await.unwrap();
    assert_eq!((brake.parked.count, brake.erased.count), (2, 2));
}
