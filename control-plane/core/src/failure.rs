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
                "Check the [[issuer]] section: contact, terms, external account binding, directory."
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
    /// Failed attempts in a row; a success ends the count.
    pub attempts: u32,
    /// When it is tried again. `None` only for parked domains.
    pub next_attempt_at: Option<Timestamp>,
    /// Someone must act before a retry can succeed.
    pub refused: bool,
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
    fn causes_keep_their_public_spelling() {
        assert_eq!(serde_json::to_string(&Cause::DnsNoRecord).unwrap(), "\"dns_no_record\"");
        assert_eq!(serde_json::to_string(&Who::Ca).unwrap(), "\"ca\"");
    }
}
