//! What a CA's answer means: from status, Retry-After, problem type and the place in the flow to
//! what to do next. Types are those of RFC 8555 section 6.7, of the RFCs that add to them, and of
//! the profiles draft; texts are looked at only where a type says too little.

use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::{Cause, Timestamp};

use crate::exchange::{Last, Seen, Step};
use crate::limit::{limited, paused};
use crate::problem::Problem;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The replay nonce was refused: sign again with another (RFC 8555 section 6.5).
    BadNonce,
    /// The certificate is revoked already (RFC 8555 section 7.6).
    AlreadyRevoked,
    /// The CA has no such account: it can be registered again.
    NoAccount(String),
    /// It may be the account that the CA objects to: ask for it. This is what it means otherwise.
    Doubt(IssueError),
    /// Anything else.
    With(IssueError),
}

/// What a problem type means, wherever it comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The domain cannot have a certificate until someone acts.
    Domain(Cause),
    /// A look-up of the name failed: the text says how.
    Dns,
    /// The account or the configuration is refused.
    Account,
    /// The profile that was asked for is refused.
    Profile,
    /// We sent something the CA does not understand.
    Ours,
    /// The server is in trouble.
    Busy,
    /// A limit.
    Limit,
    /// Not now: the order's state is another.
    NotReady,
    /// The replay nonce.
    Nonce,
    /// Revoked already.
    Revoked,
    /// `unauthorized`: of the account in a request, of the domain in a validation.
    Unauthorized,
    /// `malformed`: also what Boulder and Pebble send for things that are gone.
    Malformed,
}

/// Every type known, sorted.
const MEANINGS: [(&str, Meaning); 35] = [
    ("accountDoesNotExist", Meaning::Account),
    ("alreadyReplaced", Meaning::Ours),
    ("alreadyRevoked", Meaning::Revoked),
    ("autoRenewalCanceled", Meaning::Ours),
    ("autoRenewalCancellationInvalid", Meaning::Ours),
    ("autoRenewalExpired", Meaning::Ours),
    ("autoRenewalRevocationNotSupported", Meaning::Ours),
    ("badAttestationStatement", Meaning::Ours),
    ("badCSR", Meaning::Ours),
    ("badNonce", Meaning::Nonce),
    ("badPublicKey", Meaning::Ours),
    ("badRevocationReason", Meaning::Ours),
    ("badSignatureAlgorithm", Meaning::Ours),
    ("caa", Meaning::Domain(Cause::CaaForbids)),
    ("compound", Meaning::Ours),
    ("conflict", Meaning::Ours),
    ("connection", Meaning::Domain(Cause::ConnectionFailed)),
    ("dns", Meaning::Dns),
    ("externalAccountRequired", Meaning::Account),
    ("incorrectResponse", Meaning::Domain(Cause::ChallengeWrong)),
    ("invalidContact", Meaning::Account),
    ("invalidProfile", Meaning::Profile),
    ("malformed", Meaning::Malformed),
    ("onionCAARequired", Meaning::Domain(Cause::CaaForbids)),
    ("orderNotReady", Meaning::NotReady),
    ("rateLimited", Meaning::Limit),
    ("rejectedIdentifier", Meaning::Domain(Cause::RejectedIdentifier)),
    ("serverInternal", Meaning::Busy),
    ("tls", Meaning::Domain(Cause::ChallengeWrong)),
    ("unauthorized", Meaning::Unauthorized),
    ("unknownDelegation", Meaning::Ours),
    ("unknownHost", Meaning::Dns),
    ("unsupportedContact", Meaning::Account),
    ("unsupportedIdentifier", Meaning::Domain(Cause::RejectedIdentifier)),
    ("userActionRequired", Meaning::Account),
];

/// What to do after a call ended without the result wanted. `said` is instant-acme's error: it
/// only matters when no answer of the server explains it.
pub(crate) fn classify(step: Step, said: &str, last: Last, now: Timestamp) -> Failed {
    let error = match last {
        Last::Answered(seen) if seen.status >= 400 => return answered(step, &seen, now),
        Last::Answered(seen) => unreadable(step, &seen, said),
        Last::Unsent { detail } => {
            IssueError::Retry { after: None, detail: bounded_detail(&detail) }
        }
        Last::Lost { detail, post, .. } if post && step.has_effect() => {
            IssueError::UnknownOutcome { detail: bounded_detail(&detail) }
        }
        Last::Lost { detail, .. } => {
            IssueError::Retry { after: None, detail: bounded_detail(&detail) }
        }
        Last::Nothing => IssueError::Protocol { detail: bounded_detail(said) },
    };
    Failed::With(error)
}

