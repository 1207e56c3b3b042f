//! Reaching AWS: one TLS stack, the SDK's own chain of credentials, and how patient a client is.

use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    Credentials, IdentityCache, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use zeroize::Zeroizing;

use crate::credentials::Surroundings;

/// Credentials from a configuration instead of the SDK's chain.
#[derive(Clone)]
pub struct StaticCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Zeroizing<String>,
}

impl StaticCredentials {
    pub(crate) fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(
            &self.access_key_id,
            self.secret_access_key.as_str(),
            None,
            None,
            "settings",
        ))
    }
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticCredentials(…)")
    }
}

/// How to reach another endpoint than the region's own. Unset: as the SDK finds it
/// (`AWS_ENDPOINT_URL_…`, a profile, a role).
#[derive(Clone, Debug, Default)]
pub struct AwsEndpoint {
    /// Another endpoint.
    pub url: Option<String>,
    /// Fixed credentials.
    pub credentials: Option<StaticCredentials>,
}

/// How long a client waits and how often it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt.
    pub attempt: Duration,
    /// For a call with its retries.
    pub call: Duration,
    /// Attempts a call has.
    pub attempts: u32,
}

impl AwsEndpoint {
    /// What clients of a service in `region` are made of. Asks nobody anything yet.
    pub async fn config(&self, region: &str, patience: &Patience) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.call)
            .build();
        let (http, region) = (https_client(), Region::new(region.to_owned()));
        let credentials = match &self.credentials {
            Some(fixed) => fixed.provider(),
            None => SharedCredentialsProvider::new(Surroundings::new(http.clone(), region.clone())),
        };
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .region(region)
            .credentials_provider(credentials)
            // They are kept where they are found.
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts));
        if let Some(url) = &self.url {
            loader = loader.endpoint_url(url);
        }
        loader.load().await
    }
}

/// A client over the one TLS stack and crypto provider.
pub(crate) fn https_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}
