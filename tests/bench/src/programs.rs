//! The other programs that measure, built beside this one.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::figure::Figure;

/// Longest any of them may take.
const TIME_MAX: Duration = Duration::from_secs(1_200);

#[derive(Deserialize)]
struct Figures {
    figures: Vec<Figure>,
}

/// A program built together with this one.
///
/// # Errors
/// It is not there.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.with_file_name(name);
    ensure!(path.is_file(), "{} is not there: `make bench` builds it", path.display());
    Ok(path)
}

/// Runs a program and returns what it prints.
///
/// # Errors
/// It is missing, fails, or takes too long.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let command = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let name = format!("{:?}", command.as_std().get_program());
    let Ok(output) = timeout(TIME_MAX, command.output()).await else {
        bail!("{name} takes longer than {TIME_MAX:?}");
    };
    let output = output.with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{name}: {}\n{said}", output.status);
    Ok(said)
}

/// The figures that a program prints as `{"figures": […]}`.
///
/// # Errors
/// It fails or prints something else.
pub(crate) async fn figures(command: &mut Command) -> Result<Vec<Figure>> {
    let said = output(command).await?;
    let read: Figures = serde_json::from_str(&said).with_context(|| said.clone())?;
    Ok(read.figures)
}
