//! The OpenAPI document, made from the handlers themselves: what is said of all of them.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Sealwax admin API", description = "On-demand TLS certificates for Envoy"),
    security(("token" = [])),
    modifiers(&Bearer),
    tags(
        (name = "domains", description = "Registering domains and looking at them"),
        (name = "campaign", description = "Replacing many certificates before a moment"),
        (name = "process", description = "How the control plane itself is"),
    )
)]
pub(super) struct AdminDocument;

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
pub fn openapi() -> &'static Document {
    routes::document()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "process", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn document() -> Json<&'static Document> {
    Json(openapi())
}
