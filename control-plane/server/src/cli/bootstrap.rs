//! `sealwax envoy bootstrap`

use std::net::SocketAddr;

use super::arguments::EnvoyBootstrap;
use super::exit::{Failed, Outcome};
use super::output::Output;
use super::serve::load;
use crate::bootstrap::Bootstrap;

pub(super) fn print(output: &mut Output, values: EnvoyBootstrap) -> Outcome {
    let config = load(values.config.as_deref())?;
    let bootstrap = Bootstrap {
        node_id: values.edge,
        admin: values.admin,
        http: SocketAddr::new(values.bind, values.http_port),
        https: SocketAddr::new(values.bind, values.https_port),
        redirect_port: values.redirect_port.unwrap_or(values.https_port),
        wasm: values.wasm,
        default_domain: values.default_domain,
        xds: values.xds.unwrap_or_else(|| config.xds.listen.into()),
        edge: values.edge_api.unwrap_or_else(|| config.edge.listen.into()),
        origin: values.origin,
        max_wait: config.issuance.max_wait,
    };
    let yaml = bootstrap.yaml().map_err(|error| Failed::new(error.to_string()))?;
    output.text(&yaml)
}
