//! Trials in the staging of a CA: what failed is tried there before production is asked again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::Arc;
use std::time::Duration;

use crate::common::World;
use crate::common::ca::MemoryCa;
use crate::common::tripwire::Side;
use sealwax_core::budget::{BucketKey, Budget, Limit, Limits};
use sealwax_core::issuer::{IssueError, LimitScope, Refusal};
use sealwax_core::preflight::{CaaRecord, CaaSet, Findings, Looked, Path};
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{
    Cause, Clock as _, DomainRecord, DomainState, Span, Trials, Venue, Work, apply,
};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_workflow::Ask;

const STAGING: &str = "memory.staging";

fn refusal() -> Refusal {
    Refusal { cause: Cause::ConnectionFailed, detail: "timeout".to_owned() }
}

fn down() -> IssueError {
    IssueError::Retry { after: None, detail: "503".to_owned() }
}

impl World {
    fn staging(&self) -> &Arc<MemoryCa> {
        self.staging.as_ref().unwrap()
    }

    /// Orders in production and in staging.
    fn both(&self, domain: &DomainName) -> (usize, usize) {
        (self.ca.orders_for(domain), self.staging().orders_for(domain))
    }

    fn breaks(&self, domain: &DomainName) {
        self.ca.reject(domain, refusal());
        self.staging().reject(domain, refusal());
    }

    fn is_mended(&self, domain: &DomainName) {
        self.ca.accept(domain);
        self.staging().accept(domain);
    }

