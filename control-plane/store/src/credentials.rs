//! Credentials of the SDK's chain (environment, profile, web identity, container, instance).
//!
//! The chain reads a profile once and believes what it found until it says that it ends. A process
//! that must outlive a role that was mended, a clock that was wrong or a metadata service that was
//! away asks again: from the start of the chain, and at once when AWS refused what it had.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient};
use sealwax_core::text::error_chain;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long credentials without an end of their own are believed: a profile may be mended.
const LIFE: Duration = Duration::from_secs(300);
/// How long before their end the next ones are asked for.
const BEFORE_END: Duration = Duration::from_secs(300);
/// Between two questions, whatever came of the first: a refusal is no reason to flood a metadata
/// service.
const PAUSE: Duration = Duration::from_secs(2);

/// How often AWS refused credentials of this process.
static REFUSALS: AtomicU64 = AtomicU64::new(0);

/// AWS refused what it was shown: the next call looks for other credentials.
pub(crate) fn refused() {
    REFUSALS.fetch_add(1, Ordering::Relaxed);
}

/// Finds credentials where the process runs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Surroundings(Arc<Shared>);

struct Shared {
    http: SharedHttpClient,
    region: Region,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    credentials: Option<Credentials>,
    /// What the last question came to, if that was nothing.
    failed: Option<String>,
    asked: Option<Instant>,
    refusals: u64,
}

impl Surroundings {
    pub(crate) fn new(http: SharedHttpClient, region: Region) -> Self {
        Self(Arc::new(Shared { http, region, found: Mutex::default() }))
    }

    async fn find(self) -> Result<Credentials, CredentialsError> {
        // A caller that gives up must not cut the question off: the next one finds the answer.
        let found = tokio::spawn(async move { self.0.find().await });
        found.await.unwrap_or_else(|error| Err(CredentialsError::unhandled(error)))
    }
}

impl Shared {
    async fn find(&self) -> Result<Credentials, CredentialsError> {
        let mut found = self.found.lock().await;
        let refusals = REFUSALS.load(Ordering::Relaxed);
        if !found.must_ask(refusals) {
            return found.answer();
        }
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .region(self.region.clone())
            .load()
            .await;
        let asked = match config.credentials_provider() {
            Some(chain) => chain.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("the chain is empty")),
        };
        found.asked = Some(Instant::now());
        found.refusals = refusals;
        match asked {
            Ok(credentials) => {
                found.credentials = Some(credentials);
                found.failed = None;
            }
            Err(error) => found.failed = Some(error_chain(&error)),
        }
        found.answer()
    }
}

#[expect(clippy::disallowed_methods, reason = "AWS says by wall time when credentials end")]
fn wall_time() -> SystemTime {
    SystemTime::now()
}

impl Found {
    fn must_ask(&self, refusals: u64) -> bool {
        let Some(asked) = self.asked else { return true };
        if asked.elapsed() < PAUSE {
            return false;
        }
        let Some(credentials) = &self.credentials else { return true };
        let old = match credentials.expiry() {
            Some(end) => end <= wall_time() + BEFORE_END,
            None => asked.elapsed() >= LIFE,
        };
        old || self.failed.is_some() || self.refusals != refusals
    }

    /// What is not at its end goes on while no other can be had.
    fn answer(&self) -> Result<Credentials, CredentialsError> {
        let valid = |held: &&Credentials| held.expiry().is_none_or(|end| end > wall_time());
        match self.credentials.as_ref().filter(valid) {
            Some(credentials) => Ok(credentials.clone()),
            None => Err(CredentialsError::provider_error(format!(
                "no credentials were found: {}",
                self.failed.as_deref().unwrap_or("those before are at their end")
            ))),
        }
    }
}

impl ProvideCredentials for Surroundings {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.clone().find())
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(credentials: Option<Credentials>, failed: Option<&str>) -> Found {
        let asked = Some(Instant::now());
        Found { credentials, failed: failed.map(str::to_owned), asked, refusals: 7 }
    }

    fn credentials(end: Option<SystemTime>) -> Option<Credentials> {
        Some(Credentials::new("id", "secret", None, end, "test"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_or_could_not_be_found_is_asked_for_again_after_a_pause() {
        let hour = Some(wall_time() + Duration::from_secs(3_600));
        let good = found(credentials(hour), None);
        let forever = found(credentials(None), None);
        let none = found(None, Some("the metadata service is away"));
        assert!(Found::default().must_ask(7));
        assert!(!none.must_ask(7) && !good.must_ask(8), "not before the pause");
        tokio::time::advance(PAUSE).await;
        assert!(none.must_ask(7), "a failure is not believed for long");
        assert!(good.must_ask(8), "AWS refused");
        assert!(!good.must_ask(7) && !forever.must_ask(7));
        tokio::time::advance(LIFE).await;
        assert!(!good.must_ask(7) && forever.must_ask(7), "a profile may have changed");
    }

    #[tokio::test]
    async fn what_is_still_valid_goes_on_while_no_other_can_be_had() {
        let soon = Some(wall_time() + Duration::from_secs(60));
        let past = Some(wall_time() - Duration::from_secs(60));
        assert!(found(credentials(soon), Some("away")).answer().is_ok());
        let error = found(credentials(past), Some("away")).answer().unwrap_err();
        let said = error_chain(&error);
        assert!(said.contains("no credentials were found: away"), "{said}");
    }
}
