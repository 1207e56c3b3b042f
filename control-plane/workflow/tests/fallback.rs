//! Several CAs: a spare one, and a CA that is down or refuses the account.

mod common;

use common::World;
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::{Cause, DomainState, Span};
use sealwax_workflow::Ask;

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
    assert_eq!(asked, 6, "two domains' tries, and nobody else's");
    world.clock.advance(Span::from_secs(86_400));
    for domain in &domains {
        process.run(domain, Ask::Due).await.unwrap();
    }
    for domain in &domains {
        // Whoever met the probe waits for its end.
        world.clock.advance(Span::from_secs(120));
        process.run(domain, Ask::Due).await.unwrap();
        assert_eq!(world.entry(domain).await.stored.record.state(), DomainState::Issued);
    }
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