    /// A name whose first order failed.
    async fn failed_once(&self, name: &str) -> DomainName {
        let domain = self.register(name).await;
        self.breaks(&domain);
        self.process("one").run(&domain, Ask::Demand).await.unwrap();
        assert_eq!(self.both(&domain), (1, 0), "nothing failed before the first order");
        domain
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_in_staging_until_it_succeeds_and_is_then_ordered_at_once() {
    let world = World::new().with_staging();
    let domain = world.failed_once("a.example.com").await;
    for trial in 1..=4 {
        world.next_attempt(&domain).await;
        assert_eq!(world.both(&domain), (1, usize::try_from(trial).unwrap()));
        let record = world.record(&domain).await;
        assert_eq!(record.state(), DomainState::Refused);
        assert_eq!(record.trials, Some(Trials { next: Venue::Staging, saved: trial }));
        let failure = record.failure.unwrap();
        assert_eq!((failure.cause, failure.attempts), (Cause::ConnectionFailed, trial + 1));
        assert_eq!(world.kinds(&domain).await[0], "attempt.failed");
    }
    assert!(world.kinds(&domain).await.contains(&"trial.failed".to_owned()));

    world.is_mended(&domain);
    world.next_attempt(&domain).await;
    let entry = world.entry(&domain).await;
    let record = entry.stored.record;
    assert_eq!((record.state(), record.trials), (DomainState::Issued, None));
    assert_eq!(record.certificate.unwrap().ordered_from.as_deref(), Some("memory"));
    assert_eq!(world.both(&domain), (2, 5));
    assert_eq!((world.ca.signed(), world.staging().signed()), (1, 0), "a trial signs nothing");
    assert_eq!(world.staging().relinquished(), 1, "the next trial will be one");
    assert_eq!(world.kinds(&domain).await[..2], ["certificate.issued", "trial.passed"]);
    for number in 1..=5 {
        let token = ChallengeToken::parse(&format!("token{number}")).unwrap();
        assert!(world.store.challenge(&token).await.unwrap().is_none(), "{token} is withdrawn");
    }
}

#[tokio::test(start_paused = true)]
async fn a_production_order_that_fails_after_a_trial_is_followed_by_another_trial() {
    let world = World::new().with_staging();
    let domain = world.failed_once("a.example.com").await;
    world.staging().accept(&domain);
    world.next_attempt(&domain).await;
    assert_eq!(world.both(&domain), (2, 1));
    world.next_attempt(&domain).await;
    assert_eq!(world.both(&domain), (3, 2));
    assert_eq!(world.record(&domain).await.failure.unwrap().attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_trial_spends_nothing_of_productions_budget() {
    let world = World::new().with_staging().limited(Limits::default());
    let mut world = world;
    world.limits.insert(STAGING.to_owned(), Limits::staging());
    let domain = world.failed_once("a.example.com").await;
    let left = |record: &DomainRecord, issuer: &str, limits: Limits| {
        let used = record.usage.get(issuer).cloned().unwrap_or_default();
        let key = BucketKey::Failures(domain.to_string());
        Budget::restore(limits, used).left(&key, world.clock.now()).0
    };
    let spent = world.store.document("budget#memory").await.unwrap();
    let before = left(&world.record(&domain).await, "memory", Limits::default());
    assert_eq!(before, 4, "the first order's failure counts");
    world.next_attempt(&domain).await;
    world.next_attempt(&domain).await;
    let record = world.record(&domain).await;
    assert!(left(&record, "memory", Limits::default()) >= before);
    assert!(left(&record, STAGING, Limits::staging()) < 200, "staging counts its own");
    assert_eq!(world.store.document("budget#memory").await.unwrap(), spent, "nor an order");
    assert!(world.store.document("budget#memory.staging").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_trial_waits_for_room_in_stagings_budget_and_production_is_not_asked_meanwhile() {
    let mut world = World::new().with_staging();
    let hour = Span::from_secs(3_600);
    let limits = Limits { orders_per_account: Limit::per(1, hour), ..Limits::staging() };
    world.limits.insert(STAGING.to_owned(), limits);
    let first = world.failed_once("a.one.com").await;
    let second = world.failed_once("a.two.com").await;
    world.next_attempt(&first).await;
    world.next_attempt(&second).await;
    assert_eq!((world.both(&first), world.both(&second)), ((1, 1), (1, 0)));
    assert_eq!(world.record(&second).await.failure.unwrap().attempts, 1, "no failure of its own");
    world.is_mended(&second);
    world.clock.advance(hour);
    world.next_attempt(&second).await;
    assert_eq!(world.both(&second), (2, 1));
    assert_eq!(world.record(&second).await.state(), DomainState::Issued);
}

#[tokio::test(start_paused = true)]
async fn a_staging_that_cannot_be_asked_holds_nothing_up() {
    let limited = |world: &World| IssueError::RateLimited {
        until: world.clock.now() + Span::from_secs(7_200),
        scope: LimitScope::Ca,
        detail: "slow down".to_owned(),
    };
    let refused = || IssueError::Misconfigured { detail: "no such profile".to_owned() };
    let gone = || IssueError::OrderGone { detail: "404".to_owned() };
    let lost = || IssueError::UnknownOutcome { detail: "reset".to_owned() };
    for call in ["place_order", "observe", "answer"] {
        for error in [0, 1, 2, 3, 4] {
            let world = World::new().with_staging();
            let domain = world.failed_once("a.example.com").await;
            world.is_mended(&domain);
            let error = match error {
                0 => down(),
                1 => limited(&world),
                2 => refused(),
                3 => gone(),
                _ => lost(),
            };
            world.staging().fail(call, std::iter::repeat_n(error.clone(), 9));
            world.next_attempt(&domain).await;
            let place = format!("{call}: {error}");
            assert_eq!(world.record(&domain).await.state(), DomainState::Issued, "{place}");
            assert_eq!(world.ca.orders_for(&domain), 2, "{place}");
            // An answer that is lost is looked after, and given again: it comes through at last.
            let comes_through = call == "answer" && error == lost();
            let kind = if comes_through { "trial.passed" } else { "trial.impossible" };
            assert_eq!(world.kinds(&domain).await[1], kind, "{place}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_staging_that_is_down_is_not_asked_by_every_name() {
    let world = World::new().with_staging();
    let process = world.process("one");
    let mut domains = Vec::new();
    for number in 0..20 {
        domains.push(world.failed_once(&format!("a.site{number}.com")).await);
    }
    world.staging().fail("place_order", std::iter::repeat_n(down(), 500));
    world.clock.advance(Span::from_secs(70));
    let before = world.tripwire.effects().len();
    for domain in &domains {
        world.is_mended(domain);
        process.run(domain, Ask::Due).await.unwrap();
        assert_eq!(world.record(domain).await.state(), DomainState::Issued);
    }
    let effects = world.tripwire.effects();
    let placed = effects[before..].iter().filter(|effect| **effect == "place_order").count();
    assert_eq!(placed, 20 + 5, "two names' tries, and nobody else's");
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_never_ends_is_not_waited_for_for_ever() {
    let world = World::new().with_staging();
    let domain = world.failed_once("a.example.com").await;
    world.is_mended(&domain);
    world.staging().stall(&domain);
    world.next_attempt(&domain).await;
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
    assert_eq!(world.both(&domain), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_skips_the_trial_once() {
    let world = World::new().with_staging();
    let domain = world.failed_once("a.example.com").await;
    let stored = world.entry(&domain).await.stored;
    let forced = apply::waived(apply::force(&stored.record, world.clock.now()).unwrap());
    let change = Change::of(forced, Expected::Version(stored.version));
    world.store.write(change).await.unwrap();
    world.process("one").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.both(&domain), (2, 0));
    world.next_attempt(&domain).await;
    assert_eq!(world.both(&domain), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_without_a_staging_is_asked_as_ever() {
    let world = World::new().with_staging().with_spare();
    let domain = world.register_with("spare", "a.example.com").await;
    let spare = world.spare.as_ref().unwrap();
    spare.reject(&domain, refusal());
    world.process("one").run(&domain, Ask::Demand).await.unwrap();
    world.next_attempt(&domain).await;
    assert_eq!((spare.orders_for(&domain), world.staging().orders()), (2, 0));
}

/// Of a trial that succeeds and the order after it: one trial order and one production order, but
/// for the window no client can close, which is there for both.
#[tokio::test(start_paused = true)]
async fn a_crash_before_or_after_any_effect_of_a_trial_resumes_the_same_trial() {
    let effects = {
        let world = World::new().with_staging();
        let domain = world.failed_once("a.example.com").await;
        world.is_mended(&domain);
        world.tripwire.arm(usize::MAX, Side::Before);
        world.next_attempt(&domain).await;
        assert_eq!(world.both(&domain), (2, 1));
        world.tripwire.effects()
    };
    let relinquished = effects.iter().position(|effect| *effect == "relinquish").unwrap();
    assert!(effects.len() >= 16, "{effects:?}");
    for (nth, effect) in effects.iter().enumerate() {
        for side in [Side::Before, Side::After] {
            let world = World::new().with_staging();
            let domain = world.failed_once("a.example.com").await;
            world.is_mended(&domain);
            world.comes_due(&domain).await;
            world.dies(nth, side, &domain, Ask::Due).await;

            let next = world.process("two");
            world.clock.advance(Span::from_secs(31));
            for _ in 0..3 {
                next.run(&domain, Ask::Due).await.unwrap();
                tokio::time::advance(Duration::from_secs(31)).await;
            }
            let place = format!("{side:?} {effect} ({nth} of {effects:?})");
            assert_eq!(world.record(&domain).await.state(), DomainState::Issued, "{place}");
            let placed = |from: usize| {
                let placed = effects.iter().skip(from).position(|name| *name == "place_order");
                placed.map(|position| position + from)
            };
            let lost = |at: Option<usize>| {
                (Some(nth) == at && side == Side::After)
                    || (nth.checked_sub(1) == at && side == Side::Before)
            };
            let trial = placed(0);
            let order = placed(relinquished);
            let expected = (2 + usize::from(lost(order)), 1 + usize::from(lost(trial)));
            assert_eq!(world.both(&domain), expected, "{place}");
            assert_eq!((world.ca.signed(), world.staging().signed()), (1, 0), "{place}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_staging_left_the_configuration_is_left_too() {
    let mut world = World::new().with_staging();
    let domain = world.failed_once("a.example.com").await;
    world.is_mended(&domain);
    world.comes_due(&domain).await;
    world.dies(3, Side::After, &domain, Ask::Due).await;
    assert!(matches!(world.record(&domain).await.work, Work::Trial { .. }));
    world.staging = None;
    world.clock.advance(Span::from_secs(31));
    world.process("two").run(&domain, Ask::Due).await.unwrap();
    assert_eq!(world.record(&domain).await.state(), DomainState::Issued);
}

/// CAA records with one issue property.
fn caa(value: &str) -> Findings {
    let record = CaaRecord { critical: false, tag: "issue".to_owned(), value: value.to_owned() };
    let at = "example.com".to_owned();
    let nothing = || "no such record".to_owned();
    Findings {
        at: crate::common::START,
        ipv4: Looked::Unknown { detail: nothing() },
        ipv6: Looked::Nothing { said: nothing() },
        aliases: Vec::new(),
        caa: Looked::Found(CaaSet { at, stands_at: None, records: vec![record] }),
        path: Path::NotTried { why: nothing() },
        also: Vec::new(),
        vantage_proven: false,
    }
}

#[tokio::test(start_paused = true)]
async fn caa_records_that_forbid_only_the_staging_do_not_keep_production_from_being_asked() {
    // Made for production's account: another one, as the staging's is, may not issue.
    for (value, production) in
        [("memory.example; accounturi=memory:account/1", 1), ("other.example", 0)]
    {
        let world = World::new().with_staging();
        let domain = world.failed_once("a.example.com").await;
        world.ca.accept(&domain);
        let words = "CAA record for a.example.com prevents issuance".to_owned();
        world.staging().reject(&domain, Refusal { cause: Cause::CaaForbids, detail: words });
        *world.outlook.sees.lock().unwrap() = Some(caa(value));
        // A look that sees production forbidden holds back at first.
        for _ in 0..4 {
            if world.record(&domain).await.state() != DomainState::Issued {
                world.next_attempt(&domain).await;
            }
        }
        assert_eq!(world.both(&domain).0, 1 + production, "{value}");
        let kinds = world.kinds(&domain).await;
        let skipped = kinds.contains(&"trial.impossible".to_owned());
        assert_eq!(skipped, production == 1, "{kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_staging_and_production_are_left_alone_is_left_alone_too() {
    let world = World::shared().with_staging();
    let process = world.process("one");
    let domain = world.failed_once("a.example.com").await;
    for (ca, name) in [(&world.ca, "a.other.com"), (world.staging(), "b.example.com")] {
        let until = world.clock.now() + Span::from_secs(7_200);
        let (scope, detail) = (LimitScope::Ca, "slow down".to_owned());
        let other = if name == "b.example.com" {
            world.failed_once(name).await
        } else {
            world.register(name).await
        };
        world.clock.advance(Span::from_secs(61));
        ca.fail("place_order", [IssueError::RateLimited { until, scope, detail }]);
        process.run(&other, Ask::Due).await.unwrap();
        process.run(&other, Ask::Demand).await.unwrap();
    }
    let asked = || world.platform.1.asked.lock().unwrap().len();
    let before = asked();
    for _ in 0..10 {
        world.clock.advance(Span::from_secs(60));
        process.run(&domain, Ask::Due).await.unwrap();
    }
    assert_eq!(asked(), before, "the platform is not asked about what no CA takes");
}
