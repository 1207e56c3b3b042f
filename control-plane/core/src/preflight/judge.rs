//! What to make of what was seen.

use sealwax_protocol::DomainName;

use super::caa::CaaIdentity;
use super::findings::{Address, Findings, Looked, Path, Place};
use super::network::is_public;
use crate::budget::is_public_suffix;
use crate::failure::{Cause, bounded_detail};
use crate::issuer::Refusal;

/// What to make of what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opinion {
    /// A CA would refuse: why, and so who must act. `None`: it would not, or nobody knows.
    pub doubt: Option<Refusal>,
    /// The issuers that CAA records forbid.
    pub forbidden: Vec<String>,
    /// It may go well and does not always: addresses beside the edges' that lead elsewhere. Delays
    /// nothing.
    pub warning: Option<String>,
}

/// Judges. `issuers` are those that may be asked, by their configured names.
#[must_use]
pub fn judge(
    domain: &DomainName,
    findings: &Findings,
    issuers: &[(String, CaaIdentity)],
) -> Opinion {
    let (forbidden, _) = forbidden(findings, issuers);
    let doubt = suspect(domain, findings, issuers).map(|refusal| Refusal {
        detail: bounded_detail(&format!("seen before ordering: {}", refusal.detail)),
        ..refusal
    });
    Opinion { doubt, forbidden, warning: lottery(findings) }
}

/// What a CA would refuse, and what of it was seen.
pub(super) fn suspect(
    domain: &DomainName,
    findings: &Findings,
    issuers: &[(String, CaaIdentity)],
) -> Option<Refusal> {
    suffix(domain).or_else(|| without_address(findings)).or_else(|| astray(findings)).or_else(
        || {
            let (forbidden, why) = forbidden(findings, issuers);
            let all = !issuers.is_empty() && forbidden.len() == issuers.len();
            why.filter(|_| all).map(|why| seen(Cause::CaaForbids, &why))
        },
    )
}

fn seen(cause: Cause, detail: &str) -> Refusal {
    Refusal { cause, detail: bounded_detail(detail) }
}

fn suffix(domain: &DomainName) -> Option<Refusal> {
    let told = "the name is a public suffix, under which others register theirs";
    is_public_suffix(domain).then(|| seen(Cause::RejectedIdentifier, told))
}

fn without_address(findings: &Findings) -> Option<Refusal> {
    let (Looked::Nothing { said: ipv4 }, Looked::Nothing { said: ipv6 }) =
        (&findings.ipv4, &findings.ipv6)
    else {
        return None;
    };
    let leads = match findings.aliases.last() {
        Some(target) => format!("its CNAME record leads to {target}, which has "),
        None => String::new(),
    };
    let told = format!("{leads}no A record ({ipv4}) and no AAAA record ({ipv6})");
    Some(seen(Cause::DnsNoRecord, &told))
}

/// The path of challenges leads somewhere else. When an edge answered, it does not, whatever the
/// addresses are: a proxy may stand in front. When all addresses are ours, what is wrong is ours.
/// A front that keeps this look out may let a CA pass: that is not known.
fn astray(findings: &Findings) -> Option<Refusal> {
    if matches!(findings.path, Path::Answered { .. } | Path::Elsewhere { withheld: true, .. }) {
        return None;
    }
    let foreign: Vec<_> = findings.addresses().filter(|one| one.ours == Some(false)).collect();
    if !foreign.is_empty() {
        return Some(seen(Cause::ChallengeWrong, &pointing(&foreign, &findings.path)));
    }
    let untold = findings.addresses().any(|address| address.ours.is_none());
    if !untold || !findings.vantage_proven {
        return None;
    }
    let told = format!("the path of challenges: {}", findings.path);
    match &findings.path {
        Path::Elsewhere { .. } => Some(seen(Cause::ChallengeWrong, &told)),
        Path::Unreachable { .. } => Some(seen(Cause::ConnectionFailed, &told)),
        Path::Answered { .. } | Path::NotTried { .. } => None,
    }
}

fn pointing(foreign: &[&Address], path: &Path) -> String {
    let addresses: Vec<_> = foreign.iter().map(|address| address.ip.to_string()).collect();
    let (verb, noun) = if foreign.len() == 1 { ("is", "edge") } else { ("are", "edges") };
    let all = addresses.join(", ");
    format!("the domain points to {all}, which {verb} no {noun}; the path of challenges: {path}")
}

/// An edge answers at the address that is taken first, and not at all of the others.
fn lottery(findings: &Findings) -> Option<String> {
    if !matches!(findings.path, Path::Answered { .. }) {
        return None;
    }
    let wrong: Vec<_> = findings.also.iter().filter_map(wrong_at).collect();
    (!wrong.is_empty()).then(|| {
        let told = format!(
            "not all addresses of the domain lead to an edge, so validations and visitors fail \
             whenever they come by these; remove their records: {}",
            wrong.join("; ")
        );
        bounded_detail(&told)
    })
}

/// What is wrong at an address, if it is known that something is.
fn wrong_at(Place { ip, path }: &Place) -> Option<String> {
    match path {
        Path::Elsewhere { withheld: false, detail, .. } => Some(format!("{ip} answered {detail}")),
        Path::Unreachable { detail } => Some(format!("no answer from {detail}")),
        Path::NotTried { .. } if !is_public(*ip) => Some(format!("{ip} is not on the internet")),
        Path::Elsewhere { .. } | Path::Answered { .. } | Path::NotTried { .. } => None,
    }
}

fn forbidden(
    findings: &Findings,
    issuers: &[(String, CaaIdentity)],
) -> (Vec<String>, Option<String>) {
    let Looked::Found(set) = &findings.caa else { return (Vec::new(), None) };
    let mut why = None;
    let mut names = Vec::new();
    for (name, identity) in issuers {
        if let Err(not) = set.allows(identity) {
            names.push(name.clone());
            why.get_or_insert_with(|| format!("CAA {set}: {not}"));
        }
    }
    (names, why)
}
