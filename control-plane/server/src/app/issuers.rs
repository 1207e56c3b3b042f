//! Issuers from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwax_acme::{AcmeIssuer, ExternalAccountBinding, IssuerSettings};
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::record::KeyType;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Span};
use url::Url;
use zeroize::Zeroizing;

use super::error::AppError;
use crate::config::{self, Config, LimitsPreset};

const HOUR: Span = Span::from_secs(3_600);
const WEEK: Span = Span::from_secs(7 * 86_400);

pub(super) fn build(
    configured: &[config::Issuer],
    store: &Arc<dyn Store>,
    sealer: &Arc<dyn Sealer>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<AcmeIssuer>>, AppError> {
    let one = |issuer: &config::Issuer| -> Result<Arc<AcmeIssuer>, AppError> {
        let (store, sealer, clock) = (Arc::clone(store), Arc::clone(sealer), Arc::clone(clock));
        let built = AcmeIssuer::new(settings(issuer)?, store, sealer, clock);
        Ok(Arc::new(built.map_err(|error| refused(issuer, &error))?))
    };
    configured.iter().map(one).collect()
}

pub(super) fn key_types(configured: &[config::Issuer]) -> BTreeMap<String, KeyType> {
    configured.iter().map(|issuer| (issuer.name.clone(), issuer.key_type)).collect()
}

/// What each issuer allows: what it publishes, as far as `[limits]` does not say otherwise.
pub(super) fn limits(config: &Config) -> BTreeMap<String, Limits> {
    let of = |issuer: &config::Issuer| {
        let published = match issuer.limits.unwrap_or_else(|| preset(&issuer.directory)) {
            LimitsPreset::None => return None,
            LimitsPreset::LetsEncrypt => Limits::default(),
            LimitsPreset::LetsEncryptStaging => Limits::staging(),
        };
        Some((issuer.name.clone(), changed(published, &config.limits)))
    };
    config.issuers.iter().filter_map(of).collect()
}

fn preset(directory: &Url) -> LimitsPreset {
    match directory.host_str() {
        Some("acme-staging-v02.api.letsencrypt.org") => LimitsPreset::LetsEncryptStaging,
        _ if config::loopback(directory) => LimitsPreset::None,
        _ => LimitsPreset::LetsEncrypt,
    }
}

fn changed(published: Limits, said: &config::Limits) -> Limits {
    let limit = |said: Option<u64>, period, published| {
        said.map_or(published, |count| Limit::per(count, period))
    };
    Limits {
        orders_per_account: limit(said.orders, HOUR.scale(3, 1), published.orders_per_account),
        certificates_per_registered_domain: limit(
            said.registered_domain,
            WEEK,
            published.certificates_per_registered_domain,
        ),
        certificates_per_exact_set: limit(said.name, WEEK, published.certificates_per_exact_set),
        failures_per_name: limit(said.failures, HOUR, published.failures_per_name),
        tenant_share_permille: said.tenant_share_percent * 10,
        ..published
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Limits> {
        let folder = std::env::temp_dir().join(format!("sealwax-limits-{}", std::process::id()));
        std::fs::write(&folder, text).unwrap();
        let config = Config::load(Some(&folder), std::iter::empty()).unwrap();
        std::fs::remove_file(&folder).unwrap();
        limits(&config).into_values().next()
    }

    #[test]
    fn each_ca_has_its_published_limits_unless_told_otherwise() {
        let orders = |directory: &str, more: &str| {
            let text = format!("[[issuer]]\nname = \"a\"\ndirectory = \"{directory}\"\n{more}");
            of(&text).map(|limits| limits.orders_per_account.burst)
        };
        assert_eq!(of("").unwrap().orders_per_account.burst, 1500, "staging");
        assert_eq!(orders("https://ca.example/dir", ""), Some(300));
        assert_eq!(orders("https://127.0.0.1:14000/dir", ""), None);
        assert_eq!(orders("https://ca.example/dir", "limits = \"none\"\n"), None);
        assert_eq!(orders("https://ca.example/", "[limits]\norders_per_3h = 9\n"), Some(9));
    }
}
