//! Completions and manual pages, made from the grammar itself.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::arguments::Arguments;
use super::exit::{Failed, Outcome};
use super::output::Output;

const NAME: &str = "sealwax";

/// What a shell reads to complete commands and options.
pub(super) fn print(output: &mut Output, shell: Shell) -> Outcome {
    let mut text = Vec::new();
    generate(shell, &mut Arguments::command(), NAME, &mut text);
    output.text(&String::from_utf8_lossy(&text))
}

/// One manual page for each command.
pub(super) fn manual_pages(to: &Path) -> Outcome {
    let written = std::fs::create_dir_all(to)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), to));
    written.map_err(|error| Failed::new(format!("{} cannot be written: {error}", to.display())))
}
