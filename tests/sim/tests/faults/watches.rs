//! A watch that cannot fail is a defect: each new one is seen to fail on a fault that is built in.

use sealwax_core::Span;
use sealwax_sim::{Mutation, Plan, Trouble, Window, run};

fn minutes(minutes: u64) -> Span {
    Span::from_secs(minutes * 60)
}

fn window(trouble: Trouble, from: u64, to: u64) -> Window {
    Window { trouble, from: minutes(from), to: minutes(to), off_millis: 0 }
}

/// A few names, some days, and what goes wrong from the begin on, for so many minutes.
fn plan(troubles: &[Trouble], for_minutes: u64) -> Plan {
    let windows = troubles.iter().map(|trouble| window(*trouble, 0, for_minutes)).collect();
    let length = minutes(60 * 24 * 2);
    Plan { domains: 3, notified: true, windows, length, ..Plan::calm(1, 2) }
}

/// The invariants that a plan breaks: none as it is, and this one with the fault built in.
fn assert_trips(invariant: &str, mutation: Mutation, plan: Plan) {
    let well = run(plan.clone());
    assert_eq!(well.broken, [""; 0], "{}", well.story());
    let broken = run(Plan { mutation: Some(mutation), ..plan });
    let said = broken.broken.iter().find(|how| how.starts_with(invariant));
    // It says to whom and when.
    let told = said.is_some_and(|said| said.contains("2026-01-0"));
    assert!(told, "{invariant} does not see {mutation:?}: {said:?} {}", broken.story());
}

#[test]
fn inv_13_sees_a_notice_that_vanishes() {
    assert_trips("INV-13", Mutation::NoticesVanish, plan(&[Trouble::NotifierDown], 600));
}

#[test]
fn inv_4_sees_a_lease_that_a_process_leaves_behind_when_it_is_told_to_stop() {
    assert_trips("INV-4", Mutation::DropsAtOnce, plan(&[Trouble::Rollout, Trouble::CaHangs], 30));
}

#[test]
fn inv_22_sees_a_record_that_is_written_over_and_over() {
    assert_trips("INV-22", Mutation::WritesAgain, plan(&[Trouble::NotifierDown], 600));
}

#[test]
fn inv_24_sees_a_token_that_is_taken_for_no_order() {
    assert_trips("INV-24", Mutation::TokensTwice, plan(&[Trouble::PlatformDown], 10));
}

#[test]
fn inv_25_sees_a_name_that_rests_after_an_outage() {
    for trouble in [Trouble::CaDown, Trouble::PlatformDown] {
        assert_trips("INV-25", Mutation::LongRest, plan(&[trouble], 120));
    }
}

#[test]
fn inv_26_sees_a_name_that_is_parked_on_one_answer() {
    assert_trips("INV-26", Mutation::GoneFromCache, plan(&[Trouble::PlatformGone], 100));
}
