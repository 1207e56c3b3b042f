//! How each receiver of events is: when it is tried, and what operators are shown of it.

use sealwax_core::failure::bounded_detail;
use sealwax_core::health::{Breaker, Pass, Stop};
use sealwax_core::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sink::SendError;

/// Time between two tries of a receiver that nothing gets through to until someone acts.
const STOPPED_REST: Span = Span::from_secs(3_600);

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
    breaker: Breaker,
    stop: Stop,
    shown: ReceiverStanding,
}

impl Standing {
    pub(super) fn new(kind: &str, receiver: String) -> Self {
        let shown =
            ReceiverStanding { kind: kind.to_owned(), receiver, ..ReceiverStanding::default() };
        Self { breaker: Breaker::default(), stop: Stop::default(), shown }
    }

    pub(super) fn shown(&self) -> ReceiverStanding {
        self.shown.clone()
    }

    /// Leave to deliver now; else when it is worth it again, and what was wrong last.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<Pass, (Timestamp, String)> {
        let last = || self.shown.last_error.clone().unwrap_or_default();
        if let Some(until) = self.stop.resting_until(now) {
            return Err((until, last()));
        }
        let pass = self.breaker.admit(now).map_err(|until| (until, last()))?;
        self.stop.admit(now).map_err(|until| (until, last()))?;
        Ok(pass)
    }

    /// Notes how a delivery ended.
    pub(super) fn note(&mut self, pass: Pass, sent: &Result<(), SendError>, now: Timestamp) {
        let error = match sent {
            Ok(()) => {
                self.breaker.succeeded(pass);
                self.stop.lift();
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
                self.breaker.failed(pass, now);
                false
            }
            SendError::Misconfigured(_) => {
                // It answers.
                self.breaker.succeeded(pass);
                if self.stop.set(&detail, STOPPED_REST, now) {
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
