//! Composition: opens the store, builds the parts, binds the listeners, and stops in order.

mod announcements;
mod busiest;
mod error;
mod glance;
mod health;
mod issuers;
mod keys;
mod listeners;
pub(crate) mod outlook;
mod parts;
mod rewrap;
mod sealing;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::Span;
use sealwax_workflow::campaign::{self, CampaignSettings};
use sealwax_workflow::{changes, sweep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::system::process_name;
pub use announcements::Announcements;
use busiest::BusiestAtEdges;
pub use error::AppError;
use listeners::Listeners;
pub use parts::{App, open_store};
pub use sealing::key_sealer;
use watch::ElsewhereToo;
pub use watch::Watch;

/// How long work in flight may take to come to its next write after a stop was asked for. What
/// is cut off goes on from the store.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How often the change log is read: with the read itself well within the promised second.
const CHANGES_INTERVAL: Span = Span::from_millis(400);

/// Runs the control plane until the process is told to stop (SIGINT, SIGTERM).
///
/// # Errors
/// Why it cannot start; each says what to do.
pub async fn run(config: Config) -> Result<(), AppError> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    run_until(config, stop).await
}

/// [`run`], until `stop` is cancelled.
///
/// # Errors
/// As [`run`].
pub async fn run_until(config: Config, stop: CancellationToken) -> Result<(), AppError> {
    let listeners = Listeners::bind(&config).await?;
    let mut app = App::build(&config).await?;
    let tasks = TaskTracker::new();
    if !app.store.exclusive() {
        let announcer = Arc::new(ElsewhereToo {
            announcements: Arc::clone(&app.announcements),
            feed: app.watch.feed.clone(),
            clock: Arc::clone(&app.clock),
        });
        let store = Arc::clone(&app.store);
        tasks.spawn(changes::serve(store, announcer, CHANGES_INTERVAL, stop.clone()));
    }
    if let Some(keeper) = app.keeper.take() {
        tasks.spawn(keeper.serve(Arc::clone(&app.store), stop.clone()));
    }
    listeners.serve(&app, &config, &tasks, &stop)?;
    // Serving has begun; working waits for the proof that the keys are the store's.
    let proven = tokio::select! {
        proven = app.sealer.prove(&*app.store) => proven,
        () = stop.cancelled() => Ok(()),
    };
    if proven.is_ok() {
        work(&app, &config, &tasks, &stop);
        stop.cancelled().await;
    }
    tracing::info!("stopping");
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_WAIT, tasks.wait()).await.is_err() {
        tracing::warn!("some work did not stop in time; it goes on from the store");
    }
    let traces = app.watch.traces.clone();
    if tokio::task::spawn_blocking(move || traces.stop()).await.is_err() {
        tracing::debug!("the last traces are lost");
    }
    proven
}

fn work(app: &App, config: &Config, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(app.queue.clone().serve(stop.clone()));
    tasks.spawn(sweep::serve(
        Arc::clone(&app.store),
        Arc::clone(&app.clock),
        app.queue.clone(),
        config.renewal.sweep_interval,
        stop.clone(),
    ));
    tasks.spawn(campaign::serve(
        app.campaigns.clone(),
        app.queue.clone(),
        Arc::new(BusiestAtEdges(Arc::clone(&app.xds))),
        CampaignSettings { holder: process_name(), lease: config.issuance.lease },
        stop.clone(),
    ));
    app.watch.start(app, config.telemetry.census_rate, tasks, stop);
    // Nobody else can open an embedded store to do it.
    if app.store.exclusive() && !config.retired_keks.is_empty() {
        let (store, sealer) = (Arc::clone(&app.upkeep), Arc::clone(&app.sealer));
        tasks.spawn(rewrap::serve(store, sealer, stop.clone()));
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be heard; stop with SIGKILL, nothing is lost");
        }
    }
}
