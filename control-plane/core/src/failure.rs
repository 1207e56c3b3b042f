//! Why a domain has no (new) certificate, in words someone can act on.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The cause, from a closed and documented list. `docs/operating.md` has a runbook for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The CA found no address for the name.
    DnsNoRecord,
    /// The CA's look-up of the name failed.
    DnsFailed,
    /// The CA could not connect to port 80 of the name's address.
    ConnectionFailed,
    /// The CA reached something that is not one of our edges, or the wrong answer.
    ChallengeWrong,
    /// A CAA record forbids this CA.
    CaaForbids,
    /// The CA will not issue for this identifier.
    RejectedIdentifier,
    /// The CA paused issuance for the name.
    CaPaused,
    /// A limit of the CA is used up.
    CaRateLimited,
    /// The CA does not answer, or answers with an error of its own.
    CaUnavailable,
    /// The CA refuses the account, its binding or its terms.
    CaAccount,
    /// The CA refused a request as malformed, or a chain that does not fit: a fault of ours.
    CaProtocol,
    /// The platform says that the domain is not allowed.
    PlatformDenied,
    /// The platform says that the domain has left.
    PlatformGone,
    /// The platform's permission endpoint does not give an answer.
    PlatformUnavailable,
    /// An edge of ours did not answer the CA's validation: its control plane or store was away.
    EdgeUnavailable,
    /// The order expired or was lost before it was finished.
    OrderLost,
    /// Something that should not happen.
    Internal,
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The customer whose domain it is.
    Customer,
    /// The platform that runs the control plane.
    Platform,
    /// The certificate authority.
    Ca,
}

/// A part that can be away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Party {
    Ca,
    Platform,
    Edge,
}

impl Cause {
    /// Who must act on this cause.
    #[must_use]
    pub const fn who(self) -> Who {
        match self {
            Self::DnsNoRecord
            | Self::DnsFailed
            | Self::ConnectionFailed
            | Self::ChallengeWrong
            | Self::CaaForbids
            | Self::RejectedIdentifier => Who::Customer,
            Self::CaRateLimited | Self::CaUnavailable => Who::Ca,
            Self::CaPaused
            | Self::CaAccount
            | Self::CaProtocol
            | Self::PlatformDenied
            | Self::PlatformGone
            | Self::PlatformUnavailable
            | Self::EdgeUnavailable
            | Self::OrderLost
            | Self::Internal => Who::Platform,
        }
    }

    /// Infrastructure was away, which is nobody's failure: it passes by itself or by whoever runs
    /// that part, it never says anything about the domain, and it is tried again on a schedule of
    /// its own ([`crate::backoff::next_stall`]).
    #[must_use]
    pub const fn is_outage(self) -> bool {
        self.party().is_some()
    }

    /// What was away, if it is an outage.
    const fn party(self) -> Option<Party> {
        match self {
            Self::CaRateLimited | Self::CaUnavailable | Self::CaAccount | Self::OrderLost => {
                Some(Party::Ca)
            }
            Self::PlatformUnavailable => Some(Party::Platform),
            Self::EdgeUnavailable => Some(Party::Edge),
            Self::DnsNoRecord
            | Self::DnsFailed
            | Self::ConnectionFailed
            | Self::ChallengeWrong
            | Self::CaaForbids
            | Self::RejectedIdentifier
            | Self::CaPaused
            | Self::CaProtocol
            | Self::PlatformDenied
            | Self::PlatformGone
            | Self::Internal => None,
        }
    }

    /// Both are outages of the same part.
    #[must_use]
    pub fn same_outage(self, other: Self) -> bool {
        self.party().is_some_and(|party| other.party() == Some(party))
    }

    /// What to do about it, in a sentence that can be forwarded.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::DnsNoRecord => {
                "Add an A or AAAA record for the domain that points to the platform's edge addresses."
            }
            Self::DnsFailed => {
                "Repair the domain's DNS: its name servers do not answer, or DNSSEC does not validate."
            }
            Self::ConnectionFailed => {
                "Let port 80 of the domain's addresses, IPv6 ones included, reach the platform's edges."
            }
            Self::ChallengeWrong => {
                "Point the domain at the platform's edges: another server answers for it."
            }
            Self::CaaForbids => {
                "Add a CAA record that allows the certificate authority, or remove the one that forbids it."
            }
            Self::RejectedIdentifier => {
                "Use another domain: the certificate authority does not issue for this one."
            }
            Self::CaPaused => {
                "Repair the domain first, then unpause it with the certificate authority's link."
            }
            Self::CaRateLimited => {
                "Nothing to do: it is tried again when the certificate authority allows it."
            }
            Self::CaUnavailable => {
                "Nothing to do: it is tried again when the certificate authority answers."
            }
            Self::CaAccount => {
                "Read the detail: a closed account is replaced by `sealwax account reset`; anything else is in the [[issuer]] section (contact, terms, external account binding, directory)."
            }
            Self::CaProtocol => "Report this with the detail shown; it is retried daily.",
            Self::PlatformDenied => {
                "The platform's permission endpoint refused the domain; allow it there."
            }
            Self::PlatformGone => {
                "Nothing if the domain has left; else let the platform's permission endpoint answer with 2xx: it is asked again, at the next visit too."
            }
            Self::PlatformUnavailable => {
                "Repair the platform's permission endpoint ([permission] ask_url)."
            }
            Self::EdgeUnavailable => {
                "Nothing for the domain's owner to do: the platform's edges, their way to the control plane, or its store did not answer the validation. It is tried again within seconds."
            }
            Self::OrderLost => "Nothing to do: a new order is placed at the next attempt.",
            Self::Internal => "Report this with the detail shown; it is retried daily.",
        }
    }
}

