//! Every route of the admin API, once. The handler says path, method and document; the list it
//! stands in says what a caller needs.

use std::sync::LazyLock;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::gate::{self, Gate};
use super::openapi::AdminDocument;
use super::{
    AdminApi, Scope, batch, campaign, certificate, dashboard, departures, domains, fleet, health,
    issuers, notifications, openapi, steward, stream,
};

type Routes = OpenApiRouter<AdminApi>;

/// What only looks.
fn read() -> Routes {
    Routes::new()
        .routes(routes!(domains::show))
        .routes(routes!(domains::list))
        .routes(routes!(domains::events))
        .routes(routes!(domains::explain))
        .routes(routes!(stream::events))
        .routes(routes!(departures::show))
        .routes(routes!(campaign::show))
        .routes(routes!(fleet::glance))
        .routes(routes!(fleet::edges))
        .routes(routes!(steward::show))
        .routes(routes!(issuers::list))
        .routes(routes!(notifications::dropped))
        .routes(routes!(health::metrics))
}

/// What changes something.
fn write() -> Routes {
    Routes::new()
        .routes(routes!(domains::register, domains::remove))
        .routes(routes!(domains::renew))
        .routes(routes!(batch::register))
        .routes(routes!(certificate::import))
        .routes(routes!(certificate::revoke))
        .routes(routes!(departures::release))
        .routes(routes!(campaign::start))
        .routes(routes!(campaign::pause))
        .routes(routes!(campaign::resume))
        .routes(routes!(campaign::cancel))
        .routes(routes!(steward::release))
        .routes(routes!(steward::accept))
        .routes(routes!(issuers::rollover))
        .routes(routes!(issuers::contact))
}

/// What lets a private key out, an account key in, or an account go.
fn keys() -> Routes {
    Routes::new()
        .routes(routes!(certificate::export))
        .routes(routes!(issuers::adopt))
        .routes(routes!(issuers::reset))
}

/// What anyone may ask who reaches the listener.
fn open() -> Routes {
    Routes::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::document))
}

/// All of them, those that need a token behind the gate.
pub(super) fn all(gate: &Gate) -> Router<AdminApi> {
    let guarded = |scope, routes: Routes| {
        let check = from_fn_with_state((gate.clone(), scope), gate::check);
        Router::from(routes.layer(check))
    };
    guarded(Scope::Read, read())
        .merge(guarded(Scope::Write, write()))
        .merge(guarded(Scope::Keys, keys()))
        .merge(Router::from(open()))
        .merge(dashboard::routes())
}

/// The OpenAPI 3.1 document of them.
pub(super) fn document() -> &'static Document {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
        let all = Routes::with_openapi(AdminDocument::openapi());
        all.merge(read()).merge(write()).merge(keys()).merge(open()).into_openapi()
    });
    &DOCUMENT
}
