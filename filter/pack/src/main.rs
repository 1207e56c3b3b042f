//! Packs the built filter module: `sealwax-pack IN.wasm OUT.wasm`.
//!
//! Keeps the exports the filter has a use for, drops everything nothing reaches, and fails, saying
//! what differs, if what is left imports or exports anything else or is too large.

mod interface;
mod pack;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The command line was not understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        say("usage: sealwax-pack IN.wasm OUT.wasm");
        return ExitCode::from(USAGE);
    };
    match run(&from, &to) {
        Ok(bytes) => {
            say(&format!("{}: {bytes} bytes", to.display()));
            ExitCode::SUCCESS
        }
        Err(message) => {
            say(&format!("sealwax-pack: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn run(from: &PathBuf, to: &PathBuf) -> Result<usize, String> {
    let wasm = std::fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    let packed = pack::pack(&wasm).map_err(|error| format!("{}: {error}", from.display()))?;
    std::fs::write(to, &packed).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(packed.len())
}

fn say(line: &str) {
    // Nothing is left to do where even standard error cannot be written.
    drop(writeln!(std::io::stderr(), "{line}"));
}
