use proptest::prelude::*;
use sealwax_protocol::DomainName;

use super::*;
use crate::record::Registration;

struct Fixed(u64);

impl Jitter for Fixed {
    fn permille(&self) -> u64 {
        self.0
    }
}

const DAY: u64 = 86_400;

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn facts(source: CertificateSource) -> CertificateFacts {
    CertificateFacts {
        serial: "01".into(),
        issuer: "CN=Test".into(),
        sans: vec!["a.example.com".into()],
        not_before: at(0),
        not_after: at(90 * DAY),
        fingerprint_sha256: "00".into(),
        ari_id: Some("AA.BB".into()),
        source,
        ordered_from: Some("ca".into()),
        renew_at: Some(at(60 * DAY)),
    }
}

fn record(source: CertificateSource) -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let mut record = DomainRecord::registered(domain, Registration::default(), at(0));
    record.watch = begun(&facts(source), at(0), &Fixed(500));
    record.certificate = Some(facts(source));
    record
}

fn info(start: u64, end: u64) -> RenewalInfo {
    RenewalInfo {
        start: at(start),
        end: at(end),
        retry_after: Span::from_secs(6 * 3600),
        explanation_url: None,
    }
}

fn renew_at(record: &DomainRecord) -> Timestamp {
    record.certificate.as_ref().and_then(|facts| facts.renew_at).unwrap()
}

#[test]
fn a_moment_is_chosen_once_and_kept_until_the_window_moves() {
    let window = info(50 * DAY, 52 * DAY);
    let (first, moved) = informed(record(CertificateSource::Acme), &window, at(10), &Fixed(250));
    assert!(moved);
    assert_eq!(renew_at(&first), at(50 * DAY + DAY / 2));
    assert_eq!(first.watch.as_ref().unwrap().look_at, at(10 + 6 * 3600));
    let (again, moved) = informed(first, &window, at(20), &Fixed(1000));
    assert!(!moved);
    assert_eq!(renew_at(&again), at(50 * DAY + DAY / 2), "not rolled again");
    let (moved_up, moved) = informed(again, &info(DAY, 2 * DAY), at(30), &Fixed(0));
    assert!(moved);
    assert_eq!(renew_at(&moved_up), at(DAY));
}

#[test]
fn a_revoked_certificate_is_due_at_once() {
    let (revoked, _) =
        informed(record(CertificateSource::Acme), &info(1, 2), at(30 * DAY), &Fixed(1000));
    assert!(renew_at(&revoked) < at(30 * DAY));
    assert!(crate::apply::due(&revoked, at(30 * DAY)).is_some());
}

/// Whatever the CA calls the past: also one that moves with each answer.
#[test]
fn a_window_that_is_always_over_renews_once_a_day_at_most_and_ever_more_rarely() {
    let (mut held, mut now, mut renewals) = (record(CertificateSource::Acme), 0, Vec::new());
    while now < 89 * DAY {
        now += 6 * 3600;
        held = informed(held, &info(now - 200, now - 100), at(now), &Fixed(500)).0;
        if crate::apply::due(&held, at(now)).is_none() {
            continue;
        }
        renewals.push(now);
        let mut next = facts(CertificateSource::Acme);
        (next.not_before, next.not_after) = (at(now), at(now + 90 * DAY));
        next.renew_at = Some(at(now + 60 * DAY));
        held.watch = taken_over(begun(&next, at(now), &Fixed(500)), &held, at(now));
        held.certificate = Some(next);
    }
    let days: Vec<_> = renewals.iter().map(|at| at / DAY).collect();
    assert_eq!(days, [1, 3, 7, 15, 31, 61], "a day, two, four, … and a third of the life");
}

#[test]
fn a_window_that_was_still_to_come_and_is_over_now_renews_at_once() {
    let (told, _) =
        informed(record(CertificateSource::Acme), &info(50 * DAY, 52 * DAY), at(60), &Fixed(0));
    let (revoked, _) = informed(told, &info(10, 20), at(7 * 3600), &Fixed(1000));
    assert!(crate::apply::due(&revoked, at(7 * 3600)).is_some(), "an hour after issuance too");
}

#[test]
fn a_certificate_the_ca_does_not_know_is_asked_about_daily_and_then_no_more() {
    let mut record = record(CertificateSource::Acme);
    let (moment, mut asked) = (renew_at(&record), Vec::new());
    while let Some(watch) = record.watch.clone() {
        asked.push(watch.look_at);
        record = not_known(record, watch.look_at, &Fixed(0));
    }
    assert!(asked.windows(2).all(|two| two[1].since(two[0]).secs() >= DAY), "{asked:?}");
    assert_eq!((asked.len(), renew_at(&record)), (5, moment));
}

#[test]
fn no_answer_changes_nothing_but_when_it_is_asked_again() {
    let before = record(CertificateSource::Acme);
    let after = uninformed(before.clone(), at(100), &Fixed(0));
    assert_eq!(renew_at(&after), renew_at(&before));
    assert_eq!(after.watch.as_ref().unwrap().look_at, at(100 + 3600));
    assert_eq!(unknown(before).watch, None);
}

#[test]
fn a_ca_is_asked_twice_a_day_at_least() {
    let mut lazy = info(50 * DAY, 52 * DAY);
    lazy.retry_after = Span::from_secs(90 * DAY);
    let (told, _) = informed(record(CertificateSource::Acme), &lazy, at(0), &Fixed(0));
    assert_eq!(told.watch.unwrap().look_at, at(DAY / 2));
}

#[test]
fn an_imported_certificate_is_warned_about_from_two_thirds_of_its_life_on() {
    let mut imported = record(CertificateSource::Imported);
    let mut warnings = Vec::new();
    while let Some(watch) = imported.watch.clone() {
        warnings.push(watch.look_at.secs() / DAY);
        imported = warned(imported, watch.look_at);
    }
    assert_eq!(warnings.first(), Some(&60));
    assert!(warnings.len() < 12, "{warnings:?}");
    assert!(warnings.iter().filter(|day| **day >= 83).count() > 2, "{warnings:?}");
}

proptest! {
    #[test]
    fn whatever_a_ca_suggests_the_renewal_is_before_the_emergency(
        start in 0_u64..4_000 * DAY, width in 0_u64..4_000 * DAY, jitter in 0_u64..2000
    ) {
        let window = info(start, start + width);
        let (told, _) = informed(record(CertificateSource::Acme), &window, at(0), &Fixed(jitter));
        let emergency = at(90 * DAY - 90 * DAY / 20);
        prop_assert!(renew_at(&told) <= emergency);
        prop_assert!(width == 0 || renew_at(&told) >= at(start).min(emergency));
        // Not on its first day: see the windows that are always over.
        prop_assert!(width == 0 || renew_at(&told) <= at((start + width).max(DAY)));
    }
}
