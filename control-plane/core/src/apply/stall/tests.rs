use proptest::prelude::*;
use sealwax_protocol::DomainName;

use super::*;
use crate::apply::{deferred, demand, due, errored, gave_up, postponed};
use crate::backoff::{STALL_MAX, STALLS_NEWS, VISIT_EVERY};
use crate::issuer::{IssueError, LimitScope};
use crate::record::{DomainState, Registration};
use crate::secret::SealedKey;
use crate::timestamp::Span;

struct Half;

impl Jitter for Half {
    fn permille(&self) -> u64 {
        500
    }
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn wanted() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let fresh = DomainRecord::registered(domain, Registration::default(), at(0));
    demand(&fresh, at(1)).unwrap()
}

fn away(record: DomainRecord, cause: Cause, now: Timestamp) -> DomainRecord {
    let stalled = stalled(record, cause, "away", None, now, &Half);
    DomainRecord { updated_at: now, ..stalled }
}

fn refused(record: DomainRecord, cause: Cause, now: Timestamp) -> DomainRecord {
    let refusal = Refusal { cause, detail: String::new() };
    DomainRecord { updated_at: now, ..gave_up(record, &refusal, now, &Half) }
}

#[test]
fn an_outage_counts_no_attempt_and_is_over_in_seconds_if_it_is_short() {
    let record = away(wanted(), Cause::PlatformUnavailable, at(5));
    let failure = record.failure.as_ref().unwrap();
    assert_eq!((failure.attempts, failure.stalls, failure.refused), (0, 1, false));
    assert_eq!(record.state(), DomainState::Deferred);
    assert!(record.wake_at().unwrap().since(at(5)) <= Span::from_secs(10));
}

#[test]
fn a_visit_asks_again_at_a_bounded_rate_and_leaves_the_schedules_clock_alone() {
    let mut record = wanted();
    let mut now = at(5);
    for _ in 0..6 {
        record = away(record, Cause::PlatformUnavailable, now);
        now = record.wake_at().unwrap();
        record = due(&record, now).unwrap();
    }
    record = away(record, Cause::PlatformUnavailable, now);
    let scheduled = record.wake_at();
    assert!(scheduled.unwrap().since(now) > Span::from_secs(200));
    assert_eq!(demand(&record, now + VISIT_EVERY - Span::from_millis(1)), None);
    let visited = demand(&record, now + VISIT_EVERY).unwrap();
    let again = away(visited, Cause::PlatformUnavailable, now + VISIT_EVERY);
    assert_eq!(again.wake_at(), scheduled);
    assert_eq!(again.failure.as_ref().unwrap().stalls, 7);
    assert_eq!(demand(&again, now + VISIT_EVERY), None, "and not at once again");
}

#[test]
fn a_visit_goes_on_with_an_order_that_is_kept() {
    let work = Work::Keyed {
        issuer: "ca".into(),
        order_url: "u".into(),
        token: None,
        key: SealedKey::new(vec![1]),
    };
    let record = DomainRecord { work: work.clone(), ..wanted() };
    let record = away(record, Cause::CaUnavailable, at(5));
    assert_eq!(demand(&record, at(10)).map(|record| record.work), Some(work));
}

#[test]
fn a_visit_asks_nobody_who_wants_to_be_left_alone_and_places_no_order_on_a_guess() {
    let limited = IssueError::RateLimited {
        until: at(5_000),
        scope: LimitScope::Account,
        detail: String::new(),
    };
    let record = errored(wanted(), &limited, at(5), &Half);
    assert_eq!(demand(&record, at(4_999)), None);
    assert!(demand(&record, at(5_000)).is_some());
    let unknown = DomainRecord { work: Work::Ordering { issuer: "ca".into() }, ..wanted() };
    assert_eq!(demand(&away(unknown, Cause::CaUnavailable, at(5)), at(4_999)), None);
    assert_eq!(demand(&away(wanted(), Cause::OrderLost, at(5)), at(4_999)), None);
    assert_eq!(demand(&away(wanted(), Cause::CaAccount, at(5)), at(4_999)), None);
    assert_eq!(demand(&refused(wanted(), Cause::DnsNoRecord, at(5)), at(4_999)), None);
}

