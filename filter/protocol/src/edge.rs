//! The edge API: what the filter asks the control plane, and what it is told.

use serde::{Deserialize, Serialize};

use crate::{ChallengeToken, DomainName};

/// Most names one usage report may carry: with names of the greatest length it is 256 KB.
pub const USAGE_NAMES_MAX: usize = 1_000;

/// The header that carries the challenged domain of a challenge request.
pub const HOST_HEADER: &str = "x-sealwax-host";
/// Where names in use are reported.
pub const USAGE_PATH: &str = "/edge/v1/usage";

/// `GET` here answers a token with its key authorization.
#[must_use]
pub fn challenge_path(token: &ChallengeToken) -> String {
    format!("/edge/v1/challenges/{token}")
}

/// `POST` here asks for a domain's certificate to be ready.
#[must_use]
pub fn certificate_path(domain: &DomainName) -> String {
    format!("/edge/v1/certificates/{domain}")
}

/// The body that answers a certificate request. How long the filter may keep it is said by the
/// answer's `cache-control: max-age`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CertificateAnswer {
    /// 200: a handshake for the domain will succeed.
    Ready {
        /// The domain asked for.
        domain: DomainName,
        /// RFC 3339, UTC.
        not_after: String,
    },
    /// 202: being issued.
    Pending {
        /// Seconds until asking again makes sense.
        retry_after: u64,
    },
    /// 403: someone said that it may not be issued.
    Denied,
    /// 404: not registered.
    Unknown,
    /// 409: issuing failed; the schedule will retry.
    Failed {
        /// Seconds until the next attempt.
        retry_after: u64,
    },
}

impl CertificateAnswer {
    /// The HTTP status that carries this answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Ready { .. } => 200,
            Self::Pending { .. } => 202,
            Self::Denied => 403,
            Self::Unknown => 404,
            Self::Failed { .. } => 409,
        }
    }
}

/// The body of a `POST` to [`USAGE_PATH`]: names that served requests since the last report.
/// Reports are hints: they repeat names, arrive late, and are lost under pressure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UsageFields")]
pub struct UsageReport {
    names: Vec<DomainName>,
}

/// A usage report of more than [`USAGE_NAMES_MAX`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a usage report has at most 1000 names, this one has {0}")]
pub struct TooManyNames(pub usize);

impl UsageReport {
    /// A report of `names`.
    ///
    /// # Errors
    /// [`TooManyNames`] for more than [`USAGE_NAMES_MAX`].
    pub fn new(names: Vec<DomainName>) -> Result<Self, TooManyNames> {
        if names.len() > USAGE_NAMES_MAX {
            return Err(TooManyNames(names.len()));
        }
        Ok(Self { names })
    }

    /// The names, in no order.
    #[must_use]
    pub fn names(&self) -> &[DomainName] {
        &self.names
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageFields {
    names: Vec<DomainName>,
}

impl TryFrom<UsageFields> for UsageReport {
    type Error = TooManyNames;

    fn try_from(fields: UsageFields) -> Result<Self, Self::Error> {
        Self::new(fields.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_report_is_a_bounded_list_of_names() {
        let report: UsageReport = serde_json::from_str(r#"{"names":["a.example.com"]}"#).unwrap();
        assert_eq!(report.names(), [DomainName::parse("a.example.com").unwrap()]);
        assert_eq!(serde_json::to_string(&report).unwrap(), r#"{"names":["a.example.com"]}"#);
        let too_many = vec![DomainName::parse("a.example.com").unwrap(); USAGE_NAMES_MAX + 1];
        assert_eq!(UsageReport::new(too_many.clone()), Err(TooManyNames(USAGE_NAMES_MAX + 1)));
        let json = serde_json::json!({ "names": too_many });
        assert!(serde_json::from_value::<UsageReport>(json).is_err());
        for refused in [r#"{"names":["1.2.3.4"]}"#, r#"{"names":[],"x":1}"#, "{}"] {
            assert!(serde_json::from_str::<UsageReport>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn answers_read_as_the_contract_writes_them() {
        let json = |answer: &CertificateAnswer| serde_json::to_string(answer).unwrap();
        let domain = DomainName::parse("blog.example.com").unwrap();
        let ready = CertificateAnswer::Ready { domain, not_after: "2026-01-02T03:04:05Z".into() };
        assert_eq!(
            json(&ready),
            r#"{"state":"ready","domain":"blog.example.com","not_after":"2026-01-02T03:04:05Z"}"#
        );
        assert_eq!(
            json(&CertificateAnswer::Pending { retry_after: 2 }),
            r#"{"state":"pending","retry_after":2}"#
        );
        assert_eq!(json(&CertificateAnswer::Unknown), r#"{"state":"unknown"}"#);
        let back: CertificateAnswer = serde_json::from_str(&json(&ready)).unwrap();
        assert_eq!(back, ready);
    }
}
