//! What the control plane said of a domain, and for how long that holds.

use sealwax_protocol::DomainName;
use sealwax_protocol::edge::CertificateAnswer;

use crate::callout_answer::{CalloutAnswer, Failure};

/// Longest answer body read, in bytes: the longest true answer is below 512.
pub const VERDICT_BYTES_MAX: usize = 4_096;

/// What the filter knows of a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// A handshake for it will succeed.
    Ready,
    /// Its certificate is being issued.
    Pending,
    /// It may not have one.
    Denied,
    /// It is not registered.
    Unknown,
    /// Issuing failed; the control plane will try again.
    Failed,
    /// The control plane could not be asked.
    #[default]
    Unavailable,
}

impl Verdict {
    /// One byte, for shared data.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Ready => b'r',
            Self::Pending => b'p',
            Self::Denied => b'd',
            Self::Unknown => b'u',
            Self::Failed => b'f',
            Self::Unavailable => b'x',
        }
    }

    /// The reverse of [`Self::to_byte`].
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'r' => Self::Ready,
            b'p' => Self::Pending,
            b'd' => Self::Denied,
            b'u' => Self::Unknown,
            b'f' => Self::Failed,
            b'x' => Self::Unavailable,
            _ => return None,
        })
    }
}

/// A verdict as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What.
    pub verdict: Verdict,
    /// How long it holds, in milliseconds.
    pub ttl_ms: u64,
}

/// Reads the answer to a certificate request for `domain`. How long it holds is what
/// `cache-control` says, else what `retry_after` says, else `default_ttl_s`; never longer than
/// `ttl_max_s`.
///
/// # Errors
/// What kind of failure the answer is, if it is no verdict.
pub fn read_verdict(
    answer: &CalloutAnswer,
    domain: &DomainName,
    default_ttl_s: u32,
    ttl_max_s: u32,
) -> Result<Told, Failure> {
    // Gateways answer 404 and 403 too, with pages of their own: the body decides, and the
    // status has to agree with it.
    if !matches!(answer.status, 200 | 202 | 403 | 404 | 409) {
        return Err(Failure::of_status(answer.status));
    }
    let said: CertificateAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| Failure::BadBody)?;
    if said.status() != answer.status {
        return Err(Failure::BadBody);
    }
    let (verdict, retry_after_s) = match said {
        CertificateAnswer::Ready { domain: named, .. } if named == *domain => {
            (Verdict::Ready, None)
        }
        CertificateAnswer::Ready { .. } => return Err(Failure::BadBody),
        CertificateAnswer::Pending { retry_after } => (Verdict::Pending, Some(retry_after)),
        CertificateAnswer::Denied => (Verdict::Denied, None),
        CertificateAnswer::Unknown => (Verdict::Unknown, None),
        CertificateAnswer::Failed { retry_after } => (Verdict::Failed, Some(retry_after)),
    };
    let ttl_s = answer.max_age_s.or(retry_after_s).unwrap_or_else(|| u64::from(default_ttl_s));
    Ok(Told { verdict, ttl_ms: ttl_s.min(u64::from(ttl_max_s)).saturating_mul(1_000) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, max_age_s: Option<u64>, body: &str) -> Result<Told, Failure> {
        let answer = CalloutAnswer { status, max_age_s, body: body.as_bytes().to_vec() };
        read_verdict(&answer, &DomainName::parse("a.example.com").unwrap(), 10, 3_600)
    }

    #[test]
    fn each_answer_of_the_contract_is_a_verdict() {
        let ready =
            r#"{"state":"ready","domain":"a.example.com","not_after":"2027-01-01T00:00:00Z"}"#;
        for (status, body, verdict, ttl_ms) in [
            (200, ready, Verdict::Ready, 10_000),
            (202, r#"{"state":"pending","retry_after":2}"#, Verdict::Pending, 2_000),
            (403, r#"{"state":"denied"}"#, Verdict::Denied, 10_000),
            (404, r#"{"state":"unknown"}"#, Verdict::Unknown, 10_000),
            (409, r#"{"state":"failed","retry_after":9999999}"#, Verdict::Failed, 3_600_000),
        ] {
            assert_eq!(read(status, None, body), Ok(Told { verdict, ttl_ms }), "{body}");
        }
    }

    #[test]
    fn cache_control_decides_how_long_within_bounds() {
        let ttl = |max_age| read(404, Some(max_age), r#"{"state":"unknown"}"#).unwrap().ttl_ms;
        assert_eq!(ttl(0), 0);
        assert_eq!(ttl(30), 30_000);
        assert_eq!(ttl(u64::MAX), 3_600_000);
    }

    #[test]
    fn what_is_no_verdict_is_a_failure() {
        assert_eq!(read(404, None, "<html>not found</html>"), Err(Failure::BadBody));
        assert_eq!(read(200, None, r#"{"state":"unknown"}"#), Err(Failure::BadBody));
        let other = r#"{"state":"ready","domain":"b.example.com","not_after":"x"}"#;
        assert_eq!(read(200, None, other), Err(Failure::BadBody));
        assert_eq!(read(504, None, ""), Err(Failure::Timeout));
        assert_eq!(read(503, None, ""), Err(Failure::Unavailable));
        assert_eq!(read(500, None, ""), Err(Failure::Status));
        assert_eq!(read(200, None, ""), Err(Failure::BadBody));
    }

    #[test]
    fn bytes_and_verdicts_are_one_to_one() {
        for byte in 0..=u8::MAX {
            if let Some(verdict) = Verdict::from_byte(byte) {
                assert_eq!(verdict.to_byte(), byte);
            }
        }
    }
}
