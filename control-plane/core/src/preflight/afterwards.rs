//! A validation failed: what a look from here adds to the CA's words, and whether it was ours.
//!
//! A CA that explains itself is believed. One that does not ("dns problem", an empty document), or
//! that names a symptom of another fault, is helped out by what is seen from here. And a validation
//! that met an edge of ours without an answer is no fault of the domain's owner.

use std::net::IpAddr;

use sealwax_protocol::DomainName;

use super::caa::CaaIdentity;
use super::findings::{Findings, Looked, NO_ANSWER_IN_TIME, Path};
use super::judge::suspect;
use crate::failure::{Cause, bounded_detail};
use crate::issuer::Refusal;

/// Most of a CA's words that stand before what was seen, in bytes.
const WORDS_BYTES_MAX: usize = 300;
/// What is said of an order whose CA gives no reason.
pub const UNSAID: &str = "the order became invalid and the CA does not say why";
/// Words of a look-up in a CA's text: a connection that failed for them never came about.
const OF_DNS: [&str; 7] =
    ["dns", "lookup", "servfail", "server misbehaving", "no such host", "nxdomain", "resolv"];
/// What a gateway or a proxy answers for one behind it that does not.
const GATEWAY: [&str; 3] = ["502", "503", "504"];

/// How this process's edges answered for a challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// With the answer.
    pub answered: u32,
    /// With 503: the store did not say what the answer is.
    pub unanswered: u32,
}

/// Whether a look is worth its time after a validation that failed so: the CA does not tell the
/// cause clearly, or what it tells may be an edge's fault, or it says CAA and not where.
#[must_use]
pub fn may_be_explained(refusal: &Refusal) -> bool {
    !is_clear(refusal)
        || matches!(
            refusal.cause,
            Cause::ConnectionFailed | Cause::ChallengeWrong | Cause::CaaForbids
        )
}

/// The refusal with the cause as far as it is known from both: the CA's words, if they are clear,
/// else what is seen. The words stay in the detail.
#[must_use]
pub fn explained(
    domain: &DomainName,
    refusal: Refusal,
    findings: &Findings,
    issuers: &[(String, CaaIdentity)],
) -> Refusal {
    if is_clear(&refusal) {
        return refusal;
    }
    let of_dns = speaks_of_dns(&refusal.detail);
    let found = unresolved(findings, of_dns).or_else(|| suspect(domain, findings, issuers));
    let Some(found) = found else { return refusal };
    let words = match cut(refusal.detail.trim(), WORDS_BYTES_MAX) {
        "" => "the CA gives no reason",
        words => words,
    };
    let detail = bounded_detail(&format!("{words}; seen from here: {}", found.detail));
    Refusal { cause: found.cause, detail }
}

/// Why a validation that failed was the fault of an edge of ours; `None`: it was not, or nobody
/// knows. `fetched` is what this process answered the edges, `findings` what was seen since.
#[must_use]
pub fn edges_fault(
    refusal: &Refusal,
    fetched: Fetched,
    findings: Option<&Findings>,
) -> Option<String> {
    let may_be = matches!(refusal.cause, Cause::ConnectionFailed | Cause::ChallengeWrong)
        || (may_be_ours_unsaid(refusal.cause) && !is_clear(refusal));
    if !may_be || speaks_of_dns(&refusal.detail) {
        return None;
    }
    let words = cut(&refusal.detail, WORDS_BYTES_MAX);
    if fetched.unanswered > 0 {
        let times = fetched.unanswered;
        return Some(format!(
            "an edge asked for the challenge's answer and was told {times} times that the store \
             does not answer; the CA said: {words}"
        ));
    }
    if findings.is_some_and(|findings| was_elsewhere(refusal, findings)) {
        return None;
    }
    if gateway_status(&refusal.detail).is_some() {
        return Some(format!("an edge could not answer the challenge; the CA said: {words}"));
    }
    let ours = findings.is_some_and(Findings::all_ours);
    let said = matches!(refusal.cause, Cause::ConnectionFailed | Cause::ChallengeWrong);
    (ours && said).then(|| {
        format!(
            "the domain's addresses are all edges of this platform, and the challenge was not \
             answered there; the CA said: {words}"
        )
    })
}

/// Causes that a CA's silence leads to: they tell nothing about the validation.
const fn may_be_ours_unsaid(cause: Cause) -> bool {
    matches!(cause, Cause::CaProtocol | Cause::OrderLost | Cause::Internal)
}

