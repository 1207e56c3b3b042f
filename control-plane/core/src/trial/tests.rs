use sealwax_protocol::DomainName;

use super::*;
use crate::apply;
use crate::clock::Jitter;
use crate::issuer::{IssueError, Refusal};
use crate::record::Registration;

struct NoJitter;

impl Jitter for NoJitter {
    fn permille(&self) -> u64 {
        0
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn wanted() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let record = DomainRecord::registered(domain, Registration::default(), NOW);
    DomainRecord { work: Work::Wanted { since: NOW }, ..record }
}

fn failed(record: DomainRecord, cause: Cause) -> DomainRecord {
    let refusal = Refusal { cause, detail: "said".to_owned() };
    let gone = apply::gave_up(record, &refusal, NOW, &NoJitter);
    DomainRecord { work: Work::Wanted { since: NOW }, ..gone }
}

fn in_trial(record: DomainRecord) -> DomainRecord {
    let placed = apply::ordered(begun(record, "ca.staging").unwrap(), "url".to_owned()).unwrap();
    apply::challenged(placed, "tok".to_owned()).unwrap()
}

#[test]
fn what_staging_would_have_seen_too_calls_for_a_trial_and_nothing_else_does() {
    let due = [
        Cause::DnsNoRecord,
        Cause::DnsFailed,
        Cause::ConnectionFailed,
        Cause::ChallengeWrong,
        Cause::CaaForbids,
    ];
    let not = [
        Cause::RejectedIdentifier,
        Cause::CaProtocol,
        Cause::CaAccount,
        Cause::PlatformDenied,
        Cause::OrderLost,
        Cause::Internal,
    ];
    assert!(!is_due(&wanted()), "nothing failed yet");
    for cause in due {
        assert!(is_due(&failed(wanted(), cause)), "{cause:?}");
    }
    for cause in not {
        assert!(!is_due(&failed(wanted(), cause)), "{cause:?}");
    }
    let limited = IssueError::RateLimited {
        until: NOW,
        scope: crate::issuer::LimitScope::Name,
        detail: String::new(),
    };
    for error in [limited, IssueError::Retry { after: None, detail: String::new() }] {
        assert!(!is_due(&apply::errored(wanted(), &error, NOW, &NoJitter)), "{error}");
    }
}

#[test]
fn an_outage_after_a_failed_validation_does_not_forget_it() {
    let record = failed(wanted(), Cause::DnsNoRecord);
    let down = IssueError::Retry { after: None, detail: String::new() };
    let record = apply::errored(record, &down, NOW, &NoJitter);
    assert!(is_due(&record));
    let record = apply::postponed(record, Cause::CaRateLimited, "", NOW, NOW);
    assert!(is_due(&record));
    assert!(is_due(&failed(record, Cause::CaProtocol)), "nor does another cause");
}

#[test]
fn each_failed_trial_is_an_attempt_saved_and_the_next_is_one_again() {
    let mut record = failed(wanted(), Cause::ConnectionFailed);
    assert_eq!(record.trials, Some(Trials { next: Venue::Staging, saved: 0 }));
    for saved in 1..4 {
        record = failed(in_trial(record), Cause::ConnectionFailed);
        assert_eq!(record.trials, Some(Trials { next: Venue::Staging, saved }));
    }
    assert_eq!(record.failure.as_ref().unwrap().attempts, 4, "the back-off goes on");
}

#[test]
fn a_trial_that_is_over_leads_to_production_once() {
    let record = over(in_trial(failed(wanted(), Cause::ChallengeWrong)), NOW).unwrap();
    assert_eq!(record.work, Work::Wanted { since: NOW });
    assert!(!is_due(&record));
    assert!(!is_due(&apply::postponed(record.clone(), Cause::CaRateLimited, "", NOW, NOW)));
    assert!(is_due(&failed(record, Cause::ChallengeWrong)), "production failed: tried again first");
}

#[test]
fn an_operators_word_goes_before_it() {
    let record = apply::waived(failed(wanted(), Cause::DnsNoRecord));
    assert!(!is_due(&record));
    assert!(is_due(&failed(record, Cause::DnsNoRecord)), "it holds for one order");
}

#[test]
fn nothing_of_a_trial_can_be_finalized() {
    let record = in_trial(failed(wanted(), Cause::DnsNoRecord));
    let key = crate::secret::SealedKey::new(vec![1]);
    assert!(apply::keyed(record.clone(), key).is_err());
    assert!(apply::permitted(record.clone(), "ca").is_err());
    assert!(over(wanted(), NOW).is_err());
    assert!(begun(record, "ca.staging").is_err());
}

#[test]
fn records_say_where_a_trial_stands_and_older_ones_are_read() {
    let record = in_trial(failed(wanted(), Cause::DnsNoRecord));
    let text = serde_json::to_string(&record).unwrap();
    assert!(text.contains(r#""at":"trial","issuer":"ca.staging""#), "{text}");
    assert_eq!(serde_json::from_str::<DomainRecord>(&text).unwrap(), record);
    let plain = serde_json::to_string(&wanted()).unwrap();
    assert!(!plain.contains("trials"), "a name that never failed keeps nothing: {plain}");
}
