use sealwax_protocol::DomainName;

use super::*;
use crate::certificate::CertificateFacts;
use crate::failure::{Cause, Failure};
use crate::record::Registration;

const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DAY: Span = Span::from_secs(86_400);

fn held(serial: &str) -> CertificateFacts {
    CertificateFacts {
        serial: serial.to_owned(),
        issuer: "CN=Test".to_owned(),
        sans: vec!["a.example.com".to_owned()],
        not_before: START - DAY,
        not_after: START + DAY.scale(89, 1),
        fingerprint_sha256: String::new(),
        ari_id: None,
        source: CertificateSource::Acme,
        ordered_from: Some("main".to_owned()),
        renew_at: Some(START + DAY.scale(60, 1)),
    }
}

fn record() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let registration = Registration { tenant: Some("t1".to_owned()), ..Registration::default() };
    DomainRecord {
        certificate: Some(held("01")),
        ..DomainRecord::registered(domain, registration, START - DAY)
    }
}

fn campaign() -> Campaign {
    let all = Selector { issued_before: START + DAY, ..Selector::default() };
    Campaign::begin(all, 10, START + DAY, "", START)
}

fn failed(cause: Cause, refused: bool, wait: Span) -> Failure {
    let next_attempt_at = Some(START + wait);
    Failure {
        cause,
        detail: String::new(),
        attempts: 1,
        stalls: 0,
        outage: crate::failure::Outage::default(),
        next_attempt_at,
        refused,
    }
}

#[test]
fn a_selector_matches_when_all_its_conditions_hold() {
    let all = campaign().selector;
    assert!(all.matches(&record()));
    let some = |text: &str| Some(text.to_owned());
    let day_before = Some(START - DAY);
    assert!(
        Selector { tenant: some("t1"), issuer: some("main"), ..all.clone() }.matches(&record())
    );
    assert!(Selector { issued_after: day_before, ..all.clone() }.matches(&record()));
    for other in [
        Selector { tenant: some("t2"), ..all.clone() },
        Selector { issuer: some("spare"), ..all.clone() },
        Selector { issued_after: Some(START), ..all.clone() },
        Selector { issued_before: START - DAY, ..all.clone() },
    ] {
        assert!(!other.matches(&record()), "{other:?}");
    }
    let parked = DomainRecord { work: Work::Parked, ..record() };
    let removed = DomainRecord { removed: true, ..record() };
    let bare = DomainRecord { certificate: None, ..record() };
    for other in [parked, removed, bare] {
        assert!(!all.matches(&other));
    }
    let mut brought = record();
    brought.certificate.as_mut().unwrap().source = CertificateSource::Imported;
    assert!(!all.matches(&brought), "what was brought along is replaced when that is said");
    assert!(Selector { imported: true, ..all }.matches(&brought));
}

#[test]
fn a_name_is_asked_for_once_until_it_has_another_certificate() {
    let campaign = campaign();
    let asked = campaign.asked(&record(), START).unwrap();
    assert_eq!(asked.work, Work::Wanted { since: START });
    assert_eq!(asked.wake_at(), Some(START), "any process finds it");
    assert_eq!(campaign.standing(&asked, START), Standing::Open);
    assert_eq!(campaign.asked(&asked, START), None);
    assert!(!campaign.wants(&asked) && campaign.covers(&asked));
    let renewed = DomainRecord { certificate: Some(held("02")), work: Work::Idle, ..asked.clone() };
    assert_eq!(campaign.standing(&renewed, START), Standing::Replaced);
    // Its new certificate is dated back to before the campaign, as CAs do.
    assert!(campaign.selector.matches(&renewed) && !campaign.wants(&renewed));
    let next = Campaign { id: "8".to_owned(), ..campaign };
    assert!(next.asked(&renewed, START).is_some(), "another campaign asks again");
}

#[test]
fn what_someone_works_on_just_now_is_left_alone() {
    let lease = Some(Lease { holder: "one".to_owned(), id: 1, duration: DAY });
    let busy =
        DomainRecord { work: Work::Ordering { issuer: "main".to_owned() }, lease, ..record() };
    assert_eq!(campaign().asked(&busy, START), None);
    assert_eq!(campaign().standing(&busy, START), Standing::Unasked, "and looked at again");
}

#[test]
fn a_failing_name_keeps_its_schedule() {
    let failure = failed(Cause::DnsNoRecord, true, DAY);
    let failing = DomainRecord { failure: Some(failure.clone()), ..record() };
    let asked = campaign().asked(&failing, START).unwrap();
    assert_eq!((&asked.work, &asked.failure), (&Work::Idle, &Some(failure)));
    assert_eq!(campaign().standing(&asked, START), Standing::Failed);
}

#[test]
fn a_name_that_waits_for_the_ca_stays_open_unless_it_waits_long() {
    let asked = campaign().asked(&record(), START).unwrap();
    let after = |cause, wait| {
        let failure = Some(failed(cause, false, wait));
        let rests = DomainRecord { failure, work: Work::Idle, ..asked.clone() };
        campaign().standing(&rests, START)
    };
    assert_eq!(after(Cause::CaUnavailable, Span::from_secs(600)), Standing::Open);
    assert_eq!(after(Cause::CaRateLimited, DAY), Standing::Failed);
    assert_eq!(after(Cause::ConnectionFailed, Span::from_secs(60)), Standing::Failed);
}

#[test]
fn the_books_balance_and_the_campaign_ends_by_itself() {
    let mut campaign = campaign();
    campaign.open = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
    let outcomes = [
        ("a", Standing::Replaced),
        ("b", Standing::Failed),
        ("c", Standing::Gone),
        ("d", Standing::Open),
        ("e", Standing::Unasked),
    ];
    campaign.settle(outcomes.map(|(name, standing)| (name.to_owned(), standing)));
    assert_eq!((campaign.replaced, campaign.failed, campaign.gone), (1, 1, 1));
    assert_eq!(campaign.open, ["d", "e"]);
    assert_eq!(campaign.failed_names, ["b"]);
    assert_eq!(campaign.capacity(), OPEN_MAX - 2);
    assert_eq!((campaign.total(), campaign.ends_about(START)), (None, None), "not counted yet");
    campaign.count = Count { found: 28, cursor: None, complete: true };
    assert_eq!(campaign.total(), Some(28));
    assert_eq!(campaign.ends_about(START), Some(START + Span::from_secs(3)));
    campaign.phase = Phase::Asked;
    campaign.finish(START);
    assert!(campaign.lives(), "two are open");
    campaign.settle([("d".to_owned(), Standing::Replaced), ("e".to_owned(), Standing::Replaced)]);
    campaign.finish(START);
    assert_eq!((campaign.state, campaign.ended_at), (CampaignState::Finished, Some(START)));
}

#[test]
fn a_full_campaign_fits_into_its_document() {
    let longest = "x".repeat(253);
    let campaign = Campaign {
        open: vec![longest.clone(); OPEN_MAX],
        failed_names: vec![longest; FAILED_NAMED_MAX],
        reason: "y".repeat(REASON_BYTES_MAX),
        ..campaign()
    };
    let text = serde_json::to_string(&campaign).unwrap();
    assert!(text.len() < crate::store::DOCUMENT_BYTES_MAX, "{}", text.len());
    assert_eq!(serde_json::from_str::<Campaign>(&text).unwrap(), campaign);
}