/// It is known that the CA was not at an edge: by the address it names, or because the domain leads
/// to another place that can be seen from here.
fn was_elsewhere(refusal: &Refusal, findings: &Findings) -> bool {
    let answered = matches!(findings.path, Path::Answered { .. });
    if let Some(ip) = address_in(&refusal.detail) {
        match findings.addresses().find(|one| one.ip == ip).map(|one| one.ours) {
            // The domain's records, or a redirect, led it to where they do not lead now.
            None => return true,
            Some(Some(true)) => return false,
            // A proxy may stand in front of the edges.
            Some(Some(false)) => return !answered,
            Some(None) => {}
        }
    }
    let foreign = findings.addresses().any(|one| one.ours == Some(false));
    let other = matches!(findings.path, Path::Elsewhere { withheld: false, .. });
    !answered && (foreign || (other && !findings.all_ours()))
}

/// The name servers do not say what the domain's addresses are. Silence may be this place's own
/// trouble, so it only counts when the CA speaks of DNS too.
fn unresolved(findings: &Findings, of_dns: bool) -> Option<Refusal> {
    let (ipv4, ipv6) = (&findings.ipv4, &findings.ipv6);
    if ipv4.found().is_some() || ipv6.found().is_some() {
        return None;
    }
    let failed =
        |detail: Option<&str>| detail.is_some_and(|detail| of_dns || detail != NO_ANSWER_IN_TIME);
    let told = |what: &str, detail: Option<&str>| detail.map(|detail| format!("{what}: {detail}"));
    let all = [
        ("A", unknown(ipv4)),
        ("AAAA", unknown(ipv6)),
        ("CAA", unknown(&findings.caa).filter(|_| failed(unknown(&findings.caa)))),
    ];
    if !failed(unknown(ipv4)) && !failed(unknown(ipv6)) {
        return None;
    }
    let words: Vec<_> = all.iter().filter_map(|(what, detail)| told(what, *detail)).collect();
    Some(Refusal { cause: Cause::DnsFailed, detail: bounded_detail(&words.join("; ")) })
}

const fn unknown<T>(looked: &Looked<T>) -> Option<&str> {
    match looked {
        Looked::Unknown { detail } => Some(detail.as_str()),
        Looked::Found(_) | Looked::Nothing { .. } => None,
    }
}

/// The CA's own words tell the cause.
fn is_clear(refusal: &Refusal) -> bool {
    let lower = without_urls(&refusal.detail).to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    match refusal.cause {
        // `malformed` and the like, or nothing at all.
        Cause::CaProtocol | Cause::Internal => false,
        Cause::OrderLost => refusal.detail != UNSAID,
        Cause::DnsFailed => {
            has(&["servfail", "refused", "timed out", "timeout", "dnssec", "bogus"])
        }
        Cause::ConnectionFailed => {
            let symptoms =
                ["refused", "reset", "timeout", "timed out", "unreachable", "no route", "eof"];
            has(&symptoms) && !has(&OF_DNS)
        }
        Cause::ChallengeWrong => {
            has(&["response", "status", "authorization", "redirect", "match", "received"])
        }
        Cause::DnsNoRecord
        | Cause::CaaForbids
        | Cause::RejectedIdentifier
        | Cause::CaPaused
        | Cause::CaRateLimited
        | Cause::CaUnavailable
        | Cause::CaAccount
        | Cause::PlatformDenied
        | Cause::PlatformGone
        | Cause::PlatformUnavailable
        | Cause::EdgeUnavailable => true,
    }
}

fn speaks_of_dns(words: &str) -> bool {
    let lower = without_urls(words).to_ascii_lowercase();
    OF_DNS.iter().any(|text| lower.contains(text))
}

/// A name may contain anything.
fn without_urls(words: &str) -> String {
    let kept = words.split_whitespace().filter(|word| !word.contains("://"));
    kept.collect::<Vec<_>>().join(" ")
}

/// The HTTP status of a gateway in a CA's words: Boulder ends with it after a colon, Pebble says
/// `returned`, others `status` or `code`.
fn gateway_status(words: &str) -> Option<&'static str> {
    let mut before = "";
    for word in words.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let told = before.ends_with(':') || matches!(before, "returned" | "status" | "code");
        if told && let Some(status) = GATEWAY.iter().copied().find(|status| *status == bare) {
            return Some(status);
        }
        before = word;
    }
    None
}

/// The address a CA's words begin with or put in brackets, as Boulder's do.
fn address_in(words: &str) -> Option<IpAddr> {
    words.split_whitespace().find_map(|word| {
        let bare = word.trim_end_matches([':', ',', ';', '.']);
        bare.trim_matches(['[', ']', '(', ')']).parse().ok()
    })
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
