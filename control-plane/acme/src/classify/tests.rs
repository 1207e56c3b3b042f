//! Every problem type at every place that matters. The texts are those of Boulder and Pebble.

use sealwax_core::Span;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_786_752_000_000);

fn problem(kind: &str, detail: &str) -> Problem {
    Problem { kind: kind.to_owned(), detail: detail.to_owned(), subproblems: Vec::new() }
}

fn answer(status: u16, problem: Option<Problem>) -> Last {
    let retry_after = Some(Span::from_secs(30));
    Last::Answered(Seen { status, retry_after, location: None, problem })
}

fn failed(step: Step, status: u16, kind: &str, detail: &str) -> Failed {
    classify(step, "said", answer(status, Some(problem(kind, detail))), NOW)
}

/// A name for each outcome, so that the tables below read as tables.
fn outcome(failed: &Failed) -> String {
    match failed {
        Failed::BadNonce => "nonce".to_owned(),
        Failed::AlreadyRevoked => "revoked".to_owned(),
        Failed::NoAccount(_) => "no account".to_owned(),
        Failed::Doubt(error) => format!("account? {}", outcome(&Failed::With(error.clone()))),
        Failed::With(error) => match error {
            IssueError::Retry { after, .. } => {
                format!("retry {}", after.unwrap_or_default().secs())
            }
            IssueError::RateLimited { scope, .. } => format!("limited {scope:?}"),
            IssueError::Paused { .. } => "paused".to_owned(),
            IssueError::Refused(refusal) => format!("refused {:?}", refusal.cause),
            IssueError::Misconfigured { .. } => "misconfigured".to_owned(),
            IssueError::ProfileRefused { .. } => "profile".to_owned(),
            IssueError::UnknownOutcome { .. } => "unknown".to_owned(),
            IssueError::OrderGone { .. } => "gone".to_owned(),
            IssueError::Protocol { .. } => "protocol".to_owned(),
            IssueError::Unfindable { .. } | _ => format!("{error:?}"),
        },
    }
}

type Row = (Step, u16, &'static str, &'static str, &'static str);

/// Step, status, type, text, and what is to be done.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Step::NewAccount, 400, "accountDoesNotExist", "", "no account"),
    (Step::NewOrder, 400, "accountDoesNotExist", "", "no account"),
    (Step::Order, 400, "accountDoesNotExist", "", "no account"),
    (Step::NewOrder, 500, "serverInternal", "not found", "account? retry 30"),
    (Step::NewOrder, 400, "malformed", "account not found", "account? protocol"),
    (Step::Order, 404, "malformed", "no such order", "gone"),
    (Step::NewOrder, 409, "alreadyReplaced", "", "protocol"),
    (Step::Revoke, 400, "alreadyRevoked", "", "revoked"),
    (Step::Order, 403, "autoRenewalCanceled", "", "protocol"),
    (Step::Order, 403, "autoRenewalCancellationInvalid", "", "protocol"),
    (Step::Order, 403, "autoRenewalExpired", "", "protocol"),
    (Step::Revoke, 403, "autoRenewalRevocationNotSupported", "", "protocol"),
    (Step::Challenge, 400, "badAttestationStatement", "", "protocol"),
    (Step::Finalize, 400, "badCSR", "", "protocol"),
    (Step::NewOrder, 400, "badNonce", "", "nonce"),
    (Step::Finalize, 400, "badPublicKey", "", "protocol"),
    (Step::Revoke, 400, "badRevocationReason", "", "protocol"),
    (Step::NewAccount, 400, "badSignatureAlgorithm", "", "protocol"),
    (Step::Finalize, 403, "caa", "", "refused CaaForbids"),
    (Step::NewOrder, 400, "compound", "", "protocol"),
    (Step::NewAccount, 409, "conflict", "", "protocol"),
    (Step::Finalize, 400, "connection", "", "refused ConnectionFailed"),
    (Step::Finalize, 400, "dns", "NXDOMAIN looking up A", "refused DnsNoRecord"),
    (Step::NewAccount, 403, "externalAccountRequired", "", "misconfigured"),
    (Step::Challenge, 400, "incorrectResponse", "", "refused ChallengeWrong"),
    (Step::NewAccount, 400, "invalidContact", "", "misconfigured"),
    (Step::NewOrder, 400, "invalidProfile", "", "profile"),
    (Step::NewOrder, 400, "malformed", "", "protocol"),
    (Step::Order, 400, "malformed", "", "protocol"),
    (Step::Order, 404, "malformed", "No order for ID", "gone"),
    (Step::Certificate, 404, "malformed", "Certificate not found", "gone"),
    (Step::Finalize, 403, "onionCAARequired", "", "refused CaaForbids"),
    (Step::Finalize, 403, "orderNotReady", "", "retry 30"),
    (
        Step::NewOrder,
            429,
            "rateLimited",
            "too many new orders (300) from this account",
            "limited Account",
        ),
    (
        Step::NewOrder,
            429,
            "rateLimited",
            "Your account is temporarily prevented from requesting certificates for a.example",
            "paused",
        ),
    (Step::Order, 503, "rateLimited", "Service busy; retry later.", "limited Ca"),
    (Step::NewOrder, 400, "rejectedIdentifier", "", "refused RejectedIdentifier"),
    (Step::NewOrder, 500, "serverInternal", "", "retry 30"),
    (Step::Finalize, 500, "serverInternal", "", "retry 30"),
    (Step::Finalize, 400, "tls", "", "refused ChallengeWrong"),
    (
        Step::NewOrder,
            403,
            "unauthorized",
            "Account is not valid, has status \"deactivated\"",
            "account? misconfigured",
        ),
    (Step::Order, 401, "unauthorized", "", "account? gone"),
    (Step::Challenge, 403, "unauthorized", "Invalid response from http://", "account? refused ChallengeWrong"),
    (Step::Finalize, 403, "unauthorized", "authorizations not found", "account? gone"),
    (Step::Finalize, 403, "unauthorized", "CSR is missing Order domain", "account? protocol"),
    (Step::Revoke, 403, "unauthorized", "", "account? refused CaAccount"),
    (
        Step::NewOrder,
            403,
            "unauthorized",
            "Your account is temporarily prevented from requesting certificates for a.example",
            "paused",
        ),
    (Step::NewOrder, 403, "unknownDelegation", "", "protocol"),
    (Step::NewOrder, 400, "unknownHost", "no such host", "refused DnsNoRecord"),
    (Step::NewAccount, 400, "unsupportedContact", "", "misconfigured"),
    (Step::NewOrder, 400, "unsupportedIdentifier", "", "refused RejectedIdentifier"),
    (Step::NewOrder, 403, "userActionRequired", "terms changed", "misconfigured"),
    (Step::NewOrder, 400, "https://other.example/odd", "", "protocol"),
    (Step::NewOrder, 502, "https://other.example/odd", "", "retry 30"),
    (Step::NewOrder, 429, "https://other.example/odd", "", "limited Account"),
];

