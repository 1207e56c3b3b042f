use sealwax_core::preflight::{Looked, Path};
use sealwax_core::{Cause, Registration, Work};
use sealwax_protocol::DomainName;

use super::*;

fn record() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    DomainRecord::registered(domain, Registration::default(), Timestamp::from_secs(0))
}

#[test]
fn a_failure_is_explained_with_who_what_and_when() {
    let mut record = record();
    record.failure = Some(Failure {
        cause: Cause::DnsNoRecord,
        detail: "no A or AAAA record".to_owned(),
        attempts: 3,
        stalls: 0,
        outage: sealwax_core::failure::Outage::default(),
        next_attempt_at: Some(Timestamp::from_secs(1_767_225_600)),
        refused: true,
    });
    let told = Explanation::of(&record, &[], Timestamp::from_secs(5));
    assert_eq!(told.wrong.as_deref(), Some("no A or AAAA record (3 times in a row)"));
    assert!(told.act.unwrap().starts_with("The owner of the domain must act. Add an A or AAAA"));
    assert!(told.next.starts_with("It is tried again at 2026-01-01T00:00:00Z: the wait grows"));
    assert!(told.next.ends_with("sealwax domain renew a.example.com."));
    assert!(told.summary.contains("someone must act. It has no certificate"));
}

#[test]
fn what_was_never_tried_is_not_counted() {
    let mut record = record();
    record.failure = Some(Failure {
        cause: Cause::PlatformGone,
        detail: "the platform says that it is gone".to_owned(),
        attempts: 0,
        stalls: 0,
        outage: sealwax_core::failure::Outage::default(),
        next_attempt_at: None,
        refused: false,
    });
    let told = Explanation::of(&record, &[], Timestamp::from_secs(5));
    assert_eq!(told.wrong.as_deref(), Some("the platform says that it is gone"));
}

#[test]
fn what_was_seen_of_the_domain_is_told() {
    let mut record = record();
    assert_eq!(Explanation::of(&record, &[], Timestamp::from_secs(5)).preflight, None);
    let nothing = || "no such record".to_owned();
    record.preflight = Some(Box::new(Findings {
        at: Timestamp::from_secs(0),
        ipv4: Looked::Nothing { said: "NXDOMAIN".to_owned() },
        ipv6: Looked::Nothing { said: nothing() },
        aliases: Vec::new(),
        caa: Looked::Nothing { said: nothing() },
        path: Path::NotTried { why: "no address is known".to_owned() },
        also: Vec::new(),
        vantage_proven: false,
    }));
    let told = Explanation::of(&record, &[], Timestamp::from_secs(5)).preflight.unwrap();
    assert_eq!(told.at, "1970-01-01T00:00:00Z");
    let what: Vec<_> = told.seen.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["A", "AAAA", "CAA", "challenge path"]);
    assert_eq!(told.seen[0].seen, "none: NXDOMAIN");
}

#[test]
fn trials_are_told_once_there_was_one() {
    let told = |next, saved| {
        let record = DomainRecord { trials: Some(Trials { next, saved }), ..record() };
        Explanation::of(&record, &[], Timestamp::from_secs(5)).trials
    };
    assert_eq!(told(Venue::Staging, 0), None);
    let once = told(Venue::Staging, 1).unwrap();
    assert!(once.contains("staging: 1 production attempt saved; the next"), "{once}");
    let passed = told(Venue::Production, 3).unwrap();
    assert!(
        passed.ends_with("3 production attempts saved; the next attempt is made in production.")
    );
}

#[test]
fn every_state_says_what_happens_next() {
    let now = Timestamp::from_secs(5);
    let next = |work: Work| Explanation::of(&DomainRecord { work, ..record() }, &[], now).next;
    assert!(next(Work::Idle).contains("first handshake"));
    assert!(next(Work::Parked).contains("registered again"));
    assert!(next(Work::Wanted { since: now }).contains("within seconds"));
    assert!(next(Work::Ordering { issuer: "ca".to_owned() }).contains("worked on"));
}

#[test]
fn an_order_that_rests_is_not_said_to_be_worked_on() {
    let mut record = record();
    record.work = Work::Ordering { issuer: "ca".to_owned() };
    record.failure = Some(Failure {
        cause: Cause::CaUnavailable,
        detail: "no answer".to_owned(),
        attempts: 1,
        stalls: 0,
        outage: sealwax_core::failure::Outage::default(),
        next_attempt_at: Some(Timestamp::from_secs(60)),
        refused: false,
    });
    let told = Explanation::of(&record, &[], Timestamp::from_secs(5));
    assert!(told.next.starts_with("It is tried again at 1970-01-01T00:01:00Z"), "{}", told.next);
}

#[test]
fn a_turn_is_an_estimate_and_no_failure() {
    let mut record = record();
    record.failure = Some(Failure {
        cause: Cause::CaRateLimited,
        detail: "ca: no room now for new orders of the account".to_owned(),
        attempts: 0,
        stalls: 0,
        outage: sealwax_core::failure::Outage::default(),
        next_attempt_at: Some(Timestamp::from_secs(60)),
        refused: false,
    });
    let told = Explanation::of(&record, &[], Timestamp::from_secs(500));
    assert!(told.next.contains("looked at within a minute"), "{}", told.next);
    assert_eq!(told.wrong.as_deref(), Some("ca: no room now for new orders of the account"));
    assert!(told.summary.contains("waits for its certificate authority"), "{}", told.summary);
    let about = Timestamp::from_secs(1_767_225_600);
    let detail = "ca: no room now for new orders of the account".to_owned();
    let told = told.waiting(Some(Turn { about, ahead: 17, detail }));
    assert!(told.next.contains("17 names go before it, and it is at about 2026-01-01T00:00:00Z"));
}

#[test]
fn the_timeline_is_oldest_first() {
    let event = |secs: i64, kind: &str| LifecycleEvent {
        at: Timestamp::from_secs(secs),
        kind: kind.to_owned(),
        detail: String::new(),
    };
    let newest_first = [event(2, "certificate.issued"), event(1, "domain.registered")];
    let told = Explanation::of(&record(), &newest_first, Timestamp::from_secs(5));
    let kinds: Vec<_> = told.timeline.iter().map(|moment| moment.what.as_str()).collect();
    assert_eq!(kinds, ["registered", "the first certificate was issued"]);
}
