//! Renewal information (RFC 9773): an unsigned request, asked for without instant-acme because
//! that refuses answers without Retry-After.

use sealwax_core::issuer::{IssueError, RenewalInfo};
use sealwax_core::{Span, Timestamp};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::directory::get;
use crate::exchange::Step;
use crate::transport::Transport;

/// When to ask again if the CA does not say (RFC 9773 section 4.3.2).
pub(crate) const UNSAID_POLL: Span = Span::from_secs(6 * 60 * 60);
/// Shortest time to the next question (RFC 9773 section 4.3.2).
pub(crate) const POLL_MIN: Span = Span::from_secs(60);
/// Longest time to the next question (RFC 9773 section 4.3.2).
pub(crate) const POLL_MAX: Span = Span::from_secs(24 * 60 * 60);
/// Longest link kept.
const LINK_BYTES_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    #[serde(with = "time::serde::rfc3339")]
    start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    end: OffsetDateTime,
}

/// Asks when to renew the certificate with this identifier (RFC 9773 section 4.1).
pub(crate) async fn renewal_info(
    transport: &Transport,
    endpoint: &str,
    ari_id: &str,
    now: Timestamp,
) -> Result<RenewalInfo, IssueError> {
    if !well_formed(ari_id) {
        let detail = format!("{ari_id:?} is not an ARI identifier");
        return Err(IssueError::Protocol { detail });
    }
    let url = format!("{}/{ari_id}", endpoint.trim_end_matches('/'));
    let answer = get(transport, Step::RenewalInfo, &url, now).await?;
    let retry_after = transport.retry_after(&answer.parts.headers);
    read(&answer.body, retry_after)
}

/// Two base64url texts and a dot; anything else must not get into a URL.
pub(crate) fn well_formed(ari_id: &str) -> bool {
    let base64url = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    ari_id
        .split_once('.')
        .is_some_and(|(authority, serial)| base64url(authority) && base64url(serial))
}

fn read(body: &[u8], retry_after: Option<Span>) -> Result<RenewalInfo, IssueError> {
    let refuse = |detail: String| IssueError::Protocol { detail };
    let document: Document = serde_json::from_slice(body)
        .map_err(|error| refuse(format!("renewal information cannot be read: {error}")))?;
    let moment = |at: OffsetDateTime| Timestamp::from_secs(at.unix_timestamp());
    let (start, end) =
        (moment(document.suggested_window.start), moment(document.suggested_window.end));
    // RFC 9773 section 4.2: such a window is to be treated as if there were none.
    if start >= end {
        return Err(refuse(format!(
            "the renewal window ends at {end}, not after its start {start}"
        )));
    }
    Ok(RenewalInfo {
        start,
        end,
        retry_after: retry_after.unwrap_or(UNSAID_POLL).clamp(POLL_MIN, POLL_MAX),
        explanation_url: document.explanation_url.filter(|url| url.len() <= LINK_BYTES_MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9773 section 4.2.
    const EXAMPLE: &[u8] = br#"{
        "suggestedWindow": {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"},
        "explanationURL": "https://acme.example.com/docs/ari"}"#;

    #[test]
    fn the_rfcs_example_is_read_with_and_without_retry_after() {
        let read = |secs: Option<u64>| read(EXAMPLE, secs.map(Span::from_secs)).unwrap();
        let info = read(Some(21_600));
        assert_eq!(info.start.rfc3339(), "2025-01-02T04:00:00Z");
        assert_eq!(info.end.rfc3339(), "2025-01-03T04:00:00Z");
        assert_eq!(info.explanation_url.unwrap(), "https://acme.example.com/docs/ari");
        assert_eq!(info.retry_after, Span::from_secs(21_600));
        assert_eq!(read(None).retry_after, UNSAID_POLL);
        assert_eq!(read(Some(0)).retry_after, POLL_MIN);
        assert_eq!(read(Some(u64::MAX)).retry_after, POLL_MAX);
    }

    #[test]
    fn windows_that_make_no_sense_are_refused() {
        for body in [
            r#"{"suggestedWindow":{"start":"2025-01-03T04:00:00Z","end":"2025-01-02T04:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"2025-01-03T04:00:00Z","end":"2025-01-03T04:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"soon","end":"later"}}"#,
            "{}",
            "<html>",
        ] {
            assert!(
                matches!(read(body.as_bytes(), None), Err(IssueError::Protocol { .. })),
                "{body}"
            );
        }
    }

    #[test]
    fn only_ari_identifiers_get_into_urls() {
        assert!(well_formed("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
        for text in ["", ".", "a.", ".b", "a.b.c", "a/../b.c", "a.b?x", "a"] {
            assert!(!well_formed(text), "{text:?}");
        }
    }
}