#[test]
fn every_problem_type_of_a_request_says_what_to_do() {
    for (step, status, kind, detail, expected) in ROWS {
        let got = outcome(&failed(*step, *status, kind, detail));
        assert_eq!(got, *expected, "{step:?} {status} {kind} {detail}");
    }
    let tested = |kind: &str| ROWS.iter().any(|row| row.2 == kind);
    for (kind, _) in MEANINGS {
        assert!(tested(kind), "{kind} has no row");
    }
}

#[test]
fn every_problem_type_of_a_failed_validation_has_a_cause() {
    let rows: &[(&str, &str, Cause)] = &[
        (
            "dns",
            "DNS problem: NXDOMAIN looking up A for a.example - check that a DNS record exists for this domain",
            Cause::DnsNoRecord,
        ),
        (
            "dns",
            "no valid A records found for a.example; no valid AAAA records found for a.example",
            Cause::DnsNoRecord,
        ),
        ("dns", "No valid IP addresses found for a.example", Cause::DnsNoRecord),
        ("dns", "lookup a.example on 127.0.0.1:8053: no such host", Cause::DnsNoRecord),
        (
            "dns",
            "DNS problem: SERVFAIL looking up A for a.example - the domain's nameservers may be malfunctioning",
            Cause::DnsFailed,
        ),
        (
            "dns",
            "DNS problem: SERVFAIL looking up A for a.example; no valid AAAA records found for a.example",
            Cause::DnsFailed,
        ),
        ("dns", "DNS problem: query timed out looking up CAA for a.example", Cause::DnsFailed),
        ("dns", "DNS problem: looking up A for a.example: DNSSEC: Bogus", Cause::DnsFailed),
        (
            "dns",
            "During secondary validation: DNS problem: networking error looking up A",
            Cause::DnsFailed,
        ),
        ("unknownHost", "no such host", Cause::DnsNoRecord),
        (
            "connection",
            "Fetching http://a.example/: Timeout during connect (likely firewall problem)",
            Cause::ConnectionFailed,
        ),
        (
            "unauthorized",
            "Invalid response from http://a.example/.well-known/acme-challenge/x: 404",
            Cause::ChallengeWrong,
        ),
        ("incorrectResponse", "", Cause::ChallengeWrong),
        ("tls", "remote error: tls: handshake failure", Cause::ChallengeWrong),
        ("caa", "CAA record for a.example prevents issuance", Cause::CaaForbids),
        ("onionCAARequired", "", Cause::CaaForbids),
        ("rejectedIdentifier", "policy forbids issuing for name", Cause::RejectedIdentifier),
        ("unsupportedIdentifier", "", Cause::RejectedIdentifier),
        ("serverInternal", "", Cause::CaUnavailable),
        (
            "rateLimited",
            "too many failed authorizations (5) for \"a.example\"",
            Cause::CaRateLimited,
        ),
        (
            "rateLimited",
            "temporarily prevented from requesting certificates, visit https://x.example/unpause",
            Cause::CaPaused,
        ),
        ("malformed", "Invalid host in redirect target", Cause::CaProtocol),
        ("userActionRequired", "", Cause::CaAccount),
        ("orderNotReady", "", Cause::OrderLost),
        ("urn:example:odd", "", Cause::CaProtocol),
        ("", "", Cause::CaProtocol),
    ];
    for (kind, detail, cause) in rows {
        assert_eq!(refusal(&problem(kind, detail)).cause, *cause, "{kind}: {detail}");
    }
}

