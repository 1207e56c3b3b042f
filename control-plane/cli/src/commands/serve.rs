//! `sealwax serve`

use super::arguments::Serve;
use super::exit::{Failed, Outcome};
use sealwax_config::{Config, Problems};

pub(super) async fn run(serve: &Serve) -> Outcome {
    let config = load(serve.config.as_deref())?;
    sealwax_telemetry::log::start(config.telemetry.log);
    // The whole process is in this future: too much for the stack it is polled from.
    Box::pin(sealwax_server::run(config)).await.map_err(|error| Failed::new(error.to_string()))
}

/// The configuration, with everything that is wrong with it as one usage error.
pub(super) fn load(file: Option<&std::path::Path>) -> Result<Config, Failed> {
    let environment = std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    Config::load(file, environment)
        .map_err(|problems: Problems| Failed::usage(problems.to_string()))
}