#[test]
fn an_outage_of_another_part_starts_its_own_row() {
    let mut record = wanted();
    for second in [0, 100, 200] {
        record = away(record, Cause::PlatformUnavailable, at(second));
    }
    let record = away(record, Cause::CaUnavailable, at(201));
    assert_eq!(record.failure.as_ref().unwrap().stalls, 1);
    let record = away(record, Cause::CaRateLimited, at(900));
    assert_eq!(record.failure.as_ref().unwrap().stalls, 2, "of the same CA");
}

#[test]
fn what_the_owner_has_to_mend_stays_known_behind_an_outage_and_its_count_goes_on() {
    let record = refused(wanted(), Cause::DnsNoRecord, at(5));
    let record = away(due(&record, at(100)).unwrap(), Cause::CaUnavailable, at(100));
    let failure = record.failure.as_ref().unwrap();
    assert_eq!((failure.attempts, failure.counted()), (1, Some(Cause::DnsNoRecord)));
    assert!(crate::preflight::is_due(&record));
    let record = away(record, Cause::CaUnavailable, at(1_000));
    let record = refused(record, Cause::DnsNoRecord, at(2_000));
    let failure = record.failure.as_ref().unwrap();
    assert_eq!((failure.attempts, failure.stalls), (2, 0));
    assert_eq!(record.wake_at().unwrap().since(at(2_000)), Span::from_secs(630));
}

#[test]
fn a_turn_that_has_not_come_leaves_the_row_as_it_is() {
    let record = away(wanted(), Cause::CaUnavailable, at(5));
    let until = at(60);
    let due = record.wake_at().unwrap();
    let early = postponed(record.clone(), Cause::CaUnavailable, "rests", until, at(10));
    assert!(at(10) < due && early.failure == record.failure, "a visit moves nothing");
    let waits = postponed(record, Cause::CaUnavailable, "rests", until, due);
    let failure = waits.failure.unwrap();
    assert_eq!((failure.stalls, failure.next_attempt_at), (1, Some(until)));
}

#[test]
fn orders_that_get_lost_again_and_again_are_a_failure() {
    let mut record = wanted();
    let mut now = at(0);
    for stalls in 1..=LOST_MAX {
        record = refused(record, Cause::OrderLost, now);
        assert_eq!(record.failure.as_ref().unwrap().stalls, stalls);
        now = record.wake_at().unwrap();
    }
    for attempts in 1..4 {
        record = refused(record, Cause::OrderLost, now);
        let failure = record.failure.as_ref().unwrap();
        assert_eq!((failure.attempts, failure.stalls), (attempts, 0));
        assert_eq!(record.state(), DomainState::Deferred);
        now = record.wake_at().unwrap();
    }
}

#[test]
fn only_lost_orders_count_as_lost_orders() {
    let mut record = wanted();
    let mut now = at(0);
    for _ in 0..12 {
        record = away(record, Cause::CaUnavailable, now);
        now = record.wake_at().unwrap();
    }
    assert_eq!(record.lost_orders, 0);
    for lost in 1..=LOST_MAX {
        record = refused(record, Cause::OrderLost, now);
        assert!(record.failure.as_ref().unwrap().is_stall(), "{lost}");
        assert_eq!(record.lost_orders, lost);
        now = record.wake_at().unwrap();
        record = away(record, Cause::CaUnavailable, now);
        now = record.wake_at().unwrap();
    }
    record = refused(record, Cause::OrderLost, now);
    assert_eq!(record.failure.as_ref().unwrap().attempts, 1, "an outage between them ends no row");
    let heard = refused(record, Cause::DnsNoRecord, now);
    assert_eq!(heard.lost_orders, 0, "an order that came to an end does");
}

#[test]
fn an_order_that_is_given_up_for_another_ca_is_a_lost_one() {
    let ordering = DomainRecord { work: Work::Ordering { issuer: "ca".into() }, ..wanted() };
    let ordered = crate::apply::ordered(ordering, "https://ca/1".into()).unwrap();
    assert_eq!(crate::apply::abandoned(ordered, at(9)).unwrap().lost_orders, 1);
}

