//! The command line: reads arguments, runs one command, and says how it ended.

mod account;
mod arguments;
mod bootstrap;
mod campaign;
mod cert;
mod certs;
mod client;
mod colour;
mod completions;
mod departures;
mod doctor;
mod domains;
mod exit;
mod explain;
mod guard;
mod import;
mod output;
mod progress;
mod serve;
mod simulate;
mod store;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command, DocsCommand, DomainCommand, EnvoyCommand, StoreCommand};
use exit::{Failed, Outcome};
use output::Output;

/// Runs the command the arguments name. 0: done, 1: failed, 2: used wrongly, 3: not found.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, with status 0.
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failed = Failed::new(format!("the process cannot start its threads: {error}"));
            return output::report(Err(failed));
        }
    };
    let mut output = Output::new(arguments.json, std::io::stdout());
    output.colour = !arguments.json && output::wants_colour();
    let ended = runtime.block_on(run(arguments, &mut output));
    // A command's reader of standard input may still be waiting for a key.
    runtime.shutdown_background();
    output::report(ended)
}

async fn run(arguments: Arguments, output: &mut Output) -> Outcome {
    let client = || client::AdminClient::new(&arguments.server);
    match arguments.command {
        // Boxed: what these await is far larger than what the others do.
        Command::Serve(serve) => Box::pin(serve::run(&serve)).await,
        Command::Domain { command } => match command {
            DomainCommand::Add(add) => domains::add(&client()?, output, add).await,
            DomainCommand::Show(names) => domains::show(&client()?, output, &names).await,
            DomainCommand::List(list) => domains::list(&client()?, output, &list).await,
            DomainCommand::Remove(names) => domains::remove(&client()?, output, &names).await,
            DomainCommand::Renew(renew) => domains::renew(&client()?, output, &renew).await,
            DomainCommand::ReleaseParking => departures::release(&client()?, output).await,
            DomainCommand::Import(from) => import::run(&client()?, output, from).await,
        },
        Command::Cert { command } => cert::run(&client()?, output, command).await,
        Command::Account { command } => account::run(&client()?, output, command).await,
        Command::Campaign { command } => campaign::run(&client()?, output, command).await,
        Command::Explain { domain } => explain::run(&client()?, output, &domain).await,
        Command::Envoy { command } => match command {
            EnvoyCommand::Bootstrap(values) => bootstrap::print(output, *values),
            EnvoyCommand::Certs(values) => certs::make(output, values),
            EnvoyCommand::Release(of) => guard::release(&client()?, output, of.unknown).await,
        },
        Command::Store { command: StoreCommand::Accept } => guard::accept(&client()?, output).await,
        Command::Store { command } => Box::pin(store::run(output, &command)).await,
        Command::Doctor(doctor) => Box::pin(doctor::run(&client()?, output, &doctor)).await,
        Command::Simulate(asked) => simulate::run(output, &asked),
        Command::Completions { shell } => completions::print(output, shell),
        Command::Docs { command } => match command {
            DocsCommand::Configuration => output.text(&sealwax_config::reference()),
            DocsCommand::Metrics => output.text(&sealwax_telemetry::metrics::manual()),
            DocsCommand::Man { to } => completions::manual_pages(&to),
        },
    }
}

#[cfg(test)]
mod tests;
