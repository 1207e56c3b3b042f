//! How long an order is gone on with.

use super::*;

/// The record's order was taken at second 1000; its CA says that it lasts until `expires`.
fn aged(work: Work, status: OrderStatus, expires: Option<u64>, now: u64) -> Step {
    let mut record = record(work);
    record.ordered_at = Some(at(1_000));
    let mut seen = sight(status, None);
    if let Some(order) = &mut seen.order {
        order.expires = expires.map(at);
    }
    seen.finalized = true;
    decide(&record, &seen, ME, at(now))
}

#[test]
fn an_order_that_the_ca_does_not_finish_is_given_up() {
    let gives_up = |step: &Step| matches!(step, Step::Abandon { .. });
    let hour = PROCESSING_MAX.secs();
    let processing = |expires, now| aged(keyed_work(), OrderStatus::Processing, expires, now);
    assert!(!gives_up(&processing(None, 1_000 + hour - 1)));
    assert!(gives_up(&processing(None, 1_000 + hour)));
    assert!(!gives_up(&processing(Some(1_500), 1_499)));
    assert!(gives_up(&processing(Some(1_500), 1_500)));
    assert!(gives_up(&aged(ordered(), OrderStatus::Pending, Some(1_500), 1_500)));
    let day = 86_400;
    for status in [OrderStatus::Pending, OrderStatus::Ready] {
        assert!(!gives_up(&aged(ordered(), status, None, 1_000 + 2 * day - 1)), "it does not say");
        assert!(gives_up(&aged(ordered(), status, None, 1_000 + 2 * day)));
        assert!(!gives_up(&aged(ordered(), status, Some(9_999_999), 1_000 + 7 * day - 1)));
        assert!(gives_up(&aged(ordered(), status, Some(9_999_999), 1_000 + 7 * day)));
    }
}

#[test]
fn an_order_that_does_not_say_when_it_was_placed_is_as_old_as_its_last_write() {
    let old = DomainRecord { updated_at: at(50), ..record(ordered()) };
    assert_eq!(dated(old.clone(), at(90)).ordered_at, Some(at(50)));
    let ahead = DomainRecord { ordered_at: Some(at(999_999)), ..old.clone() };
    assert_eq!(dated(ahead, at(90)).ordered_at, Some(at(50)), "by a clock that was wrong");
    let known = DomainRecord { ordered_at: Some(at(40)), ..old };
    assert_eq!(dated(known.clone(), at(90)), known);
    assert!(!is_old(&known, at(40 + 299)) && is_old(&known, at(40 + 300)));
    let idle = DomainRecord { work: Work::Idle, ..known };
    assert!(!is_old(&idle, at(9_999)) && dated(idle.clone(), at(90)) == idle);
}

#[test]
fn a_certificate_that_is_there_is_fetched_whatever_the_orders_age() {
    let step = aged(keyed_work(), OrderStatus::Valid, Some(1_500), 9_999_999);
    assert!(matches!(step, Step::Download { .. }));
}

#[test]
fn a_clock_by_which_orders_are_over_when_they_are_placed_gives_none_up() {
    let step = aged(keyed_work(), OrderStatus::Processing, Some(900), 1_010);
    assert!(matches!(step, Step::Observe { .. }), "{step:?}");
}
