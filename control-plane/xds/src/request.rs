//! What a request does to the subscriptions.

use tokio::time::Instant;

use crate::DETAIL_BYTES_MAX;
use crate::backlog::Backlog;
use crate::subscription::{Registry, Subscriptions};
use crate::wire::DeltaRequest;

/// Takes a request in. `first`: the stream's first, which alone may say what the client holds.
/// What is returned is left to do, a piece at a time.
pub(crate) fn take<R: Registry>(
    subscriptions: &mut Subscriptions<R>,
    request: DeltaRequest,
    first: bool,
    now: Instant,
) -> Option<Backlog> {
    match &request.error_detail {
        Some(error) => {
            let detail = detail_text(&error.message);
            subscriptions.nack(&request.response_nonce, &detail);
        }
        None if !request.response_nonce.is_empty() => {
            subscriptions.ack(&request.response_nonce, now);
        }
        None => {}
    }
    for name in &request.unsubscribe {
        subscriptions.unsubscribe(name);
    }
    let mut backlog = Backlog::new(request.subscribe, request.initial_versions, first);
    backlog.work(subscriptions).then_some(backlog)
}

/// An edge's own words, bounded.
fn detail_text(message: &[u8]) -> String {
    let head = message.get(..DETAIL_BYTES_MAX).unwrap_or(message);
    String::from_utf8_lossy(head).into_owned()
}
