//! Webhooks: signed as Standard Webhooks (<https://www.standardwebhooks.com>) wants it, delivered
//! from the store by the workflow, one small request each.

mod secret;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::{Client, Url};
use sealwax_core::failure::bounded_detail;
use sealwax_core::health::Health;
use sealwax_core::{Clock, Delivery, DomainRecord, Notice, Notifier};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::admin::DomainView;
use crate::config;
pub use secret::{Secret, SecretError};

/// Every event a webhook can be sent for.
pub const EVENTS: &[&str] = &[
    "certificate.issued",
    "certificate.renewed",
    "certificate.failed",
    "certificate.expiring",
    "certificate.revoked",
    "domain.refused",
    "domain.parked",
    "domain.removed",
];
/// Longest a receiver may take, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most deliveries to one receiver at a time; the others wait for their next turn.
const DELIVERIES_MAX: usize = 16;

/// The configured receivers.
pub struct Webhooks {
    receivers: Vec<Receiver>,
    clock: Arc<dyn Clock>,
}

struct Receiver {
    /// Stands for the URL in records: it may carry a credential.
    name: String,
    url: Url,
    secret: Secret,
    events: Vec<String>,
    client: Client,
    places: Semaphore,
    health: Mutex<Health>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    detail: &'a str,
    domain: DomainView,
}

impl Webhooks {
    /// Reads the secrets and prepares the clients.
    ///
    /// # Errors
    /// A secret that cannot be read or used, or TLS roots that cannot.
    pub fn new(configured: &[config::Notify], clock: Arc<dyn Clock>) -> Result<Self, NotifyError> {
        let receivers = configured.iter().map(Receiver::new).collect::<Result<_, _>>()?;
        Ok(Self { receivers, clock })
    }
}

#[async_trait]
impl Notifier for Webhooks {
    fn receivers(&self, kind: &str) -> Vec<sealwax_core::Receiver> {
        let wants = |receiver: &&Receiver| receiver.events.iter().any(|event| event == kind);
        let named = |receiver: &Receiver| sealwax_core::Receiver::named(&receiver.name);
        self.receivers.iter().filter(wants).map(named).collect()
    }

    async fn deliver(&self, notice: &Notice, record: &DomainRecord) -> Delivery {
        let found = self.receivers.iter().find(|receiver| receiver.name == notice.to);
        let Some(receiver) = found else { return Delivery::NoReceiver };
        let busy = |until, detail: &str| Delivery::Busy { until, detail: detail.to_owned() };
        let Ok(_place) = receiver.places.try_acquire() else {
            return busy(None, "too many deliveries at once");
        };
        let now = self.clock.now();
        if let Err(until) = receiver.health().admit(now) {
            return busy(Some(until), "the webhook fails");
        }
        let outcome = receiver.post(notice, record, now.secs()).await;
        match &outcome {
            Delivery::Failed { .. } => receiver.health().failed(self.clock.now()),
            Delivery::Done | Delivery::Busy { .. } | Delivery::NoReceiver => receiver.health().succeeded(),
        }
        outcome
    }
}

impl Receiver {
    fn new(configured: &config::Notify) -> Result<Self, NotifyError> {
        let secret = Secret::read(&configured.secret_file)?;
        // Whoever answers must be the one that was configured: no redirects, no plain HTTP but
        // to this machine.
        let client = Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(configured.url.scheme() == "https")
            .user_agent(concat!("sealwax/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NotifyError::Client(error.to_string()))?;
        Ok(Self {
            name: name_of(&configured.url),
            url: configured.url.clone(),
            secret,
            events: configured.events.clone(),
            client,
            places: Semaphore::new(DELIVERIES_MAX),
            health: Mutex::default(),
        })
    }

    async fn post(&self, notice: &Notice, record: &DomainRecord, timestamp: u64) -> Delivery {
        let body = Body {
            r#type: &notice.kind,
            timestamp: notice.at.rfc3339(),
            data: Data { detail: &notice.detail, domain: DomainView::from(record) },
        };
        let Ok(body) = serde_json::to_vec(&body) else {
            return Delivery::Failed { detail: "the record is not JSON".to_owned() };
        };
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &notice.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.secret.sign(&notice.id, timestamp, &body))
            .body(body)
            .send()
            .await;
        match sent {
            // The answer's body is not read: nothing in it matters.
            Ok(response) if response.status().is_success() => Delivery::Done,
            Ok(response) => failed(&format!("it answered {}", response.status())),
            Err(error) => failed(&crate::permission::chain(&error.without_url())),
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(detail: &str) -> Delivery {
    Delivery::Failed { detail: bounded_detail(&format!("the webhook: {detail}")) }
}

/// Short, and says nothing about the URL.
fn name_of(url: &Url) -> String {
    let hash = digest(&SHA256, url.as_str().as_bytes());
    hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client cannot be made.
    #[error("the client cannot be made: {0}")]
    Client(String),
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
