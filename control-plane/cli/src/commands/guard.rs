//! `sealwax store accept` and `sealwax envoy release`

use http::Method;

use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::Outcome;
use super::output::Output;
use sealwax_admin::StoreView;

pub(super) async fn accept(client: &AdminClient, output: &mut Output) -> Outcome {
    let path = ["v1", "store", "accept"];
    let view: StoreView = client.ask(Method::POST, &path, &[], NO_BODY).await?;
    if output.json {
        return output.value(&view);
    }
    let id = view.id.as_deref().unwrap_or("?");
    output.text(&format!("store {id} is trusted by every control plane that uses it\n"))
}

pub(super) async fn release(client: &AdminClient, output: &mut Output, unknown: bool) -> Outcome {
    let query: &[(&str, String)] = if unknown { &[("unknown", "true".to_owned())] } else { &[] };
    let path = ["v1", "edges", "release"];
    let view: StoreView = client.ask(Method::POST, &path, query, NO_BODY).await?;
    if output.json {
        return output.value(&view);
    }
    output.text(&format!(
        "withdrawals from the edges of this control plane go on for {} s\n",
        view.released_s
    ))
}
