//! `sealwax envoy bootstrap`

use std::net::SocketAddr;

use super::arguments::EnvoyBootstrap;
use super::exit::{Failed, Outcome};
use super::output::Output;
use super::serve::load;
use crate::bootstrap::{Bootstrap, EdgeTls, Endpoint};
use crate::pki::Pki;
use sealwax_config::{Listen, TlsFiles};

pub(super) fn print(output: &mut Output, values: EnvoyBootstrap) -> Outcome {
    let config = load(values.config.as_deref())?;
    let tls = values.certs.map(|folder| Pki::at(folder).edge_tls(&values.edge));
    let xds = listener("xds", config.xds.listen, config.xds.tls.as_ref(), values.xds, &tls)?;
    let edge =
        listener("edge", config.edge.listen, config.edge.tls.as_ref(), values.edge_api, &tls)?;
    let bootstrap = Bootstrap {
        node_id: values.edge,
        admin: values.admin,
        http: SocketAddr::new(values.bind, values.http_port),
        https: SocketAddr::new(values.bind, values.https_port),
        redirect_port: values.redirect_port.unwrap_or(values.https_port),
        wasm: values.wasm,
        default_domain: values.default_domain,
        xds: xds.0,
        edge: edge.0,
        origin: values.origin,
        xds_tls: xds.1,
        edge_tls: edge.1,
        max_wait: config.issuance.max_wait,
    };
    let yaml = bootstrap.yaml().map_err(|error| Failed::new(error.to_string()))?;
    output.text(&yaml)
}

/// Where Envoy finds a listener, and what it shows there. A place that is only named on the
/// command line has mutual TLS if there are certificates for it.
fn listener(
    section: &str,
    configured: Listen,
    wants: Option<&TlsFiles>,
    named: Option<Endpoint>,
    tls: &Option<EdgeTls>,
) -> Result<(Endpoint, Option<EdgeTls>), Failed> {
    let place = named.clone().unwrap_or_else(|| configured.into());
    if matches!(place, Endpoint::Unix(_)) {
        return Ok((place, None));
    }
    match (wants, named, tls) {
        (Some(_), _, None) => Err(Failed::usage(format!(
            "[{section}] has mutual TLS: say with --certs DIR where the files are that \
             `sealwax envoy certs --out DIR` made for this edge"
        ))),
        (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => Ok((place, tls.clone())),
        (None, None, _) | (None, Some(_), None) => Ok((place, None)),
    }
}
