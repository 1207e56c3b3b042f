//! Replacing many certificates before a moment.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use sealwax_core::Timestamp;
use sealwax_core::campaign::{Campaign, CampaignState, Selector};
use sealwax_workflow::campaign::{CampaignError, Steer, Wanted};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::domains::{check_words, malformed_body};
use super::problems::Refused;
use sealwax_config::parse_span;
use sealwax_registry::RegistryError;
use sealwax_web::{PROBLEM_JSON, Problem};

/// Which certificates are replaced, how fast, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignBody {
    /// Only those of this tenant's domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only those ordered from this configured issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Only those valid from this moment on or later; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_after: Option<String>,
    /// Only those valid from before this moment; RFC 3339. The start if unset or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<String>,
    /// Those that were brought along too.
    #[serde(default)]
    pub imported: bool,
    /// When all should be replaced: RFC 3339, or how long from now, such as `24h`.
    pub before: String,
    /// Most domains renewed in a second, 1 to 500.
    pub rate: u32,
    /// Why; it is in every domain's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A campaign, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignView {
    /// Unique among a store's campaigns.
    pub id: String,
    /// `running`, `paused`, `finished` or `cancelled`.
    #[schema(value_type = String, example = "running")]
    pub state: CampaignState,
    /// Why.
    pub reason: String,
    /// Whose domains; null for all.
    pub tenant: Option<String>,
    /// Ordered from which issuer; null for all.
    pub issuer: Option<String>,
    /// Valid from this moment on or later; RFC 3339.
    pub issued_after: Option<String>,
    /// Valid from before this moment; RFC 3339.
    pub issued_before: String,
    /// Those that were brought along too.
    pub imported: bool,
    /// Most domains renewed in a second.
    pub rate: u32,
    /// When all should be replaced; RFC 3339.
    pub before: String,
    /// Certificates there are to replace; null until they are counted.
    pub total: Option<u64>,
    /// Of these, counted so far.
    pub counted: u64,
    /// Replaced.
    pub replaced: u64,
    /// Failed, and left to their own schedule.
    pub failed: u64,
    /// The first of those.
    pub failed_domains: Vec<String>,
    /// Removed, parked or without a certificate before their turn came.
    pub gone: u64,
    /// Asked for, and not there yet.
    pub open: u64,
    /// When it ends at this rate; null unless it runs and all is counted.
    pub ends_about: Option<String>,
    /// It ended, or is about to end, after `before`.
    pub late: bool,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; null while it lives.
    pub ended_at: Option<String>,
}

impl CampaignView {
    /// As it is at this moment.
    #[must_use]
    pub fn of(campaign: &Campaign, now: Timestamp) -> Self {
        let selector = campaign.selector.clone();
        let ends_about = campaign.ends_about(now);
        let end = campaign.ended_at.or(ends_about).unwrap_or(now);
        Self {
            id: campaign.id.clone(),
            state: campaign.state,
            reason: campaign.reason.clone(),
            tenant: selector.tenant,
            issuer: selector.issuer,
            issued_after: selector.issued_after.map(Timestamp::rfc3339),
            issued_before: selector.issued_before.rfc3339(),
            imported: selector.imported,
            rate: campaign.rate,
            before: campaign.deadline.rfc3339(),
            total: campaign.total(),
            counted: campaign.count.found,
            replaced: campaign.replaced,
            failed: campaign.failed,
            failed_domains: campaign.failed_names.clone(),
            gone: campaign.gone,
            open: campaign.open.len() as u64,
            ends_about: ends_about.map(Timestamp::rfc3339),
            late: end > campaign.deadline,
            started_at: campaign.started_at.rfc3339(),
            ended_at: campaign.ended_at.map(Timestamp::rfc3339),
        }
    }
}