/// Why an order or an authorization is invalid, from the problem document in it.
pub(crate) fn refusal(problem: &Problem) -> Refusal {
    let words = problem.words();
    if let Some(detail) = paused(&words) {
        return Refusal { cause: Cause::CaPaused, detail };
    }
    let cause = match meaning(problem) {
        Some(Meaning::Domain(cause)) => cause,
        Some(Meaning::Dns) => dns_cause(&words),
        Some(Meaning::Unauthorized) => Cause::ChallengeWrong,
        Some(Meaning::Account | Meaning::Profile) => Cause::CaAccount,
        Some(Meaning::Busy) => Cause::CaUnavailable,
        Some(Meaning::Limit) => Cause::CaRateLimited,
        Some(Meaning::NotReady) => Cause::OrderLost,
        Some(Meaning::Ours | Meaning::Nonce | Meaning::Revoked | Meaning::Malformed) | None => {
            Cause::CaProtocol
        }
    };
    Refusal { cause, detail: bounded_detail(&words) }
}

/// Why a validation failed, or a try of it, from the problem document in its challenge. Some CAs
/// write it without a type: a failed validation it is all the same.
pub(crate) fn failed_validation(problem: &Problem) -> Refusal {
    if !matches!(problem.telling().kind.as_str(), "" | "about:blank") {
        return refusal(problem);
    }
    let words = problem.words();
    if let Some(detail) = paused(&words) {
        return Refusal { cause: Cause::CaPaused, detail };
    }
    let lower = words.to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let cause = if has(&["caa"]) {
        Cause::CaaForbids
    } else if has(&["dns", "nxdomain", "servfail", "no such host", "lookup"]) {
        dns_cause(&words)
    } else if has(&["connect", "timeout", "timed out", "unreachable", "refused"]) {
        Cause::ConnectionFailed
    } else {
        Cause::ChallengeWrong
    };
    let none = "the CA's validation of the domain failed, and the CA gave no reason";
    Refusal { cause, detail: bounded_detail(if words.is_empty() { none } else { &words }) }
}

fn meaning(problem: &Problem) -> Option<Meaning> {
    let kind = problem.telling().kind.as_str();
    MEANINGS.iter().find(|(known, _)| *known == kind).map(|(_, meaning)| *meaning)
}

fn answered(step: Step, seen: &Seen, now: Timestamp) -> Failed {
    let Some(problem) = &seen.problem else {
        return Failed::With(by_status(step, seen, &format!("HTTP status {}", seen.status), now));
    };
    let words = problem.words();
    let detail = bounded_detail(&words);
    let of_account = step.is_signed_by_account() || step == Step::NewAccount;
    if of_account && problem.telling().kind == "accountDoesNotExist" {
        return Failed::NoAccount(detail);
    }
    let doubted = step.is_signed_by_account() && may_mean_the_account(seen.status, problem, &words);
    let error = match meaning(problem) {
        Some(Meaning::Nonce) => return Failed::BadNonce,
        Some(Meaning::Revoked) => return Failed::AlreadyRevoked,
        Some(Meaning::Domain(_) | Meaning::Dns) => IssueError::Refused(refusal(problem)),
        Some(Meaning::Account) => IssueError::Misconfigured { detail },
        Some(Meaning::Profile) => IssueError::ProfileRefused { detail },
        Some(Meaning::Limit) => limited(step, &words, seen.retry_after, now),
        Some(Meaning::Busy | Meaning::NotReady) => {
            IssueError::Retry { after: seen.retry_after, detail }
        }
        Some(Meaning::Unauthorized) => unauthorized(step, problem, &words),
        Some(Meaning::Malformed) if gone(step, seen.status) => IssueError::OrderGone { detail },
        Some(Meaning::Ours | Meaning::Malformed) if seen.status < 500 => {
            IssueError::Protocol { detail: with_kind(problem, &words) }
        }
        Some(Meaning::Ours | Meaning::Malformed) | None => {
            by_status(step, seen, &with_kind(problem, &words), now)
        }
    };
    if doubted { Failed::Doubt(error) } else { Failed::With(error) }
}

