//! DynamoDB over the network: AWS, or any endpoint that speaks its API.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{Region, SharedCredentialsProvider, SharedHttpClient};
use sealwax_core::Clock;
use sealwax_core::store::StoreError;

use crate::aws::{StaticCredentials, https_client};
use crate::credentials::Surroundings;
use crate::dynamo::{Connection, DynamoStore, Timeouts};

/// Where the table is and how to reach it.
#[derive(Clone, Debug, Default)]
pub struct RemoteSettings {
    /// The AWS region; from the environment or profile if unset.
    pub region: Option<String>,
    /// Another endpoint than AWS's.
    pub endpoint_url: Option<String>,
    /// Put before the table's name, so that several installations share an account.
    pub table_prefix: String,
    /// How patient the clients are.
    pub timeouts: Timeouts,
    /// Fixed credentials; the SDK's chain (environment, profile, container, instance) if unset.
    pub credentials: Option<StaticCredentials>,
}

/// Reaches the store. Neither creates anything nor waits for an answer: see
/// [`DynamoStore::init`] and [`Store::ping`](sealwax_core::store::Store::ping).
///
/// # Errors
/// [`StoreError::Misconfigured`] when no region is known.
pub async fn open_remote(
    settings: &RemoteSettings,
    clock: Arc<dyn Clock>,
) -> Result<DynamoStore, StoreError> {
    open_through(settings, clock, |transport| transport).await
}

/// As [`open_remote`], with something put around the transport: faults, a recorder.
#[cfg(feature = "testing")]
pub async fn open_remote_through(
    settings: &RemoteSettings,
    clock: Arc<dyn Clock>,
    around: impl FnOnce(SharedHttpClient) -> SharedHttpClient,
) -> Result<DynamoStore, StoreError> {
    open_through(settings, clock, around).await
}

async fn open_through(
    settings: &RemoteSettings,
    clock: Arc<dyn Clock>,
    around: impl FnOnce(SharedHttpClient) -> SharedHttpClient,
) -> Result<DynamoStore, StoreError> {
    let http = https_client();
    let (region, credentials) = match (&settings.region, &settings.credentials) {
        (Some(region), Some(fixed)) => (Region::new(region.clone()), fixed.provider()),
        (named, fixed) => {
            let region = match named {
                Some(region) => Region::new(region.clone()),
                None => region(settings, &from_surroundings(&http).await)?,
            };
            let found = || Surroundings::new(http.clone(), region.clone());
            let credentials = fixed.as_ref().map_or_else(
                || SharedCredentialsProvider::new(found()),
                StaticCredentials::provider,
            );
            (region, credentials)
        }
    };
    let connection = Connection {
        http: around(http),
        region,
        endpoint: settings.endpoint_url.clone(),
        credentials,
    };
    DynamoStore::assemble(&connection, &settings.table_prefix, &settings.timeouts, clock, None)
}

async fn from_surroundings(http: &SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http.clone()).load().await
}

fn region(settings: &RemoteSettings, found: &SdkConfig) -> Result<Region, StoreError> {
    match (found.region(), &settings.endpoint_url) {
        (Some(region), _) => Ok(region.clone()),
        // An endpoint of one's own needs a region only for the signature.
        (None, Some(_)) => Ok(Region::from_static("us-east-1")),
        (None, None) => {
            Err(misconfigured("no AWS region is known: set [store] region, or AWS_REGION"))
        }
    }
}

fn misconfigured(detail: &str) -> StoreError {
    StoreError::Misconfigured { detail: detail.to_owned() }
}
