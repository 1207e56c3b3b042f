//! The two clients: one that a handshake waits for, one that has patience.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, IdentityCache, Region, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig,
};

/// How long a client waits and how often it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For one connection to be made.
    pub connect: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// For the whole call, retries included.
    pub call: Duration,
    /// Attempts in all, 1 to 10.
    pub attempts: u32,
    /// Before the first retry; doubles with each, with jitter.
    pub backoff: Duration,
}

/// How patient the two clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For reads that a TLS handshake or a CA waits for: `load`, `challenge`, `ping`.
    pub handshake: Pace,
    /// For everything else.
    pub background: Pace,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Pace {
                connect: Duration::from_millis(300),
                attempt: Duration::from_millis(500),
                call: Duration::from_millis(1_000),
                attempts: 2,
                backoff: Duration::from_millis(20),
            },
            background: Pace {
                connect: Duration::from_secs(2),
                attempt: Duration::from_secs(3),
                call: Duration::from_secs(10),
                attempts: 4,
                backoff: Duration::from_millis(100),
            },
        }
    }
}

/// Where the API is and how it is reached.
pub(crate) struct Connection {
    pub(crate) http: SharedHttpClient,
    pub(crate) region: Region,
    pub(crate) endpoint: Option<String>,
    pub(crate) credentials: SharedCredentialsProvider,
}

impl Connection {
    /// A client of its own pace. Each has its own retry quota, of this name: a background storm of
    /// retries must not use up the handshakes', nor one store's those of another.
    pub(crate) fn client(&self, name: String, pace: &Pace) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(pace.connect)
            .operation_attempt_timeout(pace.attempt)
            .operation_timeout(pace.call)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(pace.attempts)
            .with_initial_backoff(pace.backoff)
            .with_max_backoff(pace.attempt);
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(self.region.clone())
            .credentials_provider(self.credentials.clone())
            // They are kept where they are found.
            .identity_cache(IdentityCache::no_cache())
            .http_client(self.http.clone())
            .timeout_config(timeouts)
            .retry_config(retries)
            .retry_partition(RetryPartition::new(name))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Client::from_conf(config.build())
    }
}
