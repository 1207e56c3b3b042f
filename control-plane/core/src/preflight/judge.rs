//! What to make of what was seen.

use sealwax_protocol::DomainName;

use super::caa::CaaIdentity;
use super::findings::{Address, Findings, Looked, Path};
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
}

/// Judges. `issuers` are those that may be asked, by their configured names.
#[must_use]
pub fn judge(
    domain: &DomainName,
    findings: &Findings,
    issuers: &[(String, CaaIdentity)],
) -> Opinion {
    let (forbidden, why) = forbidden(findings, issuers);
    let doubt = suffix(domain)
        .or_else(|| without_address(findings))
        .or_else(|| astray(findings))
        .or_else(|| {
            let all = !issuers.is_empty() && forbidden.len() == issuers.len();
            why.filter(|_| all).map(|why| doubt(Cause::CaaForbids, &why))
        });
    Opinion { doubt, forbidden }
}

fn doubt(cause: Cause, seen: &str) -> Refusal {
    Refusal { cause, detail: bounded_detail(&format!("seen before ordering: {seen}")) }
}

fn suffix(domain: &DomainName) -> Option<Refusal> {
    let seen = "the name is a public suffix, under which others register theirs";
    is_public_suffix(domain).then(|| doubt(Cause::RejectedIdentifier, seen))
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
    let seen = format!("{leads}no A record ({ipv4}) and no AAAA record ({ipv6})");
    Some(doubt(Cause::DnsNoRecord, &seen))
}

/// The path of challenges leads somewhere else. When an edge answered, it does not, whatever the
/// addresses are: a proxy may stand in front. When all addresses are ours, what is wrong is ours.
fn astray(findings: &Findings) -> Option<Refusal> {
    if matches!(findings.path, Path::Answered { .. }) {
        return None;
    }
    let foreign: Vec<_> = findings.addresses().filter(|one| one.ours == Some(false)).collect();
    if !foreign.is_empty() {
        return Some(doubt(Cause::ChallengeWrong, &pointing(&foreign, &findings.path)));
    }
    let untold = findings.addresses().any(|address| address.ours.is_none());
    if !untold || !findings.vantage_proven {
        return None;
    }
    match &findings.path {
        Path::Elsewhere { .. } => {
            let seen = format!("the path of challenges: {}", findings.path);
            Some(doubt(Cause::ChallengeWrong, &seen))
        }
        Path::Unreachable { .. } => {
            let seen = format!("the path of challenges: {}", findings.path);
            Some(doubt(Cause::ConnectionFailed, &seen))
        }
        Path::Answered { .. } | Path::NotTried { .. } => None,
    }
}

fn pointing(foreign: &[&Address], path: &Path) -> String {
    let addresses: Vec<_> = foreign.iter().map(|address| address.ip.to_string()).collect();
    let (verb, noun) = if foreign.len() == 1 { ("is", "edge") } else { ("are", "edges") };
    let all = addresses.join(", ");
    format!("the domain points to {all}, which {verb} no {noun}; the path of challenges: {path}")
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
