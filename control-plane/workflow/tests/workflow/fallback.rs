//! Several CAs: a spare one, and a CA that is down or refuses the account.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use crate::common::World;
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::issuer::{IssueError, LimitScope, Refusal};
use sealwax_core::permission::Verdict;
use sealwax_core::record::Registration;
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Cause, Clock as _, DomainState, Span};
use sealwax_workflow::{Ask, Workflow};

fn down() -> IssueError {
    IssueError::Retry { after: None, detail: "503".to_owned() }
}

fn refuses_account() -> IssueError {
    IssueError::Misconfigured { detail: "terms changed".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn the_spare_takes_over_when_the_first_ca_is_down() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    world.ca.fail("place_order", std::iter::repeat_n(down(), 3));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.state(), DomainState::Issued);
    assert_eq!(record.certificate.unwrap().ordered_from.as_deref(), Some("spare"));
    assert_eq!(world.ca.orders(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_spare_takes_over_when_the_budget_is_used_up() {
    let limits =
        Limits { orders_per_account: Limit::per(1, Span::from_secs(86_400)), ..Limits::default() };
    let world = World::new().limited(limits).with_spare();
    let process = world.process("one");
    for label in ["a", "b"] {
        let domain = world.register(&format!("{label}.{label}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
        assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Issued);
    }
    assert_eq!((world.ca.orders(), world.spare.as_ref().unwrap().orders()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_refuses_the_account_is_stopped_and_not_asked_by_every_domain() {
    let world = World::new();
    let process = world.process("one");
    world.ca.fail("place_order", std::iter::repeat_n(refuses_account(), 50));
    for number in 0..10 {
        let domain = world.register(&format!("a.site{number}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
        let failure = world.entry(&domain).await.stored.record.failure.unwrap();
        assert_eq!(failure.cause, Cause::CaAccount);
    }
    let asked = world.tripwire.effects().iter().filter(|name| **name == "place_order").count();
    assert_eq!(asked, 1, "one domain was enough to know");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_down_is_probed_and_comes_back_by_itself() {
    let world = World::new();
    let process = world.process("one");
    world.ca.fail("place_order", std::iter::repeat_n(down(), 6));
    let mut domains = Vec::new();
    for number in 0..20 {
        let domain = world.register(&format!("a.site{number}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
        domains.push(domain);
    }
    let asked = world.tripwire.effects().iter().filter(|name| **name == "place_order").count();
    assert_eq!(asked, 5, "two domains' tries, and nobody else's");
    world.clock.advance(Span::from_secs(86_400));
    // The first one is the probe, and fails.
    process.run(&domains[0], Ask::Due).await.unwrap();
    world.clock.advance(Span::from_secs(60));
    for domain in &domains {
        process.run(domain, Ask::Due).await.unwrap();
        assert_eq!(world.entry(domain).await.stored.record.state(), DomainState::Issued);
    }
}

fn busy(world: &World, scope: LimitScope, secs: u64) -> IssueError {
    let until = world.clock.now() + Span::from_secs(secs);
    IssueError::RateLimited { until, scope, detail: "slow down".to_owned() }
}

async fn orders(world: &World, process: &Workflow, name: &str) -> usize {
    let domain = world.register(name).await;
    process.run(&domain, Ask::Demand).await.unwrap();
    world.ca.orders_for(&domain)
}

/// A CA that says "too many" without saying until when is asked again within a minute, with and
/// without limits of our own.
#[tokio::test(start_paused = true)]
async fn a_limit_without_a_moment_rests_new_orders_for_a_minute_at_most() {
    for limits in [None, Some(Limits::default())] {
        let counted = limits.is_some();
        let world = World::shared();
        let world = match limits {
            Some(limits) => world.limited(limits),
            None => world,
        };
        let process = world.process("one");
        let renewed = world.register("a.renewed.com").await;
        process.run(&renewed, Ask::Demand).await.unwrap();
        world.clock.advance(Span::from_secs(61 * 86_400));
        world.ca.fail("place_order", [busy(&world, LimitScope::Account, 0)]);
        assert_eq!(orders(&world, &process, "a.first.com").await, 0);
        assert_eq!(orders(&world, &process, "a.second.com").await, 0, "nor is it asked");
        process.run(&renewed, Ask::Due).await.unwrap();
        assert_eq!(world.ca.orders_for(&renewed), 2, "renewals are exempt from that limit");
        assert_eq!(orders(&world, &process, "a.third.com").await, 0, "and end no hold");
        world.clock.advance(Span::from_secs(60));
        assert_eq!(orders(&world, &process, "a.fourth.com").await, 1, "{counted}");
        assert_eq!(orders(&world, &process, "a.fifth.com").await, 1, "nothing is used up");
    }
}

/// What the CA says of its limits is kept as said, whatever else it does well meanwhile.
#[tokio::test(start_paused = true)]
async fn no_success_ends_what_the_ca_said_of_its_limits() {
    let world = World::new();
    let process = world.process("one");
    let slow = world.register("a.slow.com").await;
    world.ca.stall(&slow);
    let run = {
        let (process, slow) = (process.clone(), slow.clone());
        tokio::spawn(async move { process.run(&slow, Ask::Demand).await.map(|_| ()) })
    };
    while world.ca.orders_for(&slow) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.ca.fail("place_order", [busy(&world, LimitScope::Ca, 7_200)]);
    assert_eq!(orders(&world, &process, "a.first.com").await, 0);
    // The slow order is looked at all the while, and the CA answers.
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    world.clock.advance(Span::from_secs(7_199));
    assert_eq!(orders(&world, &process, "a.second.com").await, 0);
    world.clock.advance(Span::from_secs(1));
    assert_eq!(orders(&world, &process, "a.third.com").await, 1);
    run.abort();
}

/// An order that is refused, or gone, says nothing about the account.
#[tokio::test(start_paused = true)]
async fn the_end_of_one_order_does_not_mend_a_refused_account() {
    let world = World::new();
    let process = world.process("one");
    let other = world.register("a.other.com").await;
    let detail = "NXDOMAIN".to_owned();
    world.ca.reject(&other, Refusal { cause: Cause::DnsNoRecord, detail });
    world.ca.fail("observe", [down(), down()]);
    let run = {
        let (process, other) = (process.clone(), other.clone());
        tokio::spawn(async move { process.run(&other, Ask::Demand).await.map(|_| ()) })
    };
    while world.ca.orders_for(&other) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.ca.fail("place_order", [refuses_account()]);
    assert_eq!(orders(&world, &process, "a.first.com").await, 0);
    run.await.unwrap().unwrap();
    assert_eq!(world.entry(&other).await.stored.record.state(), DomainState::Refused);
    assert_eq!(orders(&world, &process, "a.second.com").await, 0, "it is still refused");
    world.clock.advance(Span::from_secs(600));
    assert_eq!(orders(&world, &process, "a.third.com").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_names_its_ca_gets_no_other() {
    let world = World::new().with_spare();
    let domain = world.register_with("memory", "a.example.com").await;
    world.ca.fail("place_order", std::iter::repeat_n(down(), 3));
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Deferred);
    assert_eq!(world.spare.as_ref().unwrap().orders(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_a_caa_record_forbids_is_followed_by_the_next() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    let forbidden = Refusal { cause: Cause::CaaForbids, detail: "CAA".to_owned() };
    world.ca.reject(&domain, forbidden);
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&domain).await.stored.record.state(), DomainState::Refused);
    world.clock.advance(Span::from_secs(61));
    process.run(&domain, Ask::Due).await.unwrap();
    let record = world.entry(&domain).await.stored.record;
    assert_eq!(record.certificate.unwrap().ordered_from.as_deref(), Some("spare"));
}

/// A CA that is not asked has no say in what the platform is asked about a parked domain.
#[tokio::test(start_paused = true)]
async fn a_parked_domain_stays_parked_whatever_its_ca_does() {
    let world = World::new();
    let process = world.process("one");
    world.ca.fail("place_order", [refuses_account()]);
    assert_eq!(orders(&world, &process, "a.first.com").await, 0);
    let parked = world.register("a.parked.com").await;
    let entry = world.entry(&parked).await.stored;
    let now = world.clock.now();
    let left = sealwax_core::departure::left(entry.record, "gone", now);
    let change = Change::of(left, Expected::Version(entry.version));
    world.store.write(change).await.unwrap();
    *world.platform.0.lock().unwrap() = Verdict::Gone;
    process.run(&parked, Ask::Demand).await.unwrap();
    assert_eq!(world.entry(&parked).await.stored.record.state(), DomainState::Parked);
}

/// An account that is closed is the account's fault, whatever profile a domain wants.
#[tokio::test(start_paused = true)]
async fn a_closed_account_is_no_failure_of_a_domain_with_a_profile() {
    let world = World::new();
    let process = world.process("one");
    let odd = Registration { profile: Some("odd".to_owned()), ..Registration::default() };
    let domain = world.put("a.odd.com", odd.clone()).await;
    world.ca.fail("place_order", [refuses_account()]);
    process.run(&domain, Ask::Demand).await.unwrap();
    let failure = world.record(&domain).await.failure.unwrap();
    assert_eq!((failure.cause, failure.attempts, failure.stalls), (Cause::CaAccount, 0, 1));
    assert_eq!(orders(&world, &process, "a.other.com").await, 0, "no orders go to it");
    world.clock.advance(Span::from_secs(600));
    // A profile that is refused is the domain's own, and stops nobody else.
    let domain = world.put("b.odd.com", odd).await;
    world.ca.fail("place_order", [IssueError::ProfileRefused { detail: "no such".to_owned() }]);
    process.run(&domain, Ask::Demand).await.unwrap();
    let failure = world.record(&domain).await.failure.unwrap();
    assert_eq!((failure.attempts, failure.stalls), (1, 0));
    assert!(failure.detail.contains("registration"), "{}", failure.detail);
    world.clock.advance(Span::from_secs(60));
    assert_eq!(orders(&world, &process, "a.third.com").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_make_a_ca_forgotten_that_a_caa_record_forbids() {
    let world = World::new().with_spare();
    let domain = world.register("a.example.com").await;
    world.ca.reject(&domain, Refusal { cause: Cause::CaaForbids, detail: "CAA".to_owned() });
    let process = world.process("one");
    process.run(&domain, Ask::Demand).await.unwrap();
    *world.platform.0.lock().unwrap() = Verdict::Unknown { detail: "500".to_owned() };
    world.clock.advance(Span::from_secs(61));
    process.run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.record(&domain).await.failure.unwrap().cause, Cause::PlatformUnavailable);
    *world.platform.0.lock().unwrap() = Verdict::Granted;
    world.next_attempt(&domain).await;
    let record = world.record(&domain).await;
    assert_eq!(record.certificate.unwrap().ordered_from.as_deref(), Some("spare"));
}

/// The CA has the order, wherever it is: its place in the limits is used.
#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_found_counts() {
    let day = Span::from_secs(86_400);
    let limits = Limits { orders_per_account: Limit::per(1, day), ..Limits::default() };
    let world = World::new().limited(limits);
    let process = world.process("one");
    let lost = IssueError::Unfindable { detail: "no Location".to_owned() };
    world.ca.fail("place_order", [lost]);
    let domain = world.register("a.one.com").await;
    process.run(&domain, Ask::Demand).await.unwrap();
    let failure = world.record(&domain).await.failure.unwrap();
    assert_eq!((failure.cause, failure.attempts), (Cause::CaProtocol, 1));
    assert_eq!(orders(&world, &process, "a.two.com").await, 0, "no room is left");
}
