//! Waiting for a level, never for a time.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long a part may take to do what it was asked, on a machine that is busy with other builds.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and returns it. `what` completes "waited 30 s for …".
///
/// # Errors
/// Nothing was there within the bound.
pub async fn wait_until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        // One look must not outlast the bound either.
        match tokio::time::timeout_at(deadline, look()).await {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) if Instant::now() < deadline => sleep(PAUSE).await,
            Ok(None) | Err(_) => bail!("waited {within:?} for {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sees_what_appears_and_says_what_did_not() {
        let mut looks = 0;
        let seen = wait_until("the third look", PATIENCE, async || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(seen.await.unwrap(), 3);

        let bound = Duration::from_millis(30);
        let error = wait_until::<()>("a pig to fly", bound, async || None).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 30ms for a pig to fly");
        let stuck = wait_until::<()>("an answer", bound, std::future::pending);
        assert_eq!(stuck.await.unwrap_err().to_string(), "waited 30ms for an answer");
    }
}
