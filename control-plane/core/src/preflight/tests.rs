use std::net::IpAddr;

use super::*;
use crate::failure::{Cause, Failure};
use crate::record::Registration;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn found(addresses: &[(&str, Option<bool>)]) -> Looked<Vec<Address>> {
    let one = |&(ip, ours): &(&str, Option<bool>)| Address { ip: ip.parse().unwrap(), ours };
    Looked::Found(addresses.iter().map(one).collect())
}

fn nothing<T>() -> Looked<T> {
    Looked::Nothing { said: "no such record".to_owned() }
}

fn unknown<T>() -> Looked<T> {
    Looked::Unknown { detail: "SERVFAIL".to_owned() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An edge answers at the domain's one address.
fn good() -> Findings {
    Findings {
        at: Timestamp::from_secs(0),
        ipv4: found(&[("203.0.113.7", Some(true))]),
        ipv6: nothing(),
        aliases: Vec::new(),
        caa: nothing(),
        path: Path::Answered { from: ip("203.0.113.7"), redirects: 0 },
        also: Vec::new(),
        vantage_proven: true,
    }
}

fn elsewhere() -> Path {
    Path::Elsewhere { from: ip("198.51.100.1"), detail: "404".to_owned(), withheld: false }
}

fn unreachable() -> Path {
    Path::Unreachable { detail: "refused".to_owned() }
}

fn issuers() -> Vec<(String, CaaIdentity)> {
    let of = |name: &str| CaaIdentity { names: vec![format!("{name}.example")], account: None };
    vec![("one".to_owned(), of("one")), ("two".to_owned(), of("two"))]
}

fn cause(findings: &Findings) -> Option<Cause> {
    judge(&name("a.example.com"), findings, &issuers()).doubt.map(|doubt| doubt.cause)
}

#[test]
fn addresses_and_path_are_judged_together() {
    let yes = Some(true);
    let no = Some(false);
    let wrong = Some(Cause::ChallengeWrong);
    for (what, ipv4, ipv6, path, proven, judged) in [
        ("no record", nothing(), nothing(), unreachable(), true, Some(Cause::DnsNoRecord)),
        ("half is not known", nothing(), unknown(), unreachable(), true, None),
        ("nothing is known", unknown(), unknown(), unreachable(), true, None),
        (
            "stale AAAA",
            found(&[("203.0.113.7", yes)]),
            found(&[("2a00::1", no)]),
            elsewhere(),
            false,
            wrong,
        ),
        ("elsewhere", found(&[("198.51.100.1", no)]), nothing(), elsewhere(), false, wrong),
        (
            "elsewhere, silent",
            found(&[("198.51.100.1", no)]),
            unknown(),
            unreachable(),
            false,
            wrong,
        ),
        ("a proxy in front", found(&[("198.51.100.1", no)]), nothing(), good().path, false, None),
        ("ours, unreachable", found(&[("203.0.113.7", yes)]), nothing(), unreachable(), true, None),
        ("ours, wrong answer", found(&[("203.0.113.7", yes)]), nothing(), elsewhere(), true, None),
        (
            "untold, wrong answer",
            found(&[("198.51.100.1", None)]),
            nothing(),
            elsewhere(),
            true,
            wrong,
        ),
        ("untold, unproven", found(&[("198.51.100.1", None)]), nothing(), elsewhere(), false, None),
        (
            "untold, unreachable",
            found(&[("198.51.100.1", None)]),
            nothing(),
            unreachable(),
            true,
            Some(Cause::ConnectionFailed),
        ),
        (
            "untold, unreachable, unproven",
            found(&[("198.51.100.1", None)]),
            nothing(),
            unreachable(),
            false,
            None,
        ),
        (
            "nothing to connect to",
            found(&[("10.0.0.1", None)]),
            nothing(),
            Path::NotTried { why: "not public".to_owned() },
            true,
            None,
        ),
    ] {
        let findings = Findings { ipv4, ipv6, path, vantage_proven: proven, ..good() };
        assert_eq!(cause(&findings), judged, "{what}");
    }
    assert_eq!(cause(&good()), None);
}

#[test]
fn a_doubt_says_what_was_seen() {
    let ipv4 = found(&[("198.51.100.1", Some(false)), ("198.51.100.2", Some(false))]);
    let findings = Findings { ipv4, path: elsewhere(), ..good() };
    let doubt = judge(&name("a.example.com"), &findings, &[]).doubt.unwrap();
    assert_eq!(
        doubt.detail,
        "seen before ordering: the domain points to 198.51.100.1, 198.51.100.2, which are no \
         edges; the path of challenges: 198.51.100.1 answered 404"
    );
    let aliases = vec!["shop.platform.example".to_owned()];
    let findings = Findings { ipv4: nothing(), path: unreachable(), aliases, ..good() };
    let doubt = judge(&name("a.example.com"), &findings, &[]).doubt.unwrap();
    assert!(doubt.detail.contains("leads to shop.platform.example, which has no A"), "{doubt:?}");
}

/// What a firewall in front of the domain says to machines it does not know.
fn kept_out() -> Path {
    Path::Elsewhere { from: ip("198.51.100.1"), detail: "403".to_owned(), withheld: true }
}

#[test]
fn a_front_that_keeps_this_look_out_delays_nothing() {
    for ours in [Some(false), None] {
        let ipv4 = found(&[("198.51.100.1", ours)]);
        assert_eq!(cause(&Findings { ipv4, path: kept_out(), ..good() }), None);
    }
    assert!(kept_out().to_string().starts_with("not known: 198.51.100.1 answers"));
    // As records of the version before have it.
    let old = r#"{"elsewhere":{"from":"198.51.100.1","detail":"404"}}"#;
    assert_eq!(serde_json::from_str::<Path>(old).unwrap(), elsewhere());
    assert_eq!(serde_json::to_string(&elsewhere()).unwrap(), old);
}

#[test]
fn an_address_that_leads_elsewhere_beside_the_edges_is_warned_of_and_delays_nothing() {
    let also = |ip_: &str, path: Path| Place { ip: ip(ip_), path };
    let warned = |also: Vec<Place>| {
        let findings = Findings { also, ..good() };
        let opinion = judge(&name("a.example.com"), &findings, &issuers());
        assert_eq!(opinion.doubt, None);
        opinion.warning
    };
    let edge = || also("203.0.113.8", Path::Answered { from: ip("203.0.113.8"), redirects: 0 });
    assert_eq!(warned(vec![edge()]), None);
    let stale = warned(vec![edge(), also("198.51.100.1", elsewhere())]).unwrap();
    assert!(stale.ends_with("remove their records: 198.51.100.1 answered 404"), "{stale}");
    assert!(warned(vec![also("2a00::1", unreachable())]).is_some());
    let untried = || Path::NotTried { why: "no route".to_owned() };
    assert!(warned(vec![also("10.0.0.1", untried())]).unwrap().contains("not on the internet"));
    assert_eq!(warned(vec![also("2a00::1", untried())]), None, "this place has no IPv6");
    assert_eq!(warned(vec![also("198.51.100.1", kept_out())]), None);
    // Where no edge answers at all, it is a doubt and not a warning.
    let path = elsewhere();
    let all = Findings { path, also: vec![also("198.51.100.2", elsewhere())], ..good() };
    assert_eq!(judge(&name("a.example.com"), &all, &[]).warning, None);
}

#[test]
fn caa_counts_when_it_forbids_every_issuer() {
    let with = |value: &str| {
        let record =
            CaaRecord { critical: false, tag: "issue".to_owned(), value: value.to_owned() };
        let set = CaaSet { at: "example.com".to_owned(), stands_at: None, records: vec![record] };
        judge(&name("a.example.com"), &Findings { caa: Looked::Found(set), ..good() }, &issuers())
    };
    let one = with("two.example");
    assert_eq!((one.doubt, one.forbidden), (None, vec!["one".to_owned()]));
    let both = with("three.example");
    assert_eq!(both.forbidden.len(), 2);
    let doubt = both.doubt.unwrap();
    assert_eq!(doubt.cause, Cause::CaaForbids);
    assert!(
        doubt.detail.ends_with(
            "CAA at example.com: 0 issue \"three.example\": none of them names one.example"
        ),
        "{}",
        doubt.detail
    );
    assert_eq!(cause(&Findings { caa: unknown(), ..good() }), None);
}

#[test]
fn a_public_suffix_is_refused_before_anything_else() {
    let judged = |domain: &str| judge(&name(domain), &good(), &[]).doubt.map(|doubt| doubt.cause);
    assert_eq!(judged("co.uk"), Some(Cause::RejectedIdentifier));
    assert_eq!(judged("shop.co.uk"), None);
    // Its owner may have one: CAs go by the list's ICANN section.
    assert_eq!(judged("github.io"), None);
}

#[test]
fn first_orders_and_what_the_owner_has_to_mend_are_looked_at() {
    let now = Timestamp::from_secs(0);
    let mut record = DomainRecord::registered(name("a.example.com"), Registration::default(), now);
    assert!(is_due(&record) && may_hold(&record), "the first order");
    let failing = |cause, attempts| {
        let next_attempt_at = Some(now);
        Some(Failure {
            cause,
            detail: String::new(),
            attempts,
            stalls: 0,
            outage: crate::failure::Outage::default(),
            next_attempt_at,
            refused: true,
        })
    };
    record.failure = failing(Cause::ChallengeWrong, HOLDS_MAX - 1);
    assert!(is_due(&record) && may_hold(&record));
    record.failure = failing(Cause::ChallengeWrong, HOLDS_MAX);
    assert!(is_due(&record) && !may_hold(&record), "looked at, and ordered all the same");
    record.preflight_waived = true;
    assert!(!is_due(&record), "by an operator's word");
}

#[test]
fn only_tokens_of_looks_are_answered() {
    let asked = ChallengeToken::parse(&token(7)).unwrap();
    let given = answer(&asked).unwrap();
    assert!(given.starts_with("sealwax-preflight-0000000000000007."), "{given}");
    assert_ne!(answer(&ChallengeToken::parse(&token(8)).unwrap()), Some(given));
    let cas = ChallengeToken::parse("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0").unwrap();
    assert_eq!(answer(&cas), None);
}

#[test]
fn everything_seen_is_told_and_survives_the_store() {
    let set = CaaSet {
        at: "example.com".to_owned(),
        stands_at: None,
        records: vec![CaaRecord { critical: true, tag: "issue".to_owned(), value: ";".to_owned() }],
    };
    let findings = Findings {
        ipv4: found(&[("203.0.113.7", Some(true)), ("198.51.100.1", Some(false))]),
        ipv6: unknown(),
        caa: Looked::Found(set),
        ..good()
    };
    assert_eq!(
        findings.summary(),
        "A 203.0.113.7 (an edge), 198.51.100.1 (not an edge); AAAA not known: SERVFAIL; CAA at \
         example.com: 128 issue \";\"; challenge path answered by an edge at 203.0.113.7"
    );
    let text = serde_json::to_string(&findings).unwrap();
    assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), findings);
}
