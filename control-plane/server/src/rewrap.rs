//! Rewraps the embedded store's keys beside the serving, when earlier keys are configured.

use std::sync::Arc;
use std::time::Duration;

use sealwax_store::{Upkeep, rewrap_keys};
use tokio_util::sync::CancellationToken;

use super::sealing::ProvenSealer;

/// Before it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn serve(
    store: Arc<dyn Upkeep>,
    sealer: Arc<ProvenSealer>,
    stop: CancellationToken,
) {
    let run = async {
        loop {
            match rewrap_keys(&*store, sealer.keys(), |_| {}).await {
                Ok(done) => {
                    tracing::info!(
                        seen = done.seen,
                        rewrapped = done.rewrapped,
                        "every key is under [keys] kek; [keys] retired can go"
                    );
                    return;
                }
                Err(error) => tracing::warn!(%error, "keys are not all rewrapped yet"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = run => {}
        // It goes on where it was at the next start.
        () = stop.cancelled() => {}
    }
}