/// Some CAs say of an account that is lost or closed that something was not found, as an error of
/// their own or as anything else; and of one that is deactivated that it is not authorized, as
/// RFC 8555 section 7.3.6 wants it.
fn may_mean_the_account(status: u16, problem: &Problem, words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let lost = ["not found", "no such", "does not exist", "doesn't exist", "unknown"];
    match meaning(problem) {
        Some(Meaning::Unauthorized) => paused(words).is_none(),
        Some(Meaning::Busy | Meaning::Malformed) | None => {
            has(&lost) && (status >= 500 || lower.contains("account"))
        }
        Some(_) => false,
    }
}

/// Pauses are told by text alone: some CAs send them as `unauthorized`.
fn unauthorized(step: Step, problem: &Problem, words: &str) -> IssueError {
    let detail = bounded_detail(words);
    match step {
        _ if paused(words).is_some() => {
            IssueError::Paused { detail: paused(words).unwrap_or(detail) }
        }
        // Boulder and Pebble say so of a signing request that does not fit its order.
        Step::Finalize if words.to_ascii_lowercase().contains("csr") => {
            IssueError::Protocol { detail: with_kind(problem, words) }
        }
        // What was authorized is not any more, or the order is another account's, the one before
        // this one's among them: another order proves it anew.
        Step::Finalize | Step::Order | Step::Authorization | Step::Certificate => {
            IssueError::OrderGone { detail }
        }
        Step::Revoke => IssueError::Refused(Refusal { cause: Cause::CaAccount, detail }),
        Step::Challenge => IssueError::Refused(refusal(problem)),
        Step::Directory
        | Step::NewAccount
        | Step::KeyChange
        | Step::Contact
        | Step::NewOrder
        | Step::RenewalInfo => IssueError::Misconfigured { detail },
    }
}

/// No type that is known: the status decides.
fn by_status(step: Step, seen: &Seen, words: &str, now: Timestamp) -> IssueError {
    let detail = bounded_detail(words);
    match seen.status {
        429 => limited(step, words, seen.retry_after, now),
        // The gateway says itself that it does not know what came of it.
        504 if step.has_effect() => IssueError::UnknownOutcome { detail },
        408 | 425 | 500.. => IssueError::Retry { after: seen.retry_after, detail },
        401 | 407 => IssueError::Misconfigured { detail },
        status if gone(step, status) => IssueError::OrderGone { detail },
        _ if step == Step::Directory => IssueError::Misconfigured { detail },
        _ => IssueError::Protocol { detail },
    }
}

/// A success that cannot be read.
fn unreadable(step: Step, seen: &Seen, said: &str) -> IssueError {
    let detail = bounded_detail(&format!("HTTP status {}: {said}", seen.status));
    if step == Step::Directory {
        let detail = format!("the URL does not answer as an ACME directory: {said}");
        return IssueError::Misconfigured { detail: bounded_detail(&detail) };
    }
    if step.has_effect() {
        return IssueError::UnknownOutcome { detail };
    }
    IssueError::Protocol { detail }
}

const fn gone(step: Step, status: u16) -> bool {
    let of_something = matches!(
        step,
        Step::Order
            | Step::Authorization
            | Step::Challenge
            | Step::Finalize
            | Step::Certificate
            | Step::RenewalInfo
    );
    of_something && matches!(status, 404 | 410)
}

fn with_kind(problem: &Problem, words: &str) -> String {
    let kind = &problem.telling().kind;
    if kind.is_empty() || words == kind {
        return bounded_detail(words);
    }
    bounded_detail(&format!("{kind}: {words}"))
}

/// Boulder (`bdns/problem.go`) and Pebble put the outcome of a look-up into the text.
fn dns_cause(words: &str) -> Cause {
    let lower = words.to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if has(&["servfail", "refused", "timed out", "timeout", "dnssec", "malfunctioning"]) {
        return Cause::DnsFailed;
    }
    let absent = [
        "nxdomain",
        "no valid a record",
        "no valid aaaa record",
        "no valid ip address",
        "no such host",
        "check that a dns record exists",
        "no dns a/aaaa",
    ];
    if has(&absent) { Cause::DnsNoRecord } else { Cause::DnsFailed }
}

#[cfg(test)]
mod tests;
