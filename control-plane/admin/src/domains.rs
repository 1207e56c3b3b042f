//! Single domains, and pages of them.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use sealwax_core::record::KeyType;
use sealwax_core::store::Selection;
use sealwax_core::{Cause, DomainRecord, DomainState, Registration, Timestamp};
use serde::{Deserialize, Serialize};

use super::explain::Explanation;
use super::problems::Refused;
use super::{AdminApi, parse_name};
use sealwax_config::parse_span;
use sealwax_platform::view::{DomainView, EventsView, PageView};
use sealwax_registry::{Terms, Window};
use sealwax_web::{PROBLEM_JSON, Problem};

/// Domains on a page when the caller does not say.
const PAGE_DEFAULT: usize = 100;
/// Most domains on a page.
const PAGE_MAX: usize = 1000;
/// Most events shown of a domain.
const EVENTS_MAX: usize = 1000;
/// Events shown of a domain when the caller does not say.
const EVENTS_DEFAULT: usize = 100;
/// Longest wait for what a certificate authority calls itself: a page waits for it.
const CAA_NAME_WITHIN: Duration = Duration::from_secs(2);
/// Longest tenant, issuer and profile, in bytes: they are part of every record read.
const WORD_BYTES_MAX: usize = 128;

/// What a platform says about a domain. It is the whole registration: what it leaves out is
/// unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationBody {
    /// Whose domain it is, in the platform's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A configured issuer; the first one if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The ACME profile to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `ecdsa_p256`, `ecdsa_p384`, `rsa2048` or `rsa4096`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ecdsa_p256")]
    pub key_type: Option<KeyType>,
    /// 0 to 255, higher first; 100 if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

impl RegistrationBody {
    /// The registration, if its words are short and printable; otherwise which one is not.
    pub(super) fn checked(self) -> Result<Registration, Refused> {
        check_words([
            ("tenant", &self.tenant),
            ("issuer", &self.issuer),
            ("profile", &self.profile),
        ])?;
        Ok(Registration {
            tenant: self.tenant,
            issuer: self.issuer,
            profile: self.profile,
            key_type: self.key_type,
            priority: self.priority,
        })
    }
}

/// Words are short and printable; otherwise which one is not.
pub(super) fn check_words<const N: usize>(
    words: [(&str, &Option<String>); N],
) -> Result<(), Refused> {
    for (name, word) in words {
        let Some(word) = word else { continue };
        let bad = word.is_empty() || word.len() > WORD_BYTES_MAX;
        if bad || word.chars().any(char::is_control) {
            let said = format!("{name} is a text of 1 to {WORD_BYTES_MAX} printable bytes");
            return Err(malformed_body(said));
        }
    }
    Ok(())
}

pub(super) fn malformed_body(said: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "malformed-body", said)
}

/// On what terms a domain is registered.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterQuery {
    /// Only if it is this tenant's now; empty: only if it is nobody's or not registered.
    if_tenant: Option<String>,
    /// When it moves to another tenant, a certificate that the former one brought along stays. Its
    /// key is the former tenant's: otherwise it is replaced by an issued one at once.
    #[serde(default)]
    keep_certificate: bool,
}

/// Registers a domain, or replaces what is said about it. Idempotent.
#[utoipa::path(put, path = "/v1/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "The domain; Unicode is converted to A-labels"),
        RegisterQuery),
    request_body(content = Option<RegistrationBody>, content_type = "application/json"),
    responses(
        (status = 200, description = "It was registered before", body = DomainView),
        (status = 201, description = "It is registered now", body = DomainView),
        (status = 409, description = "It is another tenant's than `if_tenant` says",
            body = Problem, content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn register(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
    query: Result<Query<RegisterQuery>, QueryRejection>,
    body: Bytes,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(malformed_query)?;
    let domain = parse_name(&domain)?;
    let said: RegistrationBody = if body.trim_ascii().is_empty() {
        RegistrationBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| malformed_body(error.to_string()))?
    };
    let terms =
        Terms { if_tenant: query.if_tenant.as_deref(), keep_certificate: query.keep_certificate };
    let put = api.registry.put_on(&domain, said.checked()?, terms).await?;
    let view = Json(DomainView::from(&put.record));
    if put.created {
        let location = [(LOCATION, format!("/v1/domains/{domain}"))];
        return Ok((StatusCode::CREATED, location, view).into_response());
    }
    Ok(view.into_response())
}

/// Shows a domain.
#[utoipa::path(get, path = "/v1/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "The domain")),
    responses((status = 200, description = "The domain", body = DomainView), Problem))]
pub(super) async fn show(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
) -> Result<Json<DomainView>, Refused> {
    let record = api.registry.show(&parse_name(&domain)?).await?;
    Ok(Json(DomainView::from(&record)))
}

/// Stops serving and renewing a domain and deletes its keys.
#[utoipa::path(delete, path = "/v1/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "The domain")),
    responses((status = 204, description = "It is gone"), Problem))]
