//! Issuers from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwax_acme::{AccountVault, AcmeIssuer, ExternalAccountBinding, IssuerSettings};
use sealwax_core::budget::{Limit, Limits};
use sealwax_core::issuer::Issuer;
use sealwax_core::record::KeyType;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Span, trial};
use url::Url;
use zeroize::Zeroizing;

use super::error::AppError;
use sealwax_config::{self as config, Config, LimitsPreset};

const HOUR: Span = Span::from_secs(3_600);
const WEEK: Span = Span::from_secs(7 * 86_400);

/// Everyone with an account.
pub(super) struct Made {
    /// In the configuration's order.
    pub(super) issuers: Vec<Arc<AcmeIssuer>>,
    /// The stagings of those that have one.
    pub(super) stagings: Vec<Arc<AcmeIssuer>>,
    /// Whose they are.
    tried: Vec<String>,
}

impl Made {
    /// The stagings, with whatever stands in front of them now, by their issuers' names.
    pub(super) fn tried(
        &self,
        stagings: Vec<Arc<dyn Issuer>>,
    ) -> BTreeMap<String, Arc<dyn Issuer>> {
        self.tried.iter().cloned().zip(stagings).collect()
    }

    /// The issuers, then the stagings.
    pub(super) fn accounts(&self) -> Vec<Arc<AcmeIssuer>> {
        self.issuers.iter().chain(&self.stagings).cloned().collect()
    }
}

/// Makes all of them.
pub(super) fn build(
    configured: &[config::Issuer],
    store: &Arc<dyn Store>,
    sealer: &Arc<dyn Sealer>,
    clock: &Arc<dyn Clock>,
    vault: &Arc<dyn AccountVault>,
) -> Result<Made, AppError> {
    let one = |settings: IssuerSettings| -> Result<Arc<AcmeIssuer>, AppError> {
        let (store, sealer, clock) = (Arc::clone(store), Arc::clone(sealer), Arc::clone(clock));
        let name = settings.name.clone();
        let built = AcmeIssuer::new(settings, store, sealer, clock);
        let built = built.map_err(|error| refused(&name, &error))?;
        Ok(Arc::new(built.with_vault(Arc::clone(vault))))
    };
    let mut made = Made { issuers: Vec::new(), stagings: Vec::new(), tried: Vec::new() };
    for issuer in configured {
        made.issuers.push(one(settings(issuer)?)?);
        if let Some(staging) = &issuer.staging {
            made.stagings.push(one(staging_settings(issuer, staging)?)?);
            made.tried.push(issuer.name.clone());
        }
    }
    Ok(made)
}

pub(super) fn key_types(configured: &[config::Issuer]) -> BTreeMap<String, KeyType> {
    configured.iter().map(|issuer| (issuer.name.clone(), issuer.key_type)).collect()
}

/// What each issuer allows: what it publishes, as far as `[limits]` does not say otherwise. What
/// is said there is said of where orders count; a staging has what it publishes.
pub(super) fn limits(config: &Config) -> BTreeMap<String, Limits> {
    let of = |issuer: &config::Issuer| {
        let published = published(issuer.limits.unwrap_or_else(|| preset(&issuer.directory)))?;
        Some((issuer.name.clone(), changed(published, &config.limits)))
    };
    let of_staging = |issuer: &config::Issuer| {
        let staging = issuer.staging.as_ref()?;
        let local = config::loopback(&staging.directory);
        let usual = if local { LimitsPreset::None } else { LimitsPreset::LetsEncryptStaging };
        let published = published(staging.limits.unwrap_or(usual))?;
        Some((trial::staging_name(&issuer.name), published))
    };
    let issuers = &config.issuers;
    issuers.iter().filter_map(of).chain(issuers.iter().filter_map(of_staging)).collect()
}

fn published(preset: LimitsPreset) -> Option<Limits> {
    match preset {
        LimitsPreset::None => None,
        LimitsPreset::LetsEncrypt => Some(Limits::default()),
        LimitsPreset::LetsEncryptStaging => Some(Limits::staging()),
    }
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
    settings.eab = eab(&issuer.name, issuer.binding.as_ref())?;
    Ok(settings)
}

fn staging_settings(
    issuer: &config::Issuer,
    staging: &config::Staging,
) -> Result<IssuerSettings, AppError> {
    let name = trial::staging_name(&issuer.name);
    let mut settings = IssuerSettings::new(&name, staging.directory.as_str());
    settings.contact = issuer.contact.first().cloned();
    settings.ca_file.clone_from(&staging.ca_file);
    settings.profile.clone_from(&issuer.profile);
    settings.eab = eab(&name, staging.binding.as_ref())?;
    Ok(settings)
}

fn eab(
    issuer: &str,
    binding: Option<&config::Binding>,
) -> Result<Option<ExternalAccountBinding>, AppError> {
    let Some(binding) = binding else { return Ok(None) };
    let path = &binding.hmac_key_file;
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| AppError::File {
        what: "eab_hmac_key_file",
        path: path.display().to_string(),
        source,
    })?;
    let parsed = ExternalAccountBinding::parse(&binding.kid, &text);
    parsed.map(Some).map_err(|error| refused(issuer, &error))
}

fn refused(issuer: &str, error: &dyn std::fmt::Display) -> AppError {
    AppError::Issuer { name: issuer.to_owned(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> BTreeMap<String, Limits> {
        let folder = std::env::temp_dir().join(format!(
            "sealwax-limits-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&folder, text).unwrap();
        let config = Config::load(Some(&folder), std::iter::empty()).unwrap();
        std::fs::remove_file(&folder).unwrap();
        limits(&config)
    }

    fn of(text: &str) -> Option<Limits> {
        all(text).into_values().next()
    }

    #[test]
    fn a_staging_has_a_ledger_of_its_own_that_limits_do_not_change() {
        let orders = |staging: &str, more: &str| {
            let issuer = "[[issuer]]\nname = \"le\"\ndirectory = \"https://ca.example/dir\"\n";
            let text = format!("{issuer}staging_directory = \"{staging}\"\n{more}");
            let found = all(&text);
            ["le", "le.staging"].map(|name| Some(found.get(name)?.orders_per_account.burst))
        };
        let staging = "https://staging.ca.example/dir";
        assert_eq!(orders(staging, ""), [Some(300), Some(1500)]);
        assert_eq!(orders(staging, "[limits]\norders_per_3h = 9\n"), [Some(9), Some(1500)]);
        assert_eq!(orders(staging, "staging_limits = \"none\"\n"), [Some(300), None]);
        assert_eq!(orders("https://localhost:14000/dir", ""), [Some(300), None]);
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
