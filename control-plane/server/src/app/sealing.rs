//! Opens the key-encryption key and proves that it is the one the store's keys are under.

use std::sync::Arc;

use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_store::KeySealer;
use sealwax_store::seal::{KekSource, LocalKek, WhenMissing};

use super::error::AppError;
use crate::config::{Config, Kek};

pub(super) async fn open(
    config: &Config,
    store: &Arc<dyn Store>,
) -> Result<Arc<dyn Sealer>, AppError> {
    let source = match &config.kek {
        Kek::File(path) => KekSource::File(path.clone()),
        Kek::Env(name) => KekSource::Environment(name.clone()),
    };
    // A key made at the first start is safe: with a store that has keys already, the check
    // below refuses the new one.
    let kek = LocalKek::read(&source, WhenMissing::Create);
    let kek = kek.map_err(|error| AppError::Keys(error.to_string()))?;
    let sealer = KeySealer::new(Arc::new(kek));
    sealer.check(&**store).await.map_err(|error| AppError::Keys(error.to_string()))?;
    Ok(Arc::new(sealer))
}
