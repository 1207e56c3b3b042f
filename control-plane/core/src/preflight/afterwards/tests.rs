use super::super::findings::Address;
use super::*;
use crate::timestamp::Timestamp;

fn refusal(cause: Cause, detail: &str) -> Refusal {
    Refusal { cause, detail: detail.to_owned() }
}

fn nothing<T>() -> Looked<T> {
    Looked::Nothing { said: "no such record".to_owned() }
}

fn failing<T>() -> Looked<T> {
    Looked::Unknown { detail: "the name servers answered Server Failure".to_owned() }
}

/// One address, whose it is, and what answers there.
fn at(ip: &str, ours: Option<bool>, path: Path) -> Findings {
    let ip: IpAddr = ip.parse().unwrap();
    Findings {
        at: Timestamp::from_secs(0),
        ipv4: Looked::Found(vec![Address { ip, ours }]),
        ipv6: nothing(),
        aliases: Vec::new(),
        caa: nothing(),
        path,
        also: Vec::new(),
        vantage_proven: true,
    }
}

fn answered(ip: &str) -> Path {
    Path::Answered { from: ip.parse().unwrap(), redirects: 0 }
}

fn another() -> Path {
    let from = "198.51.100.1".parse().unwrap();
    Path::Elsewhere { from, detail: "404 Not Found".to_owned(), withheld: false }
}

fn edge() -> Findings {
    at("203.0.113.7", Some(true), answered("203.0.113.7"))
}

fn name() -> DomainName {
    DomainName::parse("503.example.com").unwrap()
}

#[test]
fn a_zone_that_fails_is_told_as_that_whatever_the_ca_calls_it() {
    let seen = Findings { ipv4: failing(), ipv6: failing(), caa: failing(), ..edge() };
    for (cause, words) in [
        // Pebble's words for a zone that answers SERVFAIL.
        (
            Cause::ConnectionFailed,
            "Get \"http://503.example.com/x\": dial tcp: lookup 503.example.com: server misbehaving",
        ),
        (Cause::ConnectionFailed, ""),
        (Cause::DnsFailed, "DNS problem"),
        (Cause::OrderLost, UNSAID),
        (Cause::CaProtocol, ""),
    ] {
        let told = explained(&name(), refusal(cause, words), &seen, &[]);
        assert_eq!(told.cause, Cause::DnsFailed, "{words}");
        assert!(told.detail.starts_with(words), "{}", told.detail);
        assert!(told.detail.contains("A: the name servers answered Server Failure"), "{told:?}");
    }
}

#[test]
fn clear_words_of_the_ca_are_believed() {
    let seen = Findings { ipv4: failing(), ipv6: failing(), ..edge() };
    for (cause, words) in [
        (
            Cause::ConnectionFailed,
            "203.0.113.9: Fetching http://dns.example.com/x: Timeout during connect (likely firewall problem)",
        ),
        (Cause::ChallengeWrong, "Invalid response from http://a.example.com/x: 404"),
        (Cause::DnsNoRecord, "NXDOMAIN looking up A"),
        (Cause::OrderLost, "the order was finalized with a key that is not ours"),
        (Cause::CaaForbids, "CAA record for a.example.com prevents issuance"),
    ] {
        let said = refusal(cause, words);
        assert_eq!(explained(&name(), said.clone(), &seen, &[]), said);
    }
}

#[test]
fn what_a_look_sees_explains_what_the_ca_does_not() {
    let silent = || refusal(Cause::CaProtocol, "");
    let cause = |seen: &Findings| explained(&name(), silent(), seen, &[]).cause;
    let none = Findings { ipv4: nothing(), ..edge() };
    assert_eq!(cause(&none), Cause::DnsNoRecord);
    assert_eq!(cause(&at("198.51.100.1", Some(false), another())), Cause::ChallengeWrong);
    let unreachable = Path::Unreachable { detail: "refused".to_owned() };
    assert_eq!(cause(&at("198.51.100.1", None, unreachable)), Cause::ConnectionFailed);
    assert_eq!(cause(&edge()), Cause::CaProtocol, "nothing to be seen from here");
    // This place may not reach its name servers: that is no word about the domain.
    let late = || Looked::Unknown { detail: NO_ANSWER_IN_TIME.to_owned() };
    assert_eq!(cause(&Findings { ipv4: late(), ipv6: late(), ..edge() }), Cause::CaProtocol);
}

