//! `sealwax envoy certs`

use std::path::Path;

use sealwax_core::Clock as _;
use serde_json::json;

use super::arguments::EnvoyCerts;
use super::exit::{Failed, Outcome};
use super::output::Output;
use crate::pki::{Pki, Renew};
use sealwax_system::SystemClock;

pub(super) fn make(output: &mut Output, values: EnvoyCerts) -> Outcome {
    let pki = Pki::at(values.out.clone());
    let renew = if values.renew { Renew::ControlPlaneToo } else { Renew::OnlyTheEdge };
    let made = pki.make(&values.edge, renew, SystemClock.now());
    made.map_err(|error| Failed::new(error.to_string()))?;
    let path = |path: &Path| path.display().to_string();
    let cert = path(&pki.control_plane_cert_file());
    let key = path(&pki.control_plane_key_file());
    let (ca, edge) = (path(&pki.ca_file()), pki.edge_tls(&values.edge));
    if output.json {
        return output.value(&json!({
            "ca_file": ca,
            "tls_cert_file": cert,
            "tls_key_file": key,
            "edge_cert_file": edge.cert_file,
            "edge_key_file": edge.key_file,
        }));
    }
    output.text(&format!(
        "The control plane gets, in [xds] and in [edge]:\n\n\
         tls_cert_file = {cert:?}\ntls_key_file = {key:?}\nclient_ca_file = {ca:?}\n\n\
         The edge gets {}, {} and {ca}, and what this prints:\n\n\
         sealwax envoy bootstrap --edge {} --certs {}\n\n\
         Keep the CA\'s key for the next edge; nobody else needs it.\n",
        edge.cert_file,
        edge.key_file,
        values.edge,
        values.out.display(),
    ))
}
