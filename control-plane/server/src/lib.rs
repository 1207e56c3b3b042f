//! Composition: opens the store, builds the parts, binds the listeners, and stops in order.

mod announcements;
mod busiest;
mod error;
mod first_key;
mod glance;
mod ground;
mod health;
mod issuers;
mod keys;
mod late_store;
mod listeners;
pub mod outlook;
mod parts;
mod places;
mod region;
mod rewrap;
mod sealing;
mod steward;
mod vault;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::Span;
use sealwax_workflow::campaign::{self, CampaignSettings};
use sealwax_workflow::{Announcer, changes, sweep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use announcements::Announcements;
use busiest::BusiestAtEdges;
pub use error::AppError;
use listeners::{Listeners, Stops};
pub use parts::{App, WhenAbsent, open_store};
pub use places::places;
pub use sealing::{MissingKey, key_sealer};
use sealwax_config::Config;
use sealwax_system::{SystemJitter, process_name};
use watch::ElsewhereToo;
pub use watch::Watch;

/// How long work in flight may take to come to its next write after a stop was asked for: one
/// request to a CA that does not answer (30 s), and the write of what it said. Certificates are
/// served meanwhile. What is cut off goes on from the store when its lease is over.
const DRAIN_MAX: Duration = Duration::from_secs(40);
/// How long open requests and streams may take after that. Both together stay below
/// `TimeoutStopSec` in `docs/systemd/sealwax.service`.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How often the change log is read: with the read itself well within the promised second.
const CHANGES_INTERVAL: Span = Span::from_millis(400);

/// Runs the control plane until the process is told to stop (SIGINT, SIGTERM); told twice, it does
/// not wait for work in flight.
///
/// # Errors
/// Why it cannot start; each says what to do.
pub async fn run(config: Config) -> Result<(), AppError> {
    let (stop, at_once) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(stop_on_signal(stop.clone(), at_once.clone()));
    tokio::select! {
        ended = run_until(config, stop) => ended,
        () = at_once.cancelled() => {
            tracing::warn!("stopped at once; work in flight goes on from the store");
            Ok(())
        }
    }
}

/// [`run`], until `stop` is cancelled.
///
/// # Errors
/// As [`run`].
pub async fn run_until(config: Config, stop: CancellationToken) -> Result<(), AppError> {
    let listeners = Listeners::bind(&config).await?;
    let mut app = App::build(&config).await?;
    // Work ends first; what serves goes on until it has.
    let (working, tasks, end) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
    if !app.store.exclusive() {
        let announcer = Arc::new(ElsewhereToo {
            announcements: Arc::clone(&app.announcements),
            feed: app.watch.feed.clone(),
            clock: Arc::clone(&app.clock),
        });
        let store = Arc::clone(&app.store);
        tasks.spawn(changes::serve(store, announcer, CHANGES_INTERVAL, end.clone()));
    }
    let (catalog, store) = (Arc::clone(&app.catalog), Arc::clone(&app.store));
    let until = end.clone();
    tasks.spawn(async move { catalog.keep_known(store, until).await });
    if let Some(late) = app.late.clone() {
        let until = end.clone();
        tasks.spawn(async move { late.0.arrive(until).await });
    }
    let announcements = Arc::clone(&app.announcements);
    let (xds, identity) = (Arc::clone(&app.xds), Arc::clone(&app.identity));
    let compared = move || {
        if identity.view().standing != sealwax_serving::identity::Standing::Trusted {
            xds.keep_unknown();
        }
        Announcer::resync(&*announcements);
    };
    tasks.spawn(Arc::clone(&app.identity).serve(compared, end.clone()));
    if let Some(keeper) = app.keeper.take() {
        tasks.spawn(keeper.serve(Arc::clone(&app.store), end.clone()));
    }
    listeners.serve(&app, &config, &tasks, Stops { asked: &stop, end: &end })?;
    // Serving has begun; working waits for the proof that the keys are the store's.
    let jitter = SystemJitter::default();
    let proven = tokio::select! {
        proven = app.sealer.prove(&*app.store, &jitter) => proven,
        () = stop.cancelled() => Ok(()),
    };
    if proven.is_ok() {
        app.watch.start(&app, config.telemetry.census_rate, &tasks, &end);
        work(&app, &config, &working, &stop);
        stop.cancelled().await;
    }
    tracing::info!("stopping");
    stop.cancel();
    working.close();
    if tokio::time::timeout(DRAIN_MAX, working.wait()).await.is_err() {
        tracing::warn!(
            "some work did not come to its next write in time; it goes on from the store"
        );
    }
    end.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_WAIT, tasks.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
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
    // Nobody else can open an embedded store to do it.
    if app.store.exclusive() && !config.retired_keks.is_empty() {
        let (store, sealer) = (Arc::clone(&app.upkeep), Arc::clone(&app.sealer));
        tasks.spawn(rewrap::serve(store, sealer, stop.clone()));
    }
}

async fn stop_on_signal(stop: CancellationToken, at_once: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            for told in [stop, at_once] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                told.cancel();
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be heard; stop with SIGKILL, nothing is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = include_str!("../../../docs/systemd/sealwax.service");
    const ENVOY: &str = include_str!("../../../docs/systemd/envoy.service");

    #[test]
    fn the_units_never_give_up_and_leave_a_stop_the_time_it_may_take() {
        for unit in [UNIT, ENVOY] {
            for line in ["StartLimitIntervalSec=0", "Restart=always"] {
                assert!(unit.lines().any(|said| said == line), "{line}");
            }
        }
        let said = UNIT.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
        let allowed = Duration::from_secs(said.unwrap().parse().unwrap());
        assert!(allowed > DRAIN_MAX + STOP_WAIT, "{allowed:?}");
        assert!(DRAIN_MAX > sealwax_acme::REQUEST_TIMEOUT, "an order's answer may take so long");
    }
}
