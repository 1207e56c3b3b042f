//! Where a command writes: results to standard output, remarks to standard error.

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::colour::painted;
use super::exit::{DONE, Failed, Outcome};

/// The results of a command.
pub(super) struct Output {
    pub(super) json: bool,
    /// Standard output is a terminal, and its owner wants colours.
    pub(super) colour: bool,
    to: Box<dyn Write + Send>,
}

impl Output {
    pub(super) fn new(json: bool, to: impl Write + Send + 'static) -> Self {
        Self { json, colour: false, to: Box::new(to) }
    }

    /// A table, or another text for people.
    pub(super) fn people(&mut self, text: &str) -> Outcome {
        if self.colour { self.text(&painted(text)) } else { self.text(text) }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) -> Outcome {
        written(self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()))
    }

    /// One JSON value on a line.
    pub(super) fn value(&mut self, value: &impl Serialize) -> Outcome {
        let mut line = serde_json::to_string(value)
            .map_err(|error| Failed::new(format!("the result cannot be written: {error}")))?;
        line.push('\n');
        self.text(&line)
    }
}

/// Says something about the command itself, on standard error.
pub(super) fn remark(line: &str) {
    say(&format!("{line}\n"));
}

/// Writes to standard error. Nobody may be listening, which changes nothing for the command.
pub(super) fn say(text: &str) {
    let mut to = io::stderr().lock();
    if to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_err() {
        tracing::debug!("standard error is closed");
    }
}

/// Colours are for terminals, and not for people who said so (<https://no-color.org>).
pub(super) fn wants_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A reader that has seen enough (`| head`) is no failure.
fn written(result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failed::said(DONE)),
        Err(error) => Err(Failed::new(format!("standard output cannot be written: {error}"))),
    }
}

/// Turns how a command ended into the process's status.
pub(super) fn report(ended: Outcome) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::from(DONE),
        Err(failed) => {
            if !failed.message.is_empty() {
                remark(&failed.message);
            }
            ExitCode::from(failed.code)
        }
    }
}
