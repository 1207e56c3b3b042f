//! Fleets of a few thousand domains, through the scenarios that a million are run through in
//! release by `make bench`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use sealwax_core::Span;
use sealwax_core::budget::{Limit, Limits};
use sealwax_simulation::{Era, Import, Outage, Outcome, Preset, Scenario, Start, Verdict, run};

const DAY: Span = Span::from_secs(86_400);

/// Sweeps are further apart than in production: there is less to find.
fn small(scenario: Scenario) -> Scenario {
    Scenario { sweep_interval: Span::from_secs(60), ..scenario }
}

fn outcome(scenario: &Scenario) -> Outcome {
    run(scenario, |_| ()).unwrap()
}

/// Orders of each day in `days`, the greatest by the mean.
fn peak_to_mean_of_days(outcome: &Outcome, days: std::ops::Range<usize>) -> f64 {
    let per_day: Vec<u32> =
        outcome.orders_per_hour.chunks(24).map(|hours| hours.iter().sum()).collect();
    let per_day = &per_day[days];
    let mean = f64::from(per_day.iter().sum::<u32>()) / per_day.len() as f64;
    f64::from(*per_day.iter().max().unwrap()) / mean
}

#[test]
fn no_scenario_lets_a_certificate_expire_or_passes_a_limit() {
    for preset in Preset::ALL {
        let mut scenario = small(Scenario::preset(preset, 2_000, 200));
        if let Some(import) = &mut scenario.import {
            import.domains = 3_000;
        }
        let outcome = outcome(&scenario);
        assert_eq!(outcome.verdict(), Verdict::Held, "{preset:?}: {:?}", outcome.violations);
        assert!(outcome.orders > 4_000, "{preset:?}: {}", outcome.orders);
        assert!(outcome.margin_min_permille > 200, "{}", outcome.margin_min_permille);
    }
}

#[test]
fn a_fleet_in_its_place_orders_evenly() {
    let outcome = outcome(&small(Scenario::steady(20_000, 365)));
    let ratio = peak_to_mean_of_days(&outcome, 0..365);
    assert!(ratio < 1.25, "{ratio}");
    // 57 days apart: as few orders as the spread allows.
    let each = f64::from(u32::try_from(outcome.orders).unwrap()) / 20_000.0;
    assert!((6.2..6.6).contains(&each), "{each} orders for each domain");
}

#[test]
fn a_fleet_that_was_issued_on_one_day_orders_evenly_from_its_third_renewal_on() {
    let scenario = Scenario { start: Start::Together, ..Scenario::steady(20_000, 365) };
    let outcome = outcome(&small(scenario));
    assert!(peak_to_mean_of_days(&outcome, 0..120) > 2.0, "it begins as one crowd");
    let ratio = peak_to_mean_of_days(&outcome, 120..365);
    assert!(ratio < 1.3, "{ratio}");
}

#[test]
fn an_import_uses_the_limit_of_the_account_and_never_passes_it() {
    let import = Some(Import { at: DAY, domains: 10_000 });
    let outcome = outcome(&small(Scenario { import, ..Scenario::steady(1_000, 20) }));
    assert_eq!(outcome.limit_violations, 0);
    let imported = outcome.imported.unwrap();
    assert_eq!(imported.issued, 10_000);
    // 300 at once and 2,400 a day: no order is left unused for long.
    let hours = imported.hours;
    assert!((24.0 * 4.0..24.0 * 4.5).contains(&hours), "{hours} hours");
}

#[test]
fn a_revocation_is_made_good_within_a_day() {
    let outcome = outcome(&small(Scenario::preset(Preset::Revocation, 5_000, 60)));
    let revoked = outcome.revoked.unwrap();
    assert!((900..1_100).contains(&revoked.certificates), "{revoked:?}");
    assert_eq!(revoked.replaced, revoked.certificates);
    assert!(revoked.hours < 24.0, "{revoked:?}");
}

#[test]
fn six_day_certificates_outlive_an_outage_of_two_days() {
    let shortlived = Era { from: Span::ZERO, life: Span::from_secs(160 * 3_600) };
    let outage = Outage { from: DAY.scale(10, 1), to: DAY.scale(12, 1) };
    let steady = Scenario::steady(2_000, 30);
    let scenario = Scenario { eras: vec![shortlived], outages: vec![outage], ..steady };
    let outcome = outcome(&small(scenario));
    assert_eq!(outcome.expired, 0);
    assert!(outcome.failed_attempts > 2_000, "{}", outcome.failed_attempts);
}

#[test]
fn broken_names_are_never_forgotten_and_cost_the_others_nothing() {
    let scenario = Scenario { broken_permille: 100, ..Scenario::steady(3_000, 200) };
    let outcome = outcome(&small(scenario));
    assert!(outcome.broken > 250);
    assert_eq!(outcome.verdict(), Verdict::Held, "{:?}", outcome.violations);
}

#[test]
fn a_seed_repeats_its_run() {
    let scenario = small(Scenario::preset(Preset::Outage, 500, 60));
    let again = outcome(&scenario);
    assert_eq!(outcome(&scenario).orders_per_hour, again.orders_per_hour);
    let other = outcome(&Scenario { seed: 2, ..scenario });
    assert_ne!(other.failures_per_hour, again.failures_per_hour);
}

#[test]
fn what_has_to_be_found_is_found() {
    // An outage longer than what is left of a certificate at its renewal.
    let outage = Outage { from: DAY.scale(10, 1), to: DAY.scale(70, 1) };
    let outage = Scenario { outages: vec![outage], ..Scenario::steady(500, 80) };
    assert!(outcome(&small(outage)).expired > 0);

    // A budget that allows more than the CA does.
    let limits = Limits {
        orders_per_account: Limit { burst: 10_000, interval: Span::from_millis(1) },
        ..Limits::default()
    };
    let import = Some(Import { at: DAY, domains: 1_000 });
    let greedy = Scenario { limits, import, ..Scenario::steady(100, 5) };
    assert!(outcome(&small(greedy)).violations.contains_key("orders"));
}
