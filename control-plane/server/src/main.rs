//! The `sealwax` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealwax::cli::main(std::env::args_os())
}