pub(super) async fn remove(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
) -> Result<StatusCode, Refused> {
    api.registry.remove(&parse_name(&domain)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewQuery {
    /// Renew outside the window too, and without a look at the domain first.
    #[serde(default)]
    force: bool,
}

/// Asks for a new certificate now.
#[utoipa::path(post, path = "/v1/domains/{domain}/renew", tag = "domains",
    params(("domain" = String, Path, description = "The domain"), RenewQuery),
    responses(
        (status = 202, description = "It is being worked on", body = DomainView),
        (status = 409, description = "Not due, or parked", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn renew(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
    query: Result<Query<RenewQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(malformed_query)?;
    let window = if query.force { Window::Ignored } else { Window::Kept };
    let record = api.registry.renew(&parse_name(&domain)?, window).await?;
    Ok((StatusCode::ACCEPTED, Json(DomainView::from(&record))).into_response())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only domains in this state.
    #[param(value_type = Option<String>,
        pattern = "^(pending|issuing|issued|deferred|refused|parked)$")]
    state: Option<DomainState>,
    /// Only domains of this tenant.
    tenant: Option<String>,
    /// Only domains whose renewal or retry is due within this time, such as `7d`.
    #[param(pattern = "^[0-9]{1,6}(ms|s|m|h|d)$")]
    due_within: Option<String>,
    /// Most domains on the page, 1 to 1000; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists domains, a page at a time, by index and never by a scan.
#[utoipa::path(get, path = "/v1/domains", tag = "domains", params(ListQuery),
    responses((status = 200, description = "A page", body = PageView), Problem))]
pub(super) async fn list(
    State(api): State<AdminApi>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<PageView>, Refused> {
    let Query(query) = query.map_err(malformed_query)?;
    let limit = limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let (due_before, cursor) = match query.due_within.as_deref() {
        None => (None, query.cursor),
        Some(text) => {
            let (due_before, cursor) =
                due_before(text, query.cursor.as_deref(), api.registry.now())?;
            (Some(due_before), cursor)
        }
    };
    let selection = Selection { state: query.state, tenant: query.tenant, due_before };
    let page = api.registry.list(&selection, limit, cursor.as_deref()).await?;
    let mut view = PageView::from(page);
    if let (Some(due_before), Some(cursor)) = (due_before, &view.next_cursor) {
        view.next_cursor = Some(format!("{}.{cursor}", due_before.millis()));
    }
    Ok(Json(view))
}

/// When domains must be due. A page after the first has the moment of the first one in its
/// cursor: were it taken anew, the pages would not fit together.
fn due_before(
    within: &str,
    cursor: Option<&str>,
    now: Timestamp,
) -> Result<(Timestamp, Option<String>), Refused> {
    let span = parse_span(within)
        .ok_or_else(|| wrong_query("due_within is a duration such as 12h or 7d"))?;
    let Some(cursor) = cursor else { return Ok((now + span, None)) };
    cursor
        .split_once('.')
        .and_then(|(millis, cursor)| {
            Some((Timestamp::from_millis(millis.parse().ok()?), Some(cursor.to_owned())))
        })
        .ok_or_else(|| wrong_query("this cursor belongs to another listing"))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Most events, 1 to 1000; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The newest events of a domain, newest first.
#[utoipa::path(get, path = "/v1/domains/{domain}/events", tag = "domains",
    params(("domain" = String, Path, description = "The domain"), EventsQuery),
    responses((status = 200, description = "The events", body = EventsView), Problem))]
pub(super) async fn events(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<EventsView>, Refused> {
    let Query(query) = query.map_err(malformed_query)?;
    let limit = limit(query.limit, EVENTS_DEFAULT, EVENTS_MAX)?;
    let domain = parse_name(&domain)?;
    let events = api.registry.events(&domain, limit).await?;
    if events.is_empty() {
        // Nothing known of it: say so, unless it is registered.
        api.registry.show(&domain).await?;
    }
    Ok(Json(EventsView { events: events.iter().map(Into::into).collect() }))
}

/// What happened, what is wrong, who must act, what to change, what happens next.
#[utoipa::path(get, path = "/v1/domains/{domain}/explain", tag = "domains",
    params(("domain" = String, Path, description = "The domain")),
    responses((status = 200, description = "The explanation", body = Explanation), Problem))]
pub(super) async fn explain(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
) -> Result<Json<Explanation>, Refused> {
    let domain = parse_name(&domain)?;
    let record = api.registry.show(&domain).await?;
    let events = api.registry.events(&domain, EVENTS_DEFAULT).await?;
    let events = api.trail.woven_into(&domain, events);
    let told = Explanation::of(&record, &events, api.registry.now());
    let told = told.waiting(api.fleet.turn(&domain));
    let ca = caa_name(&api, &record).await;
    Ok(Json(told.advised(&record, &api.advice, ca.as_deref())))
}

/// What the domain's certificate authority calls itself in CAA records, asked of it when such a
/// record is what is missing. `None`: it does not say, or not in time.
async fn caa_name(api: &AdminApi, record: &DomainRecord) -> Option<String> {
    record.failure.as_ref().filter(|failure| failure.cause == Cause::CaaForbids)?;
    let issuers = &api.certificates.issuers;
    let wanted = record.registration.issuer.as_deref();
    let issuer = match wanted {
        Some(wanted) => issuers.iter().find(|issuer| issuer.name() == wanted),
        None => issuers.first(),
    }?;
    let identity = tokio::time::timeout(CAA_NAME_WITHIN, issuer.caa_identity()).await.ok()?;
    identity.names.into_iter().next()
}

fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Refused> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(wrong_query(format!("limit is a number from 1 to {most}"))),
    }
}

pub(super) fn malformed_query(rejection: QueryRejection) -> Refused {
    wrong_query(rejection.body_text())
}

fn wrong_query(said: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "malformed-query", said)
}
