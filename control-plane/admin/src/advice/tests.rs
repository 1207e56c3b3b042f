use sealwax_core::preflight::{CaaRecord, CaaSet, Findings, Looked, Path};
use sealwax_core::{Failure, Registration, Timestamp};
use sealwax_protocol::DomainName;

use super::*;

fn failing(cause: Cause) -> DomainRecord {
    let domain = DomainName::parse("shop.example.com").unwrap();
    let now = Timestamp::from_secs(0);
    let mut record = DomainRecord::registered(domain, Registration::default(), now);
    let next_attempt_at = Some(Timestamp::from_secs(1_767_225_600));
    let detail = "what the CA said".to_owned();
    record.failure = Some(Failure {
        cause,
        detail,
        attempts: 1,
        stalls: 0,
        outage: sealwax_core::failure::Outage::default(),
        next_attempt_at,
        refused: true,
    });
    record
}

fn advice() -> Advice {
    Advice {
        edges: vec![
            Target::Address("192.0.2.7".parse().unwrap()),
            Target::Address("2001:db8::7".parse().unwrap()),
        ],
        caa: vec![("le".to_owned(), caa_name("acme-v02.api.letsencrypt.org"))],
        ask_url: Some("https://platform.example/ask".to_owned()),
    }
}

#[test]
fn the_exact_records_are_named() {
    let change = advice().change(&failing(Cause::DnsNoRecord), None).unwrap();
    assert!(change.contains("shop.example.com. IN A 192.0.2.7\n"), "{change}");
    assert!(change.contains("shop.example.com. IN AAAA 2001:db8::7"), "{change}");
    let change = advice().change(&failing(Cause::CaaForbids), None).unwrap();
    assert!(change.ends_with("shop.example.com. IN CAA 0 issue \"letsencrypt.org\""), "{change}");
    let change = advice().change(&failing(Cause::PlatformDenied), None).unwrap();
    assert!(change.starts_with("https://platform.example/ask?domain=shop.example.com"));
    assert_eq!(advice().change(&failing(Cause::CaUnavailable), None), None);
}

#[test]
fn what_is_not_known_is_told_to_the_operator_and_no_placeholder_to_anyone() {
    let (nothing, record) = (Advice::default(), failing(Cause::ChallengeWrong));
    let unknown = nothing.change(&record, None).unwrap();
    assert!(unknown.contains("[edge] public is not set"), "{unknown}");
    assert_eq!(nothing.exact(&record, None), None, "the customer can do nothing about it");
    let nameless = nothing.change(&failing(Cause::CaaForbids), None).unwrap();
    assert!(nameless.ends_with("one that names the certificate authority"), "{nameless}");
    let named = nothing.change(&failing(Cause::CaaForbids), Some("ca.example")).unwrap();
    assert!(named.ends_with("IN CAA 0 issue \"ca.example\""), "{named}");
}

#[test]
fn a_caa_record_is_asked_for_where_those_stand_that_count() {
    let told = |at: &str, stands_at: Option<&str>, aliases: &[&str]| {
        let record = CaaRecord { critical: false, tag: "issue".to_owned(), value: ";".to_owned() };
        let stands_at = stands_at.map(str::to_owned);
        let set = CaaSet { at: at.to_owned(), stands_at, records: vec![record] };
        let nothing = || Looked::Nothing { said: "no such record".to_owned() };
        let seen = Findings {
            at: Timestamp::from_secs(0),
            ipv4: nothing(),
            ipv6: nothing(),
            aliases: aliases.iter().map(ToString::to_string).collect(),
            caa: Looked::Found(set),
            path: Path::NotTried { why: String::new() },
            also: Vec::new(),
            vantage_proven: false,
        };
        let preflight = Some(Box::new(seen));
        let failing = DomainRecord { preflight, ..failing(Cause::CaaForbids) };
        advice().change(&failing, Some("ca.example")).unwrap()
    };
    let at_target = told("shop.example.com", Some("shops.host.example"), &["shops.host.example"]);
    assert!(
        at_target.contains("\nshops.host.example. IN CAA 0 issue \"ca.example\"\n"),
        "{at_target}"
    );
    assert!(!at_target.contains("\nshop.example.com. IN CAA"), "{at_target}");
    // Above an alias whose target has none.
    let above = told("example.com", None, &["shops.host.example"]);
    assert!(above.ends_with("at example.com:\nexample.com. IN CAA 0 issue \"ca.example\""));
}

#[test]
fn only_what_the_customer_must_do_is_forwarded() {
    let record = failing(Cause::DnsNoRecord);
    let change = advice().exact(&record, None);
    let text = forward(&record, change.as_deref()).unwrap();
    for part in ["shop.example.com", "what the CA said", "192.0.2.7", "2026-01-01T00:00:00Z"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(forward(&failing(Cause::CaAccount), None), None);
}

#[test]
fn every_kind_of_event_is_in_the_operating_guide() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let guide = std::fs::read_to_string(path).unwrap();
    for (kind, words) in KINDS {
        let line = format!("| `{kind}` | {words} |");
        assert!(guide.contains(&line), "docs/operating.md lacks: {line}");
    }
}

#[test]
fn every_cause_has_a_runbook_and_says_who_must_act() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let guide = std::fs::read_to_string(path).unwrap();
    // The parser names all causes there are when it meets one that is none.
    let none = serde_json::from_str::<Cause>("\"none\"").unwrap_err().to_string();
    let words: Vec<_> = none.split('`').skip(3).step_by(2).collect();
    assert!(words.len() >= 16, "{none}");
    for word in words {
        let cause: Cause = serde_json::from_value(word.into()).unwrap();
        let who = match cause.who() {
            sealwax_core::Who::Customer => "customer",
            sealwax_core::Who::Platform => "platform",
            sealwax_core::Who::Ca => "CA",
        };
        let line = format!("| `{word}` | {who} | ");
        assert!(guide.contains(&line), "docs/operating.md lacks: {line}");
    }
}

#[test]
fn directories_are_known_by_their_host_and_not_by_its_look() {
    assert_eq!(caa_name("dv.acme-v02.api.pki.goog"), Some("pki.goog"));
    assert_eq!(caa_name("letsencrypt.org.evil.example"), None);
    assert_eq!(caa_name("notletsencrypt.org"), None);
}