#[test]
fn a_validation_that_an_edge_left_without_an_answer_is_the_platforms() {
    let unanswered = Fetched { answered: 1, unanswered: 2 };
    let none = Fetched::default();
    let wrong = |words: &str| refusal(Cause::ChallengeWrong, words);
    let lets_encrypts = wrong("Invalid response from http://503.example.com/x: 503");
    let pebbles = wrong("Non-200 status code from HTTP: http://503.example.com/x returned 503");
    let timeout = refusal(
        Cause::ConnectionFailed,
        "203.0.113.7: Fetching http://a/x: Timeout during connect",
    );
    let mended = at("203.0.113.7", None, answered("203.0.113.7"));
    let astray = at("198.51.100.1", Some(false), another());
    let proxied = at("198.51.100.1", Some(false), answered("198.51.100.1"));
    let withheld = at("203.0.113.7", None, {
        let from = "203.0.113.7".parse().unwrap();
        Path::Elsewhere { from, detail: "503".to_owned(), withheld: true }
    });
    for (what, said, fetched, seen, ours) in [
        ("503 given here", wrong("whatever"), unanswered, Some(&astray), true),
        ("its words, no look", lets_encrypts.clone(), none, None, true),
        ("its words, Pebble's", pebbles.clone(), none, Some(&mended), true),
        ("still so", pebbles.clone(), none, Some(&withheld), true),
        ("behind a proxy", lets_encrypts.clone(), none, Some(&proxied), true),
        ("another server's 503", lets_encrypts, none, Some(&astray), false),
        (
            "another server's 503, untold",
            pebbles,
            none,
            Some(&at("198.51.100.1", None, another())),
            false,
        ),
        ("a timeout at an edge", timeout.clone(), none, Some(&edge()), true),
        ("a timeout, edges untold", timeout.clone(), none, Some(&mended), false),
        ("a timeout, no look", timeout, none, None, false),
        (
            "a timeout where the domain pointed then",
            refusal(Cause::ConnectionFailed, "198.51.100.9: Fetching http://a/x: Timeout"),
            none,
            Some(&edge()),
            false,
        ),
        (
            "404 elsewhere",
            wrong("Invalid response from http://503.example.com/x: 404"),
            none,
            Some(&mended),
            false,
        ),
        ("DNS", refusal(Cause::DnsNoRecord, "NXDOMAIN"), unanswered, Some(&edge()), false),
        ("CAA", refusal(Cause::CaaForbids, "no"), unanswered, Some(&edge()), false),
        ("no word", refusal(Cause::CaProtocol, ""), unanswered, None, true),
        ("no word, nothing known", refusal(Cause::CaProtocol, ""), none, Some(&edge()), false),
    ] {
        assert_eq!(edges_fault(&said, fetched, seen).is_some(), ours, "{what}");
    }
}

#[test]
fn a_status_counts_where_a_ca_puts_it_and_nowhere_else() {
    for (words, status) in [
        ("Invalid response from http://a.example.com/503: 503", Some("503")),
        ("203.0.113.7: Invalid response from http://a/x: 502", Some("502")),
        ("unexpected status code 504", Some("504")),
        ("Non-200 status code from HTTP: http://a/x returned 503", Some("503")),
        ("Invalid response from http://503.example.com/x: 404", None),
        ("Invalid response from http://a/x: \"error 503 on our side\"", None),
        ("", None),
    ] {
        assert_eq!(gateway_status(words), status, "{words}");
    }
    assert_eq!(address_in("2001:db8::7: Fetching http://a/x"), "2001:db8::7".parse().ok());
    assert_eq!(address_in("from http://a/x [203.0.113.7]: 404"), "203.0.113.7".parse().ok());
    assert_eq!(cut("äöü", 3), "ä");
}
