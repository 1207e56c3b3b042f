//! The exact record or setting to change, as far as the configuration lets us say it.

use std::fmt::Write as _;

use sealwax_core::{Cause, DomainRecord};

use crate::config::Target;

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
    /// anything to change.
    #[must_use]
    pub fn change(&self, record: &DomainRecord) -> Option<String> {
        let domain = &record.domain;
        match record.failure.as_ref()?.cause {
            Cause::DnsNoRecord => Some(format!("Add to the DNS zone:\n{}", self.records(record))),
            Cause::ConnectionFailed | Cause::ChallengeWrong => Some(format!(
                "The DNS zone must have these records for {domain}, and no other A, AAAA or CNAME \
                 record:\n{}",
                self.records(record)
            )),
            Cause::DnsFailed => Some(format!(
                "No record to add: see that the zone's name servers answer for {domain}, and that \
                 its DS record at the registrar fits the zone's keys, or is removed."
            )),
            Cause::CaaForbids => Some(format!(
                "Add to the DNS zone, beside the CAA records there are:\n{domain}. IN CAA 0 issue \
                 \"{}\"",
                self.issuer(record).and_then(|(_, name)| *name).unwrap_or("NAME-OF-THE-CA")
            )),
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

    fn records(&self, record: &DomainRecord) -> String {
        let domain = &record.domain;
        if self.edges.is_empty() {
            return format!("{domain}. IN A ADDRESS-OF-AN-EDGE");
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
        lines
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
pub fn caa_of(issuers: &[crate::config::Issuer]) -> Vec<(String, Option<&'static str>)> {
    let of = |issuer: &crate::config::Issuer| {
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
    ("renewal.requested", "a new certificate was asked for"),
    ("renewal.planned", "the certificate authority suggested when to renew"),
    ("preflight.seen", "the domain was looked at before an order"),
    ("preflight.overruled", "it does not look ready, and an order was placed all the same"),
    ("trial.failed", "it failed in the certificate authority's staging: production was spared"),
    ("trial.passed", "it was validated in the certificate authority's staging: it is ordered now"),
    ("trial.impossible", "it could not be tried in staging first"),
    ("order.postponed", "no room in the certificate authority's limits: it waits for its turn"),
    ("attempt.failed", "an attempt failed"),
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
mod tests {
    use sealwax_core::{Failure, Registration, Timestamp};
    use sealwax_protocol::DomainName;

    use super::*;

    fn failing(cause: Cause) -> DomainRecord {
        let domain = DomainName::parse("shop.example.com").unwrap();
        let now = Timestamp::from_secs(0);
        let mut record = DomainRecord::registered(domain, Registration::default(), now);
        let next_attempt_at = Some(Timestamp::from_secs(1_767_225_600));
        let detail = "what the CA said".to_owned();
        record.failure =
            Some(Failure { cause, detail, attempts: 1, next_attempt_at, refused: true });
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
        let change = advice().change(&failing(Cause::DnsNoRecord)).unwrap();
        assert!(change.contains("shop.example.com. IN A 192.0.2.7\n"), "{change}");
        assert!(change.contains("shop.example.com. IN AAAA 2001:db8::7"), "{change}");
        let change = advice().change(&failing(Cause::CaaForbids)).unwrap();
        assert!(
            change.ends_with("shop.example.com. IN CAA 0 issue \"letsencrypt.org\""),
            "{change}"
        );
        let change = advice().change(&failing(Cause::PlatformDenied)).unwrap();
        assert!(change.starts_with("https://platform.example/ask?domain=shop.example.com"));
        assert_eq!(advice().change(&failing(Cause::CaUnavailable)), None);
        let unknown = Advice::default().change(&failing(Cause::ChallengeWrong)).unwrap();
        assert!(unknown.contains("ADDRESS-OF-AN-EDGE"), "{unknown}");
    }

    #[test]
    fn only_what_the_customer_must_do_is_forwarded() {
        let record = failing(Cause::DnsNoRecord);
        let change = advice().change(&record);
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
}
