//! Measures the embedded store and prints the figures as one JSON object.
//!
//! `store-bench FOLDER DOMAINS` imports that many domains into a new store in the folder (or
//! goes on with one that an earlier run left), opens it in a process of its own, and looks up.
//! `store-bench open FOLDER DOMAINS` and `store-bench write FOLDER` are the parts it and the tests run as
//! processes: open and look up; write until killed, a line for each acknowledgement.

mod measure;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["open", folder, domains] => match domains.parse() {
            Ok(domains) => measure::open(Path::new(folder), domains).await,
            Err(_) => Err(format!("{domains} is not a number").into()),
        },
        ["write", folder] => measure::write_until_killed(Path::new(folder)).await,
        [folder, domains] => match domains.parse() {
            Ok(domains) => measure::everything(Path::new(folder), domains).await,
            Err(_) => Err(format!("{domains} is not a number").into()),
        },
        _ => Err("usage: store-bench FOLDER DOMAINS".into()),
    };
    let (text, code) = match outcome {
        Ok(figures) => (figures.to_string(), ExitCode::SUCCESS),
        Err(error) => (format!("store-bench: {error}"), ExitCode::FAILURE),
    };
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
