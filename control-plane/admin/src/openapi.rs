//! The OpenAPI document, made from the handlers themselves.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    batch, campaign, certificate, departures, domains, fleet, health, issuers, notifications,
    steward, stream,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Sealwax admin API", description = "On-demand TLS certificates for Envoy"),
    paths(
        domains::register,
        domains::show,
        domains::remove,
        domains::list,
        domains::renew,
        domains::events,
        domains::explain,
        batch::register,
        stream::events,
        fleet::glance,
        fleet::edges,
        steward::release,
        steward::show,
        steward::accept,
        certificate::import,
        certificate::revoke,
        certificate::export,
        issuers::list,
        issuers::adopt,
        issuers::rollover,
        issuers::contact,
        departures::show,
        departures::release,
        issuers::reset,
        campaign::start,
        campaign::show,
        campaign::pause,
        campaign::resume,
        campaign::cancel,
        notifications::dropped,
        health::alive,
        health::ready,
        health::metrics,
        document,
    ),
    security(("token" = [])),
    modifiers(&Bearer),
    tags(
        (name = "domains", description = "Registering domains and looking at them"),
        (name = "campaign", description = "Replacing many certificates before a moment"),
        (name = "process", description = "How the control plane itself is"),
    )
)]
struct AdminDocument;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The admin token; not asked for without [admin] token_file"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The OpenAPI 3.1 document of the admin API.
#[must_use]
pub fn openapi() -> Document {
    AdminDocument::openapi()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "process", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn document() -> Json<Document> {
    Json(openapi())
}