/// What went wrong last, how often in a row, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The cause.
    pub cause: Cause,
    /// What was seen, bounded to [`DETAIL_BYTES_MAX`].
    pub detail: String,
    /// Failed attempts in a row that someone must end; a success ends the count. Outages do not
    /// count.
    pub attempts: u32,
    /// Attempts in a row that an outage of the same part stopped; 0 when it was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stalls: u32,
    /// What is known of that outage.
    #[serde(default, skip_serializing_if = "Outage::is_unknown")]
    pub outage: Outage,
    /// When it is tried again. `None` only for parked domains.
    pub next_attempt_at: Option<Timestamp>,
    /// Someone must act before a retry can succeed.
    pub refused: bool,
}

/// What is known of the outage that stopped the last attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Whoever is away wants to be left alone until then, whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The platform was told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// Runs in a row that did not find the certificate of a finished order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u32,
    /// What stood there before, and still has to be mended once the outage is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Cause>,
}

impl Outage {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Failure {
    /// An outage stopped the last attempt: the domain did not fail.
    #[must_use]
    pub const fn is_stall(&self) -> bool {
        self.stalls > 0
    }

    /// Nothing failed: no CA could be asked, or none had room.
    #[must_use]
    pub const fn is_postponed(&self) -> bool {
        let waits =
            matches!(self.cause, Cause::CaRateLimited | Cause::CaUnavailable | Cause::CaAccount);
        waits && self.attempts == 0 && self.stalls == 0
    }

    /// What was counted last against the domain, be there an outage in front of it.
    #[must_use]
    pub const fn counted(&self) -> Option<Cause> {
        if self.attempts == 0 {
            None
        } else if self.stalls > 0 {
            self.outage.behind
        } else {
            Some(self.cause)
        }
    }
}

/// Longest failure detail kept: CA texts are hostile input and go into every record read.
pub const DETAIL_BYTES_MAX: usize = 512;

/// Cuts a text from elsewhere to [`DETAIL_BYTES_MAX`] and drops control characters, so that it
/// is safe in logs and pages.
#[must_use]
pub fn bounded_detail(text: &str) -> String {
    let mut detail = String::new();
    for character in text.chars() {
        if detail.len() + character.len_utf8() > DETAIL_BYTES_MAX {
            break;
        }
        detail.push(if character.is_control() { ' ' } else { character });
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_details_are_cut_and_cleaned() {
        let detail = bounded_detail(&format!("a\nb\u{1b}[31m{}", "ä".repeat(1000)));
        assert!(detail.len() <= DETAIL_BYTES_MAX);
        assert!(!detail.chars().any(char::is_control));
    }

    #[test]
    fn a_failure_written_before_outages_were_told_apart_still_reads() {
        let old = r#"{"cause":"ca_unavailable","detail":"503","attempts":2,
            "next_attempt_at":1767225600000,"refused":false}"#;
        let failure: Failure = serde_json::from_str(old).unwrap();
        assert_eq!((failure.stalls, failure.is_stall()), (0, false));
        assert_eq!(failure.counted(), Some(Cause::CaUnavailable));
        let again = serde_json::to_string(&failure).unwrap();
        assert!(!again.contains("stalls") && !again.contains("outage"), "{again}");
    }

    #[test]
    fn an_outage_hides_no_fault_of_the_domains() {
        let outage = Outage { behind: Some(Cause::DnsNoRecord), ..Outage::default() };
        let failure = Failure {
            cause: Cause::CaUnavailable,
            detail: String::new(),
            attempts: 2,
            stalls: 1,
            outage,
            next_attempt_at: None,
            refused: false,
        };
        assert_eq!(failure.counted(), Some(Cause::DnsNoRecord));
        assert!(Cause::CaUnavailable.same_outage(Cause::CaRateLimited));
        assert!(!Cause::CaUnavailable.same_outage(Cause::PlatformUnavailable));
        assert!(!Cause::DnsFailed.same_outage(Cause::DnsFailed));
    }

    #[test]
    fn causes_keep_their_public_spelling() {
        assert_eq!(serde_json::to_string(&Cause::DnsNoRecord).unwrap(), "\"dns_no_record\"");
        assert_eq!(serde_json::to_string(&Who::Ca).unwrap(), "\"ca\"");
    }
}
