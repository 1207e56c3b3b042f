//! The store's region, where nobody configured it: as it was found last.
//!
//! An instance asks its metadata service where it is. When that is away at a start, the region of
//! the start before is as good: a table does not move.

use std::path::Path;
use std::sync::Arc;

use sealwax_core::Clock;
use sealwax_core::store::StoreError;
use sealwax_store::DynamoStore;

use super::error::AppError;
use super::parts::{WhenAbsent, open_store};
use sealwax_config as config;

/// Beside the last-good copy. No domain starts with a dot.
const FILE: &str = ".region";
/// More than any region's name has.
const LETTERS_MAX: usize = 64;

/// As [`open_store`], and without the metadata service.
pub(super) async fn open_where_it_was(
    configured: &config::Store,
    clock: Arc<dyn Clock>,
) -> Result<DynamoStore, AppError> {
    let config::Store::Dynamodb { region: None, endpoint_url: None, last_good: Some(copy), .. } =
        configured
    else {
        return open_store(configured, WhenAbsent::Create, clock).await;
    };
    let file = copy.path.join(FILE);
    match open_store(configured, WhenAbsent::Create, Arc::clone(&clock)).await {
        Ok(store) => {
            remember(&file, store.region());
            Ok(store)
        }
        Err(AppError::Store(error @ StoreError::Misconfigured { .. })) => {
            let Some(known) = recall(&file) else { return Err(error.into()) };
            tracing::warn!(%error, region = known, "going on with the region of the start before");
            let mut there = configured.clone();
            if let config::Store::Dynamodb { region, .. } = &mut there {
                *region = Some(known);
            }
            open_store(&there, WhenAbsent::Create, clock).await
        }
        Err(error) => Err(error),
    }
}

fn remember(file: &Path, region: &str) {
    if recall(file).as_deref() != Some(region)
        && let Err(error) = std::fs::write(file, region)
    {
        tracing::debug!(%error, "the store's region is not remembered");
    }
}

fn recall(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let region = text.trim();
    (!region.is_empty() && region.len() <= LETTERS_MAX && region.bytes().all(plain))
        .then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_a_region_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert_eq!(recall(&file), None);
        remember(&file, "eu-central-1");
        assert_eq!(recall(&file).as_deref(), Some("eu-central-1"));
        for wrong in ["", "eu.example/x", &"a".repeat(65)] {
            std::fs::write(&file, wrong).unwrap();
            assert_eq!(recall(&file), None, "{wrong}");
        }
    }
}