#[test]
fn a_limit_of_the_name_that_names_no_moment_is_not_asked_about_by_each_visit() {
    let limited = |record, scope| {
        let error = IssueError::RateLimited { until: at(5), scope, detail: "429".into() };
        errored(record, &error, at(5), &Half)
    };
    let name = DomainRecord { updated_at: at(5), ..limited(wanted(), LimitScope::Name) };
    let next = name.failure.as_ref().unwrap().next_attempt_at.unwrap();
    assert!(demand(&name, next + Span::from_millis(0)).is_some());
    assert_eq!(demand(&name, at(5) + VISIT_EVERY), None);
    let all = DomainRecord { updated_at: at(5), ..limited(wanted(), LimitScope::Ca) };
    assert!(demand(&all, at(5) + VISIT_EVERY).is_some(), "that one the process holds");
    let (issuer, order_url) = ("ca".to_owned(), "https://ca/1".to_owned());
    let placed = DomainRecord { work: Work::Ordered { issuer, order_url }, ..wanted() };
    let placed = DomainRecord { updated_at: at(5), ..limited(placed, LimitScope::Ca) };
    assert_eq!(demand(&placed, at(5) + VISIT_EVERY), None, "nothing holds a look at an order");
}

#[test]
fn the_platform_hears_of_an_outage_when_it_lasts() {
    let told = |record: &DomainRecord| record.failure.as_ref().unwrap().outage.told;
    let mut record = wanted();
    let mut now = at(0);
    for stalls in 1..=STALLS_NEWS {
        record = away(record, Cause::CaUnavailable, now);
        assert_eq!(told(&record), stalls == STALLS_NEWS, "{stalls}");
        now = record.wake_at().unwrap();
    }
    let long = stalled(wanted(), Cause::CaRateLimited, "", Some(at(7_200)), at(0), &Half);
    assert!(told(&long));
}

#[test]
fn an_order_that_is_gone_after_an_outage_is_placed_anew_soon() {
    let mut record = wanted();
    let mut now = at(0);
    for _ in 0..12 {
        record = away(record, Cause::CaUnavailable, now);
        now = record.wake_at().unwrap();
    }
    let gone = away(record.clone(), Cause::OrderLost, now);
    assert!(gone.wake_at().unwrap() <= now + Span::from_secs(30));
    let again = away(gone.clone(), Cause::OrderLost, gone.wake_at().unwrap());
    assert!(again.wake_at().unwrap() > gone.wake_at().unwrap() + Span::from_secs(60));
}

#[test]
fn a_profile_that_the_ca_refuses_is_the_domains_own_failure() {
    let closed = IssueError::Misconfigured { detail: "the account is deactivated".into() };
    let error = IssueError::ProfileRefused { detail: "no such profile".into() };
    let mut record = wanted();
    record.registration.profile = Some("odd".into());
    let failure = errored(record.clone(), &closed, at(5), &Half).failure.unwrap();
    assert!(failure.is_stall() && failure.attempts == 0, "a closed account is not");
    let failure = errored(record.clone(), &error, at(5), &Half).failure.unwrap();
    assert_eq!((failure.attempts, failure.stalls), (1, 0));
    let counted = deferred(record, Cause::CaAccount, "", None, at(5), &Half);
    assert_eq!(counted.failure.unwrap().attempts, 1);
}

proptest! {
    #[test]
    fn after_an_outage_of_any_length_every_name_is_tried_within_ten_minutes(
        outages in proptest::collection::vec(0_usize..4, 1..40), start in 0_u64..1_000_000
    ) {
        let causes = [
            Cause::CaUnavailable, Cause::CaAccount, Cause::PlatformUnavailable, Cause::CaRateLimited,
        ];
        let (mut record, mut now) = (wanted(), at(start));
        for outage in outages {
            record = away(record, causes[outage], now);
            let next = record.wake_at().unwrap();
            prop_assert!(next > now && next.since(now) <= STALL_MAX);
            now = next;
        }
    }
}
