//! Telling the platform: events leave the store for webhooks, SNS topics and Kinesis streams, one
//! small request each.
//!
//! ```text
//!   record's outbox ──▶ workflow ──▶ Sinks ──▶ Outlet ──▶ Sink: Webhook | Topic | Stream
//!     (in the store)                            places, health
//! ```
//!
//! When it is tried again, and when it is given up, is the outbox's matter
//! (`sealwax_core::notice`), whatever the sink is.

mod aws;
mod event;
mod secret;
mod sink;
mod standing;
mod stream;
mod topic;
mod webhook;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::failure::bounded_detail;
use sealwax_core::{Clock, Delivery, DomainRecord, Notice, Notifier, Receiver};
use sealwax_store::{AwsEndpoint, StaticCredentials};
use tokio::sync::Semaphore;

use self::event::Event;
use self::sink::Sink;
use self::standing::Standing;
use self::stream::Stream;
use self::topic::Topic;
use self::webhook::Webhook;
use sealwax_config::{self as config, Destination};
pub use secret::{Secret, SecretError};
pub use standing::ReceiverStanding;

/// Longest a receiver may take, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most deliveries to one receiver at a time; the others wait for their next turn.
const DELIVERIES_MAX: usize = 16;

/// The configured receivers.
pub struct Sinks {
    outlets: Vec<Outlet>,
    clock: Arc<dyn Clock>,
}

/// A receiver, and how it is.
struct Outlet {
    /// Stands for it in records.
    name: String,
    events: Vec<String>,
    sink: Box<dyn Sink>,
    places: Semaphore,
    standing: Mutex<Standing>,
}

impl Sinks {
    /// Reads the secrets and prepares the clients. Asks nobody anything yet.
    ///
    /// # Errors
    /// A secret that cannot be read or used, or TLS roots that cannot.
    pub async fn open(
        configured: &[config::Notify],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NotifyError> {
        Self::open_as(configured, clock, None).await
    }

    /// As [`Sinks::open`], with credentials of one's own.
    async fn open_as(
        configured: &[config::Notify],
        clock: Arc<dyn Clock>,
        credentials: Option<&StaticCredentials>,
    ) -> Result<Self, NotifyError> {
        let mut outlets = Vec::with_capacity(configured.len());
        for one in configured {
            outlets.push(Outlet::open(one, credentials).await?);
        }
        Ok(Self { outlets, clock })
    }

    /// How each receiver is, in the configuration's order.
    #[must_use]
    pub fn standings(&self) -> Vec<ReceiverStanding> {
        self.outlets.iter().map(|outlet| outlet.standing().shown()).collect()
    }
}

#[async_trait]
impl Notifier for Sinks {
    fn receivers(&self, kind: &str) -> Vec<Receiver> {
        let wants = |outlet: &&Outlet| outlet.events.iter().any(|event| event == kind);
        self.outlets.iter().filter(wants).map(Outlet::receiver).collect()
    }

    async fn deliver(&self, notice: &Notice, record: &DomainRecord) -> Delivery {
        let found = self.outlets.iter().find(|outlet| outlet.name == notice.to);
        let Some(outlet) = found else { return Delivery::NoReceiver };
        let Ok(_place) = outlet.places.try_acquire() else {
            return Delivery::Busy {
                until: None,
                detail: "too many deliveries at once".to_owned(),
            };
        };
        let now = self.clock.now();
        let admitted = outlet.standing().admit(now);
        let pass = match admitted {
            Ok(pass) => pass,
            Err((until, detail)) => return Delivery::Busy { until: Some(until), detail },
        };
        let sent = match Event::of(notice, record) {
            Ok(event) => outlet.sink.send(&event, now.secs()).await,
            Err(error) => Err(error),
        };
        outlet.standing().note(pass, &sent, self.clock.now());
        match sent {
            Ok(()) => Delivery::Done,
            Err(error) => Delivery::Failed { detail: bounded_detail(&error.to_string()) },
        }
    }
}

impl Outlet {
    async fn open(
        configured: &config::Notify,
        credentials: Option<&StaticCredentials>,
    ) -> Result<Self, NotifyError> {
        let at = |url: &Option<url::Url>| AwsEndpoint {
            url: url.as_ref().map(ToString::to_string),
            credentials: credentials.cloned(),
        };
        let (kind, shown, sink): (_, _, Box<dyn Sink>) = match &configured.to {
            Destination::Webhook { url, secret_file } => {
                let origin = url.origin().ascii_serialization();
                ("webhook", origin, Box::new(Webhook::open(url, secret_file)?))
            }
            Destination::Topic { arn, endpoint_url } => {
                let topic = Topic::open(arn, &at(endpoint_url)).await;
                ("sns", arn.to_string(), Box::new(topic))
            }
            Destination::Stream { arn, endpoint_url } => {
                let stream = Stream::open(arn, &at(endpoint_url)).await;
                ("kinesis", arn.to_string(), Box::new(stream))
            }
        };
        Ok(Self {
            name: name_of(&configured.to),
            events: configured.events.clone(),
            sink,
            places: Semaphore::new(DELIVERIES_MAX),
            standing: Mutex::new(Standing::new(kind, shown)),
        })
    }

    fn receiver(&self) -> Receiver {
        Receiver { name: self.name.clone(), in_order: self.sink.keeps_order() }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands for a destination in records.
fn name_of(to: &Destination) -> String {
    match to {
        Destination::Webhook { url, .. } => webhook::name_of(url),
        Destination::Topic { arn, .. } => arn.to_string(),
        Destination::Stream { arn, .. } => arn.to_string(),
    }
}

/// Why events cannot be told.
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
mod aws_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;
