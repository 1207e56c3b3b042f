//! Issuers from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwax_acme::{AcmeIssuer, ExternalAccountBinding, IssuerSettings};
use sealwax_core::Clock;
use sealwax_core::issuer::Issuer;
use sealwax_core::record::KeyType;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use zeroize::Zeroizing;

use super::error::AppError;
use crate::config;

pub(super) fn build(
    configured: &[config::Issuer],
    store: &Arc<dyn Store>,
    sealer: &Arc<dyn Sealer>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Issuer>>, AppError> {
    let one = |issuer: &config::Issuer| -> Result<Arc<dyn Issuer>, AppError> {
        let (store, sealer, clock) = (Arc::clone(store), Arc::clone(sealer), Arc::clone(clock));
        let built = AcmeIssuer::new(settings(issuer)?, store, sealer, clock);
        Ok(Arc::new(built.map_err(|error| refused(issuer, &error))?))
    };
    configured.iter().map(one).collect()
}

pub(super) fn key_types(configured: &[config::Issuer]) -> BTreeMap<String, KeyType> {
    configured.iter().map(|issuer| (issuer.name.clone(), issuer.key_type)).collect()
}

fn settings(issuer: &config::Issuer) -> Result<IssuerSettings, AppError> {
    let mut settings = IssuerSettings::new(&issuer.name, issuer.directory.as_str());
    settings.contact = issuer.contact.first().cloned();
    settings.ca_file.clone_from(&issuer.ca_file);
    settings.profile.clone_from(&issuer.profile);
    settings.key_type = issuer.key_type;
    settings.eab = issuer.binding.as_ref().map(|found| binding(issuer, found)).transpose()?;
    Ok(settings)
}

fn binding(
    issuer: &config::Issuer,
    binding: &config::Binding,
) -> Result<ExternalAccountBinding, AppError> {
    let path = &binding.hmac_key_file;
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| AppError::File {
        what: "eab_hmac_key_file",
        path: path.display().to_string(),
        source,
    })?;
    ExternalAccountBinding::parse(&binding.kid, &text).map_err(|error| refused(issuer, &error))
}

fn refused(issuer: &config::Issuer, error: &dyn std::fmt::Display) -> AppError {
    AppError::Issuer { name: issuer.name.clone(), detail: error.to_string() }
}
