use sealwax_protocol::DomainName;

use super::*;
use crate::certificate::{CertificateFacts, CertificateSource};
use crate::failure::Outage;
use crate::record::{DomainState, Registration};

struct Fixed(u64);

impl Jitter for Fixed {
    fn permille(&self) -> u64 {
        self.0
    }
}

const fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000_000 + minutes * 60_000)
}

fn unserved() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    DomainRecord::registered(domain, Registration::default(), at(0))
}

fn served() -> DomainRecord {
    let facts = CertificateFacts {
        serial: "01".into(),
        issuer: "CN=Test".into(),
        sans: vec!["a.example.com".into()],
        not_before: at(0),
        not_after: at(90 * 1_440),
        fingerprint_sha256: "00".into(),
        ari_id: None,
        source: CertificateSource::Acme,
        ordered_from: None,
        renew_at: Some(at(60 * 1_440)),
    };
    DomainRecord { certificate: Some(facts), ..unserved() }
}

/// Asked whenever it is due, and always gone: the minutes of the answers until there is proof.
fn until_proven(mut record: DomainRecord, jitter: u64) -> Vec<u64> {
    let (mut now, mut minutes) = (at(0), Vec::new());
    loop {
        record = heard(&record, now).unwrap();
        minutes.push(now.since(at(0)).secs() / 60);
        if is_proven(&record) {
            return minutes;
        }
        record = doubted(record, "gone", now, &Fixed(jitter));
        assert_eq!(record.state(), DomainState::Deferred);
        assert!(minutes.len() < 20);
        now = record.wake_at().unwrap();
    }
}

#[test]
fn a_domain_is_proven_gone_by_several_answers_over_an_hour() {
    for jitter in [0, 1_000] {
        for record in [served(), unserved()] {
            let asked = until_proven(record, jitter);
            let over = *asked.last().unwrap();
            assert!(asked.len() >= 3 && (60..=70).contains(&over), "{asked:?}");
            assert!(asked.windows(2).all(|two| two[1] - two[0] <= 10), "{asked:?}");
        }
    }
}

#[test]
fn many_answers_at_once_are_one_and_old_ones_are_none() {
    let first = heard(&served(), at(0)).unwrap();
    for minute in 0..5 {
        assert_eq!(heard(&first, at(minute)), None);
    }
    let answers = |minute| heard(&first, at(minute)).unwrap().departure.unwrap().answers;
    assert_eq!([answers(5), answers(360), answers(361)], [2, 2, 1]);
    let later = heard(&first, at(100)).unwrap();
    let back = heard(&later, at(50)).unwrap().departure.unwrap();
    assert_eq!((back.answers, back.first_at), (1, at(50)), "a clock that was set back");
}

#[test]
fn what_is_doubted_keeps_its_count_of_failures_and_a_return_ends_all_of_it() {
    let mut record = served();
    record.failure = Some(Failure {
        cause: Cause::DnsNoRecord,
        detail: String::new(),
        attempts: 7,
        stalls: 0,
        outage: Outage::default(),
        next_attempt_at: Some(at(0)),
        refused: true,
    });
    let doubted = doubted(heard(&record, at(0)).unwrap(), "gone", at(0), &Fixed(0));
    assert_eq!(doubted.failure.as_ref().map(|failure| failure.attempts), Some(7));
    let parked = left(doubted.clone(), "gone", at(99));
    assert!(is_parked(&parked) && parked.departure.is_none() && parked.watch == record.watch);
    for back in [returned(doubted), returned(parked)] {
        assert_eq!(
            (back.state(), back.departure, back.erase_at),
            (DomainState::Issued, None, None)
        );
        assert_eq!(back.wake_at(), Some(at(60 * 1_440)));
    }
}

#[test]
fn a_visit_asks_about_a_parked_domain_every_ten_minutes_and_about_a_new_one_twice_a_minute() {
    let parked = left(heard(&unserved(), at(0)).unwrap(), "gone", at(99));
    assert!(may_be_asked(&parked, at(0)));
    let asked = heard(&parked, at(1)).unwrap();
    assert!(!may_be_asked(&asked, at(10)) && may_be_asked(&asked, at(11)));
    let doubted = doubted(heard(&unserved(), at(0)).unwrap(), "gone", at(0), &Fixed(0));
    assert_eq!(visited(&doubted, at(0)), None);
    assert!(
        visited(&doubted, at(1)).is_some_and(|wanted| wanted.work == Work::Wanted { since: at(1) })
    );
    assert_eq!(visited(&unserved(), at(1)), None);
    let held = super::doubted(heard(&served(), at(0)).unwrap(), "gone", at(0), &Fixed(0));
    assert_eq!(visited(&held, at(9)), None, "there is a certificate");
}

#[test]
fn records_of_before_still_read_and_what_is_not_there_is_not_written() {
    let text = serde_json::to_string(&unserved()).unwrap();
    assert!(!text.contains("departure"));
    assert_eq!(serde_json::from_str::<DomainRecord>(&text).unwrap(), unserved());
}
