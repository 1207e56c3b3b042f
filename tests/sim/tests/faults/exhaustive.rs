//! Each effect of a first certificate and its renewal, struck with everything it can be struck
//! with, one at a time.

use sealwax_core::Span;
use sealwax_sim::{Blow, Plan, Recall, Strike, run};

#[test]
fn nothing_goes_wrong_when_nothing_is_struck() {
    for replicas in 1..=3 {
        let report = run(Plan::calm(1, replicas));
        assert_eq!(report.broken, [""; 0], "{}", report.story());
        assert_eq!(report.certificates, 3, "first issue and two renewals");
        assert_eq!(report.orders, 3);
        assert_eq!(report.refused, [""; 0]);
    }
}

/// INV-4, for each effect and each fault: one order a need, but for the answer to a new order that
/// nobody could write down.
#[test]
fn whatever_strikes_any_effect_ends_in_one_certificate_from_one_order() {
    for replicas in 1..=2 {
        let effects = run(Plan::calm(1, replicas)).effects;
        assert!(effects > 25, "{effects}");
        for nth in 0..effects {
            for strike in Strike::ALL {
                let blow = Some(Blow { nth, strike });
                let report = run(Plan { blow, ..Plan::calm(1, replicas) });
                let place = format!("{strike:?} at {nth} with {replicas}:\n{}", report.story());
                assert!(report.broken.is_empty(), "{place}");
                assert!((3..=4).contains(&report.orders), "{} orders: {place}", report.orders);
                assert_eq!(report.certificates, 3, "{place}");
                assert_eq!(report.refused, [""; 0], "{place}");
            }
        }
    }
}

/// The run ends, its lease stays, and long after that two replicas look at the name at once.
#[test]
fn a_lease_that_a_failed_run_left_behind_is_renewed_before_anything_is_done_under_it() {
    let effects = run(Plan::calm(1, 2)).effects;
    for nth in 0..effects {
        let blow = Some(Blow { nth, strike: Strike::LoseAnswer });
        let report = run(Plan { blow, ..Plan::calm(1, 2) });
        assert_eq!(report.broken, [""; 0], "{}", report.story());
    }
}

#[test]
fn everything_done_twice_ends_in_the_same() {
    for replicas in 1..=3 {
        let report = run(Plan { twice: true, ..Plan::calm(1, replicas) });
        assert_eq!(report.broken, [""; 0], "{}", report.story());
        assert_eq!(report.certificates, 3);
    }
}

#[test]
fn a_pending_order_that_the_ca_gives_out_again_is_gone_on_with() {
    let effects = run(Plan::calm(1, 1)).effects;
    for nth in 0..effects {
        let blow = Some(Blow { nth, strike: Strike::DieAfter });
        let report = run(Plan { blow, reuses_orders: true, ..Plan::calm(1, 1) });
        assert_eq!(report.broken, [""; 0], "{}", report.story());
        assert_eq!(report.orders, 3, "{}", report.story());
    }
}

/// A name that fails, is tried in staging in vain, is mended, and is then ordered.
fn mended(replicas: usize) -> Plan {
    let hours = |hours: u64| Span::from_secs(hours * 3_600);
    let (mended, length) = (Some(hours(4)), hours(36));
    Plan { domains: 0, broken: 1, staging: true, mended, length, ..Plan::calm(1, replicas) }
}

#[test]
fn whatever_strikes_a_trial_ends_in_a_certificate_from_production() {
    let calm = run(mended(1));
    assert_eq!(calm.broken, [""; 0], "{}", calm.story());
    // The first order, the trials that fail and the one that does not, and the order after it.
    assert!(calm.trials >= 2, "{}", calm.trials);
    let orders = calm.orders;
    for replicas in 1..=2 {
        let effects = run(mended(replicas)).effects;
        for nth in 0..effects {
            for strike in Strike::ALL {
                let blow = Some(Blow { nth, strike });
                let report = run(Plan { blow, ..mended(replicas) });
                let place = format!("{strike:?} at {nth} with {replicas}:\n{}", report.story());
                assert!(report.broken.is_empty(), "{place}");
                assert!(report.orders <= orders + 2, "{} orders: {place}", report.orders);
                assert_eq!(report.certificates, 1, "{place}");
            }
        }
    }
}

/// Two names, both replaced by a campaign soon after they have their certificates.
fn recalled() -> Plan {
    let hours = |hours: u64| Span::from_secs(hours * 3_600);
    let recall = Some(Recall { at: hours(1), within: hours(4), rate: 1, paused: false });
    Plan { domains: 2, recall, life: hours(40), length: hours(4), ..Plan::calm(1, 2) }
}

#[test]
fn whatever_strikes_a_campaign_it_asks_for_each_name_once_and_at_its_rate() {
    let calm = run(recalled());
    assert_eq!(calm.broken, [""; 0], "{}", calm.story());
    assert_eq!((calm.recalled, calm.certificates), (2, 4));
    let before = run(Plan { recall: None, ..recalled() }).effects;
    assert!(before + 20 < calm.effects, "{before} of {}", calm.effects);
    for nth in before..calm.effects {
        for strike in Strike::ALL {
            let blow = Some(Blow { nth, strike });
            let report = run(Plan { blow, ..recalled() });
            let place = format!("{strike:?} at {nth}:\n{}", report.story());
            assert!(report.broken.is_empty(), "{place}");
            assert_eq!(report.recalled, 2, "{place}");
        }
    }
}
