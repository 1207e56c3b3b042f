//! How each receiver of events is: when it is tried, and what operators are shown of it.

use sealwax_core::Timestamp;
use sealwax_core::failure::bounded_detail;
use sealwax_core::health::Health;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sink::SendError;

/// How a receiver of events is, as this process sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiverStanding {
    /// `webhook`, `sns` or `kinesis`.
    pub kind: String,
    /// The ARN; of a webhook, whose URL may carry a credential, its scheme and host.
    pub receiver: String,
    /// When it last took an event; RFC 3339.
    pub last_success_at: Option<String>,
    /// When it last did not; RFC 3339.
    pub last_error_at: Option<String>,
    /// What was seen then, and what to change where someone must.
    pub last_error: Option<String>,
    /// Failures since the last success.
    pub errors_in_a_row: u32,
    /// Nothing will get through until someone acts.
    pub misconfigured: bool,
}

/// What is known of one receiver.
pub(super) struct Standing {
    health: Health,
    shown: ReceiverStanding,
}

impl Standing {
    pub(super) fn new(kind: &str, receiver: String) -> Self {
        let shown =
            ReceiverStanding { kind: kind.to_owned(), receiver, ..ReceiverStanding::default() };
        Self { health: Health::default(), shown }
    }

    pub(super) fn shown(&self) -> ReceiverStanding {
        self.shown.clone()
    }

    /// Whether a delivery is worth it now; else when, and what was wrong last.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<(), (Timestamp, String)> {
        let last = || self.shown.last_error.clone().unwrap_or_default();
        self.health.admit(now).map_err(|until| (until, last()))
    }

    /// Notes how a delivery ended.
    pub(super) fn note(&mut self, sent: &Result<(), SendError>, now: Timestamp) {
        let error = match sent {
            Ok(()) => {
                self.health.succeeded();
                self.shown.last_success_at = Some(now.rfc3339());
                self.shown.errors_in_a_row = 0;
                self.shown.misconfigured = false;
                return;
            }
            Err(error) => error,
        };
        let detail = bounded_detail(&error.to_string());
        self.shown.misconfigured = match error {
            SendError::Retry(_) => {
                self.health.failed(now);
                false
            }
            SendError::Misconfigured(_) => {
                if self.health.stop(&detail, now) {
                    tracing::error!(
                        receiver = self.shown.receiver,
                        detail,
                        "events are not delivered until this is changed"
                    );
                }
                true
            }
        };
        self.shown.last_error_at = Some(now.rfc3339());
        self.shown.last_error = Some(detail);
        self.shown.errors_in_a_row = self.shown.errors_in_a_row.saturating_add(1);
    }
}
