//! Where events go: what a webhook, a topic and a stream have in common.

use async_trait::async_trait;

use super::event::Event;

/// Takes events, one at a time, and says whether it has them.
#[async_trait]
pub(super) trait Sink: Send + Sync + 'static {
    /// Hands an event over. Bounded in time.
    async fn send(&self, event: &Event<'_>, now_secs: u64) -> Result<(), SendError>;

    /// It keeps the order in which it gets a domain's events.
    fn keeps_order(&self) -> bool {
        false
    }
}

/// Why a sink does not have an event. Each says what was seen.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// It may go away by itself: try again.
    #[error("{0}")]
    Retry(String),
    /// Every event will fail until someone acts: leave the sink alone, and say so.
    #[error("{0}")]
    Misconfigured(String),
}
