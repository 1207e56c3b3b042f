//! `sealwax account rollover|contact|reset`

use http::Method;

use super::arguments::AccountCommand;
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::Outcome;
use super::output::Output;
use super::table::clean;
use sealwax_admin::AccountView;

pub(super) async fn run(
    client: &AdminClient,
    output: &mut Output,
    command: AccountCommand,
) -> Outcome {
    let (issuer, word, done) = match command {
        AccountCommand::Rollover { issuer } => (issuer, "rollover", "has a new key"),
        AccountCommand::Reset { issuer } => (issuer, "reset", "is the account now"),
        AccountCommand::Contact { issuer } => (issuer, "contact", "has the configured contact"),
    };
    let path = ["v1", "issuers", issuer.as_str(), "account", word];
    let view: AccountView = client.ask(Method::POST, &path, &[], NO_BODY).await?;
    if output.json {
        return output.value(&view);
    }
    output.text(&format!("{} {done}\n", clean(&view.account_url)))
}
