//! `GET /v1/events`: every lifecycle event as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use sealwax_core::DomainState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::domains::malformed_query;
use super::problems::Refused;
use sealwax_telemetry::feed::{Feed, Happening, Heard, Listener};
use sealwax_web::Problem;

/// How often a silent stream says that it is alive: proxies close idle connections after a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a client that lost its connection comes back.
const RETRY: Duration = Duration::from_secs(2);
/// When a place may be free again, in seconds.
const FULL_RETRY_AFTER: u64 = 10;

#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    /// Only events of this tenant's domains.
    tenant: Option<String>,
    /// Only events of this domain.
    domain: Option<String>,
}

/// A lifecycle event as the stream tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HappeningView {
    /// The domain.
    pub domain: String,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Its state after it; null if it is gone or another control plane changed it.
    #[schema(value_type = Option<String>, example = "issued")]
    pub state: Option<DomainState>,
    /// RFC 3339.
    pub at: String,
    /// What, from the documented list.
    pub kind: String,
    /// What was seen.
    pub detail: String,
}

impl From<&Happening> for HappeningView {
    fn from(happening: &Happening) -> Self {
        let event = &happening.event;
        Self {
            domain: happening.domain.to_string(),
            tenant: happening.tenant.clone(),
            state: happening.state,
            at: event.at.rfc3339(),
            kind: event.kind.clone(),
            detail: event.detail.clone(),
        }
    }
}

/// Server-sent events (`event: lifecycle`) of every lifecycle change, until the caller goes. With
/// `Last-Event-ID` it goes on where the caller was. `event: missed` says that events were lost:
/// look at the domains themselves.
#[utoipa::path(get, path = "/v1/events", tag = "domains",
    params(StreamQuery,
        ("last-event-id" = Option<String>, Header, description = "The last event's `id`")),
    responses(
        (status = 200, description = "The stream", body = HappeningView,
            content_type = "text/event-stream"),
        Problem))]
pub(super) async fn events(
    State(api): State<AdminApi>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let Query(mut query) = query.map_err(malformed_query)?;
    if let Some(domain) = &mut query.domain {
        *domain = super::parse_name(domain)?.to_string();
    }
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listener = api.feed.listen(after).map_err(|full| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-listeners", full.to_string())
            .retry_after(FULL_RETRY_AFTER)
    })?;
    let events = told(api.feed.clone(), listener, query).take_until(api.stop.cancelled_owned());
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn told(
    feed: Feed,
    listener: Listener,
    query: StreamQuery,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let hello = Event::default().retry(RETRY).comment("listening");
    let heard = stream::unfold((feed, listener, query), async |(feed, mut listener, query)| {
        loop {
            let event = match listener.hear().await? {
                Heard::Missed => Event::default().event("missed").data("{}"),
                Heard::Happened(numbered) => {
                    let view = HappeningView::from(&numbered.happening);
                    if !query.wants(&view) {
                        continue;
                    }
                    let data = serde_json::to_string(&view).unwrap_or_default();
                    Event::default().event("lifecycle").id(feed.id(numbered.number)).data(data)
                }
            };
            return Some((Ok(event), (feed, listener, query)));
        }
    });
    stream::iter([Ok(hello)]).chain(heard)
}

impl StreamQuery {
    fn wants(&self, view: &HappeningView) -> bool {
        self.domain.as_ref().is_none_or(|domain| *domain == view.domain)
            && self.tenant.as_ref().is_none_or(|tenant| view.tenant.as_ref() == Some(tenant))
    }
}
