//! What a CA offers (RFC 8555 section 7.1.1), as far as instant-acme does not show it.

use http::Request;
use http_body_util::Full;
use sealwax_core::Timestamp;
use sealwax_core::issuer::IssueError;
use serde::Deserialize;

use crate::classify::{Failed, classify};
use crate::exchange::{Last, Step, recorded};
use crate::transport::{Answer, Transport};

/// The directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Directory {
    /// Where the renewal information of a certificate is (RFC 9773 section 3).
    pub(crate) renewal_info: Option<String>,
    /// Where an account is found by its key.
    #[serde(default)]
    pub(crate) new_account: String,
    /// Where orders are placed.
    #[serde(default)]
    pub(crate) new_order: String,
    /// Where replay nonces are had.
    #[serde(default)]
    pub(crate) new_nonce: String,
    /// Where an account is given another key (RFC 8555 section 7.3.5).
    pub(crate) key_change: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    external_account_required: bool,
    #[serde(default)]
    caa_identities: Vec<String>,
}

impl Directory {
    /// Fetches it.
    pub(crate) async fn fetch(
        transport: &Transport,
        url: &str,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let answer = get(transport, Step::Directory, url, now).await?;
        serde_json::from_slice(&answer.body).map_err(|error| IssueError::Misconfigured {
            detail: format!("{url} does not answer as an ACME directory: {error}"),
        })
    }

    /// What the CA calls itself in CAA records (RFC 8555 section 7.1.1); empty if it does not say.
    pub(crate) fn caa_identities(&self) -> &[String] {
        &self.meta.caa_identities
    }

    /// New accounts need an external account binding (RFC 8555 section 7.3.4).
    pub(crate) const fn external_account_required(&self) -> bool {
        self.meta.external_account_required
    }
}

/// An unsigned request: the directory, and renewal information.
pub(crate) async fn get(
    transport: &Transport,
    step: Step,
    url: &str,
    now: Timestamp,
) -> Result<Answer, IssueError> {
    let request = Request::get(url).body(Full::default()).map_err(|error| {
        IssueError::Protocol { detail: format!("{url:?} is not a URL: {error}") }
    })?;
    let (result, last) = recorded(transport.send(request)).await;
    let failed = match (result, last) {
        (Ok(answer), _) if answer.parts.status.is_success() => return Ok(answer),
        (Ok(_), last @ Last::Answered(_)) => classify(step, "not a success", last, now),
        (Ok(_), last) => classify(step, "no answer noted", last, now),
        (Err(text), last) => classify(step, &text, last, now),
    };
    Err(Failed::into(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ca_calls_itself_is_read_from_its_directory() {
        let read = |text: &str| serde_json::from_str::<Directory>(text).unwrap();
        let meta = r#"{"meta": {"caaIdentities": ["ca.example", "old.example"], "website": "x"}}"#;
        assert_eq!(read(meta).caa_identities(), ["ca.example", "old.example"]);
        for silent in ["{}", r#"{"meta": {}}"#] {
            assert!(read(silent).caa_identities().is_empty());
        }
    }
}
