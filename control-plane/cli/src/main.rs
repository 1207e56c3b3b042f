//! The `sealwax` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealwax::commands::main(std::env::args_os())
}
