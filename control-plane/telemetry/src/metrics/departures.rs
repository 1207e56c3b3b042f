//! Whether the brake on domains that the platform says are gone holds, read from the store:
//! whichever replica it was that met one too many.

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::{Brake, Clock, Timestamp};
use sealwax_workflow::Departures;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::names::DEPARTURES_HELD;

/// How often it is read: one document, for an alert.
const EVERY: Duration = Duration::from_secs(30);

/// Reads until told to stop.
pub async fn watch(
    departures: Departures,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let forever = async {
        loop {
            match departures.show().await {
                Ok(brake) => show(&brake, clock.now(), &metrics),
                Err(error) => tracing::debug!(%error, "the brake cannot be read now"),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever => {}
    }
}

fn show(brake: &Brake, now: Timestamp, metrics: &Metrics) {
    metrics.set(&DEPARTURES_HELD, &[], f64::from(u8::from(brake.holds(now))));
}

#[cfg(test)]
mod tests {
    use sealwax_core::Departing;

    use super::*;

    #[test]
    fn a_brake_that_holds_is_one_and_any_other_is_zero() {
        let (metrics, now) = (Metrics::new(), Timestamp::from_secs(1_767_225_600));
        let mut brake = Brake::default();
        show(&brake, now, &metrics);
        assert!(metrics.text().contains("sealwax_departures_held 0"), "{}", metrics.text());
        assert!(!brake.admits(Departing::Erased, 0, now));
        show(&brake, now, &metrics);
        assert!(metrics.text().contains("sealwax_departures_held 1"));
    }
}
