//! `sealwax domain release-parking`

use http::Method;

use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::Outcome;
use super::output::Output;
use sealwax_admin::DeparturesView;

pub(super) async fn release(client: &AdminClient, output: &mut Output) -> Outcome {
    let path = ["v1", "departures", "release"];
    let view: DeparturesView = client.ask(Method::POST, &path, &[], NO_BODY).await?;
    if output.json {
        return output.value(&view);
    }
    output.people(&format!(
        "domains that the platform says are gone are parked and erased again; nothing is counted \
         until {}\n",
        view.released_until.as_deref().unwrap_or("now")
    ))
}
