//! `make demo`: a never-seen domain gets its certificate during its first TLS handshake.
//!
//! Starts real parts on free loopback ports, proves the line with `curl` and `openssl`, and stays
//! until Ctrl-C. With `DEMO_ONCE=1` it ends after the proof, with status 0 if all of it held.

mod client;
mod screen;
mod tour;

use std::process::ExitCode;

use anyhow::Result;
use sealwax_testkit::{Line, LineSettings};
use tokio::signal::unix::{SignalKind, signal};

use screen::Screen;

/// The usual status of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

// One thread: the parts end when the thread that started them does.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let once = std::env::var_os("DEMO_ONCE").is_some_and(|value| value == "1");
    let mut screen = Screen::new();
    let ended = match ending() {
        Ok(ended) => ended,
        Err(error) => return failed(&mut screen, &error.into()),
    };
    tokio::select! {
        outcome = demo(&mut screen, once) => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&mut screen, &error),
        },
        // Leaving the scope ends the parts.
        () = ended => ExitCode::from(if once { INTERRUPTED } else { 0 }),
    }
}

async fn demo(screen: &mut Screen, once: bool) -> Result<()> {
    screen.heading("Starting the parts");
    let tell = |part: &str, place: &str| screen.step(&format!("{part}: {place}"));
    // As against a real CA: a domain is looked at before its order.
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start_telling(settings, tell).await?;
    // The commands shown are run, and can be repeated, from here.
    std::env::set_current_dir(sealwax_testkit::checkout()?)?;
    tour::show(screen, &line).await?;
    if once {
        return Ok(());
    }
    tour::invite(screen, &line).await;
    std::future::pending().await
}

/// Completes when the demo is asked to end: Ctrl-C, a closed terminal, or `kill`.
fn ending() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn failed(screen: &mut Screen, error: &anyhow::Error) -> ExitCode {
    screen.line(&format!("\ndemo: {error:#}"));
    ExitCode::FAILURE
}
