//! The exact record or setting to change, as far as the configuration lets us say it.

use std::fmt::Write as _;

use sealwax_core::{Cause, DomainRecord};

use sealwax_config::Target;

/// What is known about edges and certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// What customers' DNS must point to.
    pub edges: Vec<Target>,
    /// The issuers' names with what each one looks for in CAA records; the first is the default.
    pub caa: Vec<(String, Option<&'static str>)>,
    /// The platform's permission endpoint.
    pub ask_url: Option<String>,
}

/// What certificate authorities call themselves in CAA records, by the host of their directory.
const CAA_NAMES: [(&str, &str); 6] = [
    ("letsencrypt.org", "letsencrypt.org"),
    ("zerossl.com", "sectigo.com"),
    ("pki.goog", "pki.goog"),
    ("ssl.com", "ssl.com"),
    ("sectigo.com", "sectigo.com"),
    ("digicert.com", "digicert.com"),
];

/// What the certificate authority with this directory host looks for in CAA records.
#[must_use]
pub fn caa_name(host: &str) -> Option<&'static str> {
    let fits = |suffix: &str| {
        host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    CAA_NAMES.iter().find(|(suffix, _)| fits(suffix)).map(|(_, name)| *name)
}

impl Advice {
    /// What to change, in lines that can be pasted where they belong; `None` when nobody has
    /// anything to change. `said` is what the certificate authority calls itself in CAA records.
    #[must_use]
    pub fn change(&self, record: &DomainRecord, said: Option<&str>) -> Option<String> {
        self.exact(record, said).or_else(|| {
            self.lacks_edges(record).then(|| {
                "For whoever runs the platform: [edge] public is not set in the configuration. Set \
                 it to the addresses or the host that customers' domains must point to; then the \
                 exact records stand here."
                    .to_owned()
            })
        })
    }

    /// The records of this failure are not known, because nobody said where the edges are.
    fn lacks_edges(&self, record: &DomainRecord) -> bool {
        let pointing = |cause| {
            matches!(cause, Cause::DnsNoRecord | Cause::ConnectionFailed | Cause::ChallengeWrong)
        };
        self.edges.is_empty() && record.failure.as_ref().is_some_and(|told| pointing(told.cause))
    }

    /// The same, for whoever it is that must act: nothing, where it is not known exactly.
    #[must_use]
    pub fn exact(&self, record: &DomainRecord, said: Option<&str>) -> Option<String> {
        let domain = &record.domain;
        match record.failure.as_ref()?.cause {
            Cause::DnsNoRecord => {
                self.records(record).map(|lines| format!("Add to the DNS zone:\n{lines}"))
            }
            Cause::ConnectionFailed | Cause::ChallengeWrong => self.records(record).map(|lines| {
                format!(
                    "The DNS zone must have these records for {domain}, and no other A, AAAA or \
                     CNAME record:\n{lines}"
                )
            }),
            Cause::DnsFailed => Some(format!(
                "No record to add: see that the zone's name servers answer for {domain}, and that \
                 its DS record at the registrar fits the zone's keys, or is removed."
            )),
            Cause::CaaForbids => {
                Some(caa(record, said.or_else(|| self.issuer(record).and_then(|(_, name)| *name))))
            }
            Cause::PlatformDenied | Cause::PlatformGone => {
                let url = self.ask_url.as_ref()?;
                Some(format!("{url}?domain={domain} must answer with a 2xx status."))
            }
            Cause::PlatformUnavailable => {
                let url = self.ask_url.as_ref()?;
                Some(format!(
                    "{url}?domain={domain} must answer in time, with a 2xx or 4xx status."
                ))
            }
            Cause::CaAccount => {
                let (name, _) = self.issuer(record)?;
                let closed = record
                    .failure
                    .as_ref()
                    .is_some_and(|failure| failure.detail.contains("account reset"));
                if closed {
                    return Some(format!("Run: sealwax account reset {name}"));
                }
                Some(format!(
                    "In the configuration, [[issuer]] name = \"{name}\": contact, eab_kid and \
                     eab_hmac_key_file, directory."
                ))
            }
            // Nothing exact to say, as for any cause that is added.
            Cause::RejectedIdentifier
            | Cause::CaPaused
            | Cause::CaRateLimited
            | Cause::CaUnavailable
            | Cause::CaProtocol
            | Cause::OrderLost
            | Cause::Internal
            | _ => None,
        }
    }

    fn issuer(&self, record: &DomainRecord) -> Option<&(String, Option<&'static str>)> {
        match &record.registration.issuer {
            Some(wanted) => self.caa.iter().find(|(name, _)| name == wanted),
            None => self.caa.first(),
        }
    }

    /// `None`: nobody said where the edges are.
    fn records(&self, record: &DomainRecord) -> Option<String> {
        let domain = &record.domain;
        if self.edges.is_empty() {
            return None;
        }
        let mut lines = String::new();
        for (index, target) in self.edges.iter().enumerate() {
            let joint = if index == 0 { "" } else { "\n" };
            let kind = match target {
                Target::Address(address) if address.is_ipv4() => format!("A {address}"),
                Target::Address(address) => format!("AAAA {address}"),
                Target::Host(host) => format!("CNAME {host}."),
            };
            // Writing to a text never fails.
            let _written = write!(lines, "{joint}{domain}. IN {kind}");
        }
        Some(lines)
    }
}

