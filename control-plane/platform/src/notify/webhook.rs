//! A webhook, signed as Standard Webhooks (<https://www.standardwebhooks.com>) wants it.

use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::{Client, Url};
use sealwax_core::text::{error_chain, hex};

use super::event::Event;
use super::secret::Secret;
use super::sink::{SendError, Sink};
use super::{ANSWER_WITHIN, NotifyError};

pub(super) struct Webhook {
    url: Url,
    secret: Secret,
    client: Client,
}

impl Webhook {
    pub(super) fn open(url: &Url, secret_file: &Path) -> Result<Self, NotifyError> {
        let secret = Secret::read(secret_file)?;
        // Whoever answers must be the one that was configured: no redirects, no plain HTTP but
        // to this machine.
        let client = Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(url.scheme() == "https")
            .user_agent(concat!("sealwax/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NotifyError::Client(error.to_string()))?;
        Ok(Self { url: url.clone(), secret, client })
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn send(&self, event: &Event<'_>, now_secs: u64) -> Result<(), SendError> {
        let signature = self.secret.sign(event.id, now_secs, event.body.as_bytes());
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", event.id)
            .header("webhook-timestamp", now_secs)
            .header("webhook-signature", signature)
            .body(event.body.clone())
            .send()
            .await;
        match sent {
            // The answer's body is not read: nothing in it matters.
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => failed(&format!("it answered {}", response.status())),
            Err(error) => failed(&error_chain(&error.without_url())),
        }
    }
}

fn failed(detail: &str) -> Result<(), SendError> {
    Err(SendError::Retry(format!("the webhook: {detail}")))
}

/// Stands for the URL, which may carry a credential: short, and says nothing about it.
pub(super) fn name_of(url: &Url) -> String {
    let hash = digest(&SHA256, url.as_str().as_bytes());
    hash.as_ref().first_chunk::<6>().map(|start| hex(start)).unwrap_or_default()
}