#[test]
fn a_failed_validation_without_a_type_is_told_by_its_words() {
    for (detail, cause) in [
        ("Timeout during connect", Cause::ConnectionFailed),
        ("DNS problem: NXDOMAIN looking up A for a.example", Cause::DnsNoRecord),
        ("CAA record forbids", Cause::CaaForbids),
        ("not what was expected", Cause::ChallengeWrong),
        ("", Cause::ChallengeWrong),
    ] {
        for kind in ["", "about:blank"] {
            let why = failed_validation(&problem(kind, detail));
            assert_eq!(why.cause, cause, "{detail}");
            assert!(!why.detail.is_empty());
        }
    }
    assert_eq!(failed_validation(&problem("malformed", "x")).cause, Cause::CaProtocol);
}

#[test]
fn subproblems_tell_what_a_compound_problem_hides() {
    let mut compound = problem("compound", "one or more problems");
    compound.subproblems = vec![problem("caa", "CAA forbids a.example")];
    let refusal = refusal(&compound);
    assert_eq!(refusal.cause, Cause::CaaForbids);
    assert!(refusal.detail.starts_with("CAA forbids a.example"), "{}", refusal.detail);
    let last = answer(400, Some(compound));
    assert_eq!(outcome(&classify(Step::NewOrder, "", last, NOW)), "refused CaaForbids");
}

#[test]
fn without_a_problem_document_the_status_decides() {
    use Step::{Directory, Finalize, NewOrder, Order};
    for (step, status, expected) in [
        (NewOrder, 429, "limited Account"),
        (Order, 429, "limited Ca"),
        (NewOrder, 500, "retry 30"),
        (Finalize, 502, "retry 30"),
        (Order, 503, "retry 30"),
        (Order, 504, "retry 30"),
        (NewOrder, 504, "unknown"),
        (Finalize, 504, "unknown"),
        (Order, 408, "retry 30"),
        (Order, 404, "gone"),
        (Order, 410, "gone"),
        (NewOrder, 404, "protocol"),
        (Directory, 404, "misconfigured"),
        (Directory, 503, "retry 30"),
        (NewOrder, 407, "misconfigured"),
        (Order, 418, "protocol"),
    ] {
        let got = outcome(&classify(step, "not JSON", answer(status, None), NOW));
        assert_eq!(got, expected, "{step:?} {status}");
    }
}

#[test]
fn a_request_without_a_whole_answer_is_repeated_only_where_that_does_no_harm() {
    let lost = |post| Last::Lost { detail: "reset".to_owned(), post, location: None };
    let unsent = || Last::Unsent { detail: "refused".to_owned() };
    for (step, effect) in [
        (Step::Directory, false),
        (Step::NewAccount, false),
        (Step::NewOrder, true),
        (Step::Order, false),
        (Step::Authorization, false),
        (Step::Challenge, true),
        (Step::Finalize, true),
        (Step::Certificate, false),
        (Step::RenewalInfo, false),
        (Step::Revoke, true),
    ] {
        let expected = if effect { "unknown" } else { "retry 0" };
        assert_eq!(outcome(&classify(step, "", lost(true), NOW)), expected, "{step:?}");
        // The request for a nonce was lost: the signed one was never sent.
        assert_eq!(outcome(&classify(step, "", lost(false), NOW)), "retry 0", "{step:?}");
        assert_eq!(outcome(&classify(step, "", unsent(), NOW)), "retry 0", "{step:?}");
    }
    assert_eq!(outcome(&classify(Step::Order, "odd", Last::Nothing, NOW)), "protocol");
}

#[test]
fn a_success_that_cannot_be_read_is_looked_at_again() {
    let classified = |step| outcome(&classify(step, "bad JSON", answer(200, None), NOW));
    assert_eq!(classified(Step::Finalize), "unknown");
    assert_eq!(classified(Step::Order), "protocol");
    assert_eq!(classified(Step::Directory), "misconfigured");
}

#[test]
fn hostile_texts_are_bounded() {
    let long = "x\n".repeat(5000);
    for kind in ["caa", "malformed", "serverInternal", "userActionRequired", "rateLimited"] {
        let text = format!("{:?}", failed(Step::NewOrder, 400, kind, &long));
        assert!(text.len() < 1200, "{kind}: {} bytes", text.len());
    }
}