/// Which CAA record is missing, and where: beside those that were found, which may stand at another
/// name. `ca` is what the certificate authority calls itself.
fn caa(record: &DomainRecord, ca: Option<&str>) -> String {
    let seen = record.preflight.as_deref();
    let found = seen.and_then(|seen| seen.caa.found());
    let (at, target) = match found {
        Some(set) => (set.at.as_str(), set.stands_at.as_deref()),
        None => {
            (record.domain.as_str(), seen.and_then(|seen| seen.aliases.last()).map(String::as_str))
        }
    };
    let place = target.unwrap_or(at);
    let line = match ca {
        Some(ca) => format!("\n{place}. IN CAA 0 issue \"{ca}\""),
        None => " one that names the certificate authority".to_owned(),
    };
    match target {
        None if found.is_some() => {
            format!("Add to the DNS zone, beside the CAA records at {at}:{line}")
        }
        None => format!("Add to the DNS zone, beside the CAA records there are:{line}"),
        // RFC 8659 section 3: the target's records count. RFC 1034 section 3.6.2: nothing stands
        // beside a CNAME record.
        Some(target) => format!(
            "{at} is an alias (CNAME), beside which DNS allows no CAA record: those of {target} \
             count. Whoever runs {target} must add there:{line}\nOr give {at} A and AAAA records in \
             place of the CNAME record, and CAA records of its own."
        ),
    }
}

/// The words for the customer, when it is the customer who must act.
#[must_use]
pub(super) fn forward(record: &DomainRecord, change: Option<&str>) -> Option<String> {
    let failure = record.failure.as_ref()?;
    if failure.cause.who() != sealwax_core::Who::Customer {
        return None;
    }
    let domain = &record.domain;
    let mut text = format!(
        "There is a problem with the domain {domain}: no certificate can be issued for it at \
         present.\n\nWhat was seen: {}\n\nWhat to do: {}\n",
        failure.detail,
        failure.cause.fix()
    );
    if let Some(change) = change {
        text.push_str(&format!("\n{change}\n"));
    }
    if let Some(at) = failure.next_attempt_at {
        text.push_str(&format!("\nIt is tried again by itself at {at}.\n"));
    }
    Some(text)
}

/// The issuers of a configuration with their names in CAA records.
#[must_use]
pub fn caa_of(issuers: &[sealwax_config::Issuer]) -> Vec<(String, Option<&'static str>)> {
    let of = |issuer: &sealwax_config::Issuer| {
        (issuer.name.clone(), issuer.directory.host_str().and_then(caa_name))
    };
    issuers.iter().map(of).collect()
}

/// What each kind of event means, in words; `docs/operating.md` lists them. The last ones are
/// steps that only memory has.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("domain.registered", "registered"),
    ("domain.updated", "registered again"),
    ("domain.changed", "changed by another control plane"),
    ("domain.removed", "removed"),
    ("domain.refused", "someone must act: the platform is told"),
    ("domain.parked", "parked: the platform is told"),
    ("domain.returned", "the platform knows it again"),
    ("platform.gone", "the platform says that it is gone: asked again before it is parked"),
    ("renewal.requested", "a new certificate was asked for"),
    ("renewal.planned", "the certificate authority suggested when to renew"),
    ("preflight.seen", "the domain was looked at as a CA would"),
    ("preflight.warned", "not all of its addresses lead to an edge: validations fail by chance"),
    ("preflight.overruled", "it does not look ready, and an order was placed all the same"),
    ("trial.failed", "it failed in the certificate authority's staging: production was spared"),
    ("trial.passed", "it was validated in the certificate authority's staging: it is ordered now"),
    ("trial.impossible", "it could not be tried in staging first"),
    ("order.postponed", "no room in the certificate authority's limits: it waits for its turn"),
    ("order.abandoned", "the certificate authority did not finish the order: another one is asked"),
    ("validation.retried", "the certificate authority's validation failed and is tried again"),
    ("attempt.failed", "an attempt failed"),
    ("attempt.stalled", "an outage stopped an attempt: it is tried again soon"),
    ("certificate.issued", "the first certificate was issued"),
    ("certificate.renewed", "the certificate was renewed"),
    ("certificate.failed", "no certificate: the platform is told"),
    ("certificate.imported", "a certificate was brought along"),
    ("certificate.expiring", "the imported certificate comes to its end"),
    ("certificate.exported", "the certificate was taken out with its private key"),
    ("certificate.revoked", "the certificate was revoked"),
    ("certificate.erased", "the certificate and its key were deleted"),
    ("notification.dropped", "the platform could not be told and is not any more"),
    ("edge.refused", "an edge refused the certificate"),
    ("certificate.asked", "an edge asked for its certificate"),
    ("order.placed", "an order was placed"),
    ("ca.told", "the certificate authority was told to fetch the challenge"),
    ("ca.error", "the certificate authority did not do it"),
    ("challenge.fetched", "the challenge was fetched"),
    ("certificate.delivered", "an edge has the certificate"),
];

/// A kind in words; itself if it is a new one.
pub(super) fn in_words(kind: &str) -> &str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(kind, |(_, words)| words)
}

#[cfg(test)]
mod tests;
