//! Configurations: any bytes are taken or refused, with a reason for each key.

use sealwax_filter_core::Config;

/// One input.
///
/// # Panics
/// When a rule is broken.
pub fn fuzz(bytes: &[u8]) {
    match Config::parse(bytes) {
        Ok(config) => {
            assert!(!config.cluster.is_empty() && config.callout_timeout_ms > 0);
            assert!(config.tick_ms > 0 && config.cache.default_ttl_s <= config.cache.ttl_max_s);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.all().iter().all(|error| !error.reason.is_empty()));
            assert!(!errors.to_string().is_empty());
        }
    }
}