impl CampaignBody {
    fn wanted(self, now: Timestamp) -> Result<Wanted, Refused> {
        check_words([("tenant", &self.tenant), ("issuer", &self.issuer)])?;
        let issued_before = moment("issued_before", self.issued_before.as_deref())?;
        let selector = Selector {
            tenant: self.tenant,
            issuer: self.issuer,
            issued_after: moment("issued_after", self.issued_after.as_deref())?,
            issued_before: issued_before.unwrap_or(now).min(now),
            imported: self.imported,
        };
        let deadline = Timestamp::parse_rfc3339(&self.before)
            .or_else(|| parse_span(&self.before).map(|span| now + span))
            .ok_or_else(|| malformed_body("before is RFC 3339, or a duration such as 24h"))?;
        let reason = self.reason.unwrap_or_default();
        Ok(Wanted { selector, rate: self.rate, deadline, reason })
    }
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    let wrong = || malformed_body(format!("{name} is a moment in RFC 3339"));
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

/// Starts a campaign; there is one at a time. Domains are renewed as `renew` does it, the busiest
/// first.
#[utoipa::path(post, path = "/v1/campaign", tag = "campaign",
    request_body(content = CampaignBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It runs", body = CampaignView),
        (status = 409, description = "Another one has not ended", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn start(
    State(api): State<AdminApi>,
    body: Bytes,
) -> Result<(StatusCode, Json<CampaignView>), Refused> {
    let said: CampaignBody =
        serde_json::from_slice(&body).map_err(|error| malformed_body(error.to_string()))?;
    let wanted = said.wanted(api.campaigns.now())?;
    api.registry.knows_issuer(wanted.selector.issuer.as_deref())?;
    let campaign = api.campaigns.start(wanted).await?;
    Ok((StatusCode::CREATED, view(&api, &campaign)))
}

/// The campaign that runs, or the last one that did.
#[utoipa::path(get, path = "/v1/campaign", tag = "campaign",
    responses((status = 200, description = "The campaign", body = CampaignView), Problem))]
pub(super) async fn show(State(api): State<AdminApi>) -> Result<Json<CampaignView>, Refused> {
    let campaign = api.campaigns.show().await?;
    Ok(view(&api, &campaign))
}

/// Renews no more domains until it is resumed; what was begun goes on.
#[utoipa::path(post, path = "/v1/campaign/pause", tag = "campaign",
    responses((status = 200, description = "It is paused", body = CampaignView), Problem))]
pub(super) async fn pause(State(api): State<AdminApi>) -> Result<Json<CampaignView>, Refused> {
    steer(&api, Steer::Pause).await
}

/// Goes on with a paused campaign.
#[utoipa::path(post, path = "/v1/campaign/resume", tag = "campaign",
    responses((status = 200, description = "It runs", body = CampaignView), Problem))]
pub(super) async fn resume(State(api): State<AdminApi>) -> Result<Json<CampaignView>, Refused> {
    steer(&api, Steer::Resume).await
}

/// Ends the campaign; what was begun goes on.
#[utoipa::path(post, path = "/v1/campaign/cancel", tag = "campaign",
    responses((status = 200, description = "It is cancelled", body = CampaignView), Problem))]
pub(super) async fn cancel(State(api): State<AdminApi>) -> Result<Json<CampaignView>, Refused> {
    steer(&api, Steer::Cancel).await
}

async fn steer(api: &AdminApi, steer: Steer) -> Result<Json<CampaignView>, Refused> {
    let campaign = api.campaigns.steer(steer).await?;
    Ok(view(api, &campaign))
}

fn view(api: &AdminApi, campaign: &Campaign) -> Json<CampaignView> {
    Json(CampaignView::of(campaign, api.campaigns.now()))
}

impl From<CampaignError> for Refused {
    fn from(error: CampaignError) -> Self {
        let detail = error.to_string();
        match error {
            CampaignError::None => Self::new(StatusCode::NOT_FOUND, "no-campaign", detail),
            CampaignError::Lives(_) => Self::new(StatusCode::CONFLICT, "campaign-lives", detail),
            CampaignError::Ended(_) => Self::new(StatusCode::CONFLICT, "campaign-ended", detail),
            CampaignError::Wrong(_) => malformed_body(detail),
            CampaignError::Contended => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "contended", detail).retry_after(1)
            }
            CampaignError::Store(error) => RegistryError::Store(error).into(),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "campaign", detail),
        }
    }
}
