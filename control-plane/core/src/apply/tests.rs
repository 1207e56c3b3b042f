use proptest::prelude::*;
use sealwax_protocol::DomainName;

use super::*;
use crate::certificate::CertificateSource;
use crate::issuer::{IssueError, LimitScope};
use crate::record::{DomainState, Registration};

struct Half;

impl Jitter for Half {
    fn permille(&self) -> u64 {
        500
    }
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn fresh() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    DomainRecord::registered(domain, Registration::default(), at(0))
}

fn facts(renew_at: u64) -> CertificateFacts {
    CertificateFacts {
        serial: "01".into(),
        issuer: "CN=Test".into(),
        sans: vec!["a.example.com".into()],
        not_before: at(0),
        not_after: at(renew_at * 2),
        fingerprint_sha256: "00".into(),
        ari_id: None,
        source: CertificateSource::Acme,
        ordered_from: None,
        renew_at: Some(at(renew_at)),
    }
}

fn keyed_record() -> DomainRecord {
    let wanted = leased(demand(&fresh(), at(1)).unwrap(), "me", 1, Span::from_secs(30));
    let ordering = permitted(wanted, "ca").unwrap();
    let ordered = ordered(ordering, "https://ca/1".into()).unwrap();
    let challenged = challenged(ordered, "tok".into()).unwrap();
    keyed(challenged, SealedKey::new(vec![1])).unwrap()
}

#[test]
fn a_first_demand_leads_to_an_issued_certificate() {
    let keyed = keyed_record();
    assert_eq!(keyed.state(), DomainState::Issuing);
    assert_eq!(keyed.work.token(), Some("tok"));
    let issued = issued(keyed, facts(100)).unwrap();
    assert_eq!(issued.state(), DomainState::Issued);
    assert_eq!(issued.lease, None);
    assert_eq!(issued.wake_at(), Some(at(100)));
}

#[test]
fn demand_starts_nothing_when_the_schedule_has_the_word() {
    let record = leased(fresh(), "me", 1, Span::from_secs(30));
    let refusal = Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() };
    let failed = gave_up(record, &refusal, at(5), &Half);
    assert_eq!(demand(&failed, at(1_000_000)), None);
    assert_eq!(failed.state(), DomainState::Refused);
    let next = failed.wake_at().unwrap();
    assert!(due(&failed, next).is_some(), "the schedule itself starts it");
    assert_eq!(due(&failed, next - Span::from_millis(1)), None);
}

#[test]
fn demand_starts_nothing_for_an_issued_domain_and_the_sweep_renews_it() {
    let held = issued(keyed_record(), facts(100)).unwrap();
    assert_eq!(demand(&held, at(99)), None);
    assert_eq!(due(&held, at(99)), None);
    let renewing = due(&held, at(100)).unwrap();
    assert_eq!(renewing.state(), DomainState::Issued, "still served while it is renewed");
}

#[test]
fn an_outage_of_the_ca_keeps_the_order() {
    let deferred = errored(
        keyed_record(),
        &IssueError::Retry { after: None, detail: "503".into() },
        at(5),
        &Half,
    );
    assert!(matches!(deferred.work, Work::Keyed { .. }));
    assert_eq!(deferred.lease, None);
    assert_eq!(deferred.state(), DomainState::Deferred);
}

#[test]
fn an_operator_may_cut_a_wait_short_and_the_order_is_gone_on_with() {
    let down = IssueError::Retry { after: None, detail: "503".into() };
    let deferred = errored(keyed_record(), &down, at(5), &Half);
    let forced = force(&deferred, at(6)).unwrap();
    assert_eq!(forced.work, deferred.work);
    assert_eq!(forced.wake_at(), Some(at(6)));
    assert_eq!(forced.failure.as_ref().map(|failure| failure.stalls), Some(1));
    let busy = leased(deferred, "me", 2, Span::from_secs(30));
    assert_eq!(force(&busy, at(6)), None, "someone is at work on it");
}

#[test]
fn a_rate_limit_is_waited_out() {
    let error = IssueError::RateLimited {
        until: at(90_000),
        scope: LimitScope::Account,
        detail: "too many".into(),
    };
    let deferred = errored(keyed_record(), &error, at(5), &Half);
    assert!(deferred.wake_at().unwrap() >= at(90_000));
}

#[test]
fn a_paused_name_is_parked_with_the_cas_link() {
    let error = IssueError::Paused { detail: "https://ca/unpause".into() };
    let parked = errored(keyed_record(), &error, at(5), &Half);
    assert_eq!(parked.state(), DomainState::Parked);
    assert_eq!(parked.wake_at(), None);
    assert!(parked.failure.unwrap().detail.contains("unpause"));
}

#[test]
fn a_refused_domain_is_tried_again_all_the_same() {
    let refusal = Refusal { cause: Cause::DnsNoRecord, detail: "NXDOMAIN".into() };
    let refused = gave_up(keyed_record(), &refusal, at(5), &Half);
    assert_eq!(refused.state(), DomainState::Refused);
    assert!(refused.wake_at().unwrap() > at(5));
}

#[test]
fn a_new_holder_raises_the_fence_and_the_same_one_does_not() {
    let mine = leased(fresh(), "me", 1, Span::from_secs(30));
    assert_eq!(mine.fence, 1);
    let again = leased(mine, "me", 2, Span::from_secs(30));
    assert_eq!(again.fence, 1);
    assert_eq!(leased(again, "you", 3, Span::from_secs(30)).fence, 2);
}

#[test]
fn transitions_out_of_order_are_refused() {
    assert!(permitted(fresh(), "ca").is_err());
    assert!(ordered(fresh(), "u".into()).is_err());
    assert!(challenged(fresh(), "t".into()).is_err());
    assert!(keyed(fresh(), SealedKey::new(vec![])).is_err());
    assert!(issued(fresh(), facts(1)).is_err());
}

fn any_error() -> impl Strategy<Value = IssueError> {
    let detail = || "x".to_owned();
    prop_oneof![
        proptest::option::of(0_u64..100_000).prop_map(move |after| IssueError::Retry {
            after: after.map(Span::from_secs),
            detail: detail()
        }),
        (0_u64..100_000).prop_map(move |until| IssueError::RateLimited {
            until: at(until),
            scope: LimitScope::Name,
            detail: detail()
        }),
        Just(IssueError::Refused(Refusal { cause: Cause::CaaForbids, detail: detail() })),
        Just(IssueError::Misconfigured { detail: detail() }),
        Just(IssueError::UnknownOutcome { detail: detail() }),
        Just(IssueError::OrderGone { detail: detail() }),
        Just(IssueError::Protocol { detail: detail() }),
    ]
}

proptest! {
    #[test]
    fn every_failing_name_has_a_future_next_attempt(
        errors in proptest::collection::vec(any_error(), 1..12), start in 0_u64..1_000_000
    ) {
        let mut now = at(start);
        let mut record = keyed_record();
        for error in errors {
            record = errored(leased(record, "me", 9, Span::from_secs(30)), &error, now, &Half);
            let next = record.wake_at();
            prop_assert!(next.is_some_and(|next| next > now), "{record:?}");
            now = next.unwrap_or(now);
        }
    }

    #[test]
    fn a_turn_that_was_told_late_is_still_to_come(until in 0_u64..2_000, now in 0_u64..2_000) {
        let (until, now) = (at(until), at(now));
        let wanted = demand(&fresh(), now).unwrap();
        let record = postponed(wanted, Cause::CaRateLimited, "", until, now);
        prop_assert!(record.wake_at().is_some_and(|next| next > now && next >= until));
    }
}
