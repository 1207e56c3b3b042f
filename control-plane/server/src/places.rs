//! Where this machine remembers which store it uses.

use sealwax_config::{Config, Kek, Store};
use sealwax_serving::identity::Places;

/// Beside the embedded store's folder, in the folder of the last-good copy, and beside the file of
/// the key-encryption key: a folder that is gone takes its own file along, so there are several.
#[must_use]
pub fn places(config: &Config) -> Places {
    let (places, store, within) = match &config.store {
        Store::Embedded { path } => {
            (Places::none().beside(path), path.display().to_string(), Some(path))
        }
        Store::Dynamodb { last_good, table_prefix, region, .. } => {
            let region = region.as_deref().unwrap_or_default();
            let places = match last_good {
                Some(copy) => Places::none().within(&copy.path),
                None => Places::none(),
            };
            (places, format!("{region}/{table_prefix}"), None)
        }
    };
    match &config.kek {
        Kek::File(path) if within.is_none_or(|folder| !path.starts_with(folder)) => {
            places.beside_shared(path, &store)
        }
        Kek::File(_) | Kek::Env(_) | Kek::Kms(_) => places,
    }
}
