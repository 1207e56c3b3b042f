//! How much a listener takes on at a time, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::Problem;

/// What a caller is told to wait when there is no room, in seconds.
const BUSY_RETRY_AFTER: u64 = 1;

/// Bounds of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most requests at a time; further ones are answered 503.
    pub requests: usize,
    /// How long a request may take until its answer starts.
    pub answer_within: Duration,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
}

#[derive(Clone)]
struct Room {
    places: Arc<Semaphore>,
    answer_within: Duration,
}

/// Puts an API under its bounds.
pub fn bound(router: Router, bounds: Bounds) -> Router {
    let room = Room {
        places: Arc::new(Semaphore::new(bounds.requests)),
        answer_within: bounds.answer_within,
    };
    router
        .layer(DefaultBodyLimit::max(bounds.body_bytes))
        .layer(from_fn_with_state(room, within_bounds))
}

async fn within_bounds(State(room): State<Room>, request: Request, next: Next) -> Response {
    let Ok(_place) = room.places.try_acquire() else {
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many requests at a time; try again",
        );
        return problem.retry_after(BUSY_RETRY_AFTER).into_response();
    };
    match tokio::time::timeout(room.answer_within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-slow",
            "the request took too long; try again",
        )
        .retry_after(BUSY_RETRY_AFTER)
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;

    fn bounds(requests: usize) -> Bounds {
        Bounds { requests, answer_within: Duration::from_secs(5), body_bytes: 10 }
    }

    async fn ask(router: &Router) -> Response {
        router.clone().oneshot(Request::new(Body::empty())).await.unwrap()
    }

    #[tokio::test]
    async fn beyond_the_bound_callers_are_told_to_come_back() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (enters, leaves) = (Arc::clone(&entered), Arc::clone(&leave));
        let slow = async move || {
            enters.notify_one();
            leaves.notified().await;
        };
        let router = bound(Router::new().route("/", get(slow)), bounds(1));
        let first = tokio::spawn({
            let router = router.clone();
            async move { ask(&router).await.status() }
        });
        entered.notified().await;
        let second = ask(&router).await;
        assert_eq!(second.status(), 503);
        assert_eq!(second.headers()["retry-after"], "1");
        leave.notify_one();
        assert_eq!(first.await.unwrap(), 200);
        leave.notify_one();
        assert_eq!(ask(&router).await.status(), 200, "the place is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_ended() {
        let router = Router::new().route("/", get(std::future::pending::<()>));
        let answer = ask(&bound(router, bounds(1))).await;
        assert_eq!(answer.status(), 503);
    }
}
