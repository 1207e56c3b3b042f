//! Where other programs keep their certificates.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sealwax_protocol::DomainName;
use serde::Deserialize;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::super::arguments::CertSource;
use super::super::exit::Failed;
use super::kept::AUTO_SSL;
use super::{key, read};

/// Deepest folder looked into: Caddy's certificates are three folders down.
const DEPTH_MAX: usize = 3;
/// Most certificates of one import.
const FOUND_MAX: usize = 100_000;

/// A chain with its key, and the names it is for.
pub(super) struct Bundle {
    pub(super) names: Vec<String>,
    pub(super) chain: String,
    pub(super) key: Zeroizing<String>,
    /// The account that ordered it, as far as the program notes that.
    pub(super) account: Option<String>,
}

impl Bundle {
    /// From two PEM files.
    pub(super) fn read(chain: &Path, key: &Path) -> Result<Self, Failed> {
        Self::new(&chain.display().to_string(), &read(chain)?, &read(key)?)
    }

    fn new(place: &str, chain: &str, key: &str) -> Result<Self, Failed> {
        let odd = |said: &str| Failed::new(format!("{place}: {said}"));
        let key = key::as_pkcs8(key).map_err(odd)?;
        let leaf = CertificateDer::from_pem_slice(chain.as_bytes())
            .map_err(|_| odd("there is no certificate in it"))?;
        let names = names(&leaf).ok_or_else(|| odd("its certificate cannot be read"))?;
        if names.is_empty() {
            return Err(odd(
                "its certificate is for no name that can be served (wildcards cannot)",
            ));
        }
        Ok(Self { names, chain: chain.to_owned(), key, account: None })
    }

    fn ordered_by(self, account: Option<String>) -> Self {
        Self { account, ..self }
    }
}

/// The names a certificate is for, as far as they can be registered.
fn names(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let names = leaf.subject_alternative_name().ok().flatten()?;
    let dns =
        names.value.general_names.iter().filter_map(|name| {
            if let GeneralName::DNSName(name) = name { Some(*name) } else { None }
        });
    Some(dns.filter_map(|name| DomainName::parse(name).ok()).map(|name| name.to_string()).collect())
}

/// What there is, in the order of the files' names. One that cannot be read does not hide the
/// others.
pub(super) fn find(from: CertSource, path: &Path) -> Result<Vec<Result<Bundle, Failed>>, Failed> {
    match from {
        CertSource::Certbot => {
            let chains = files(&path.join("live"), |name| name == "fullchain.pem")?;
            Ok(chains
                .into_iter()
                .map(|chain| {
                    let bundle = Bundle::read(&chain, &chain.with_file_name("privkey.pem"))?;
                    Ok(bundle.ordered_by(certbot_account(path, &chain)))
                })
                .collect())
        }
        CertSource::Caddy => {
            let chains = files(&path.join("certificates"), |name| name.ends_with(".crt"))?;
            Ok(chains
                .into_iter()
                .map(|chain| {
                    let bundle = Bundle::read(&chain, &chain.with_extension("key"))?;
                    let ca = chain.strip_prefix(path.join("certificates")).ok();
                    let ca = ca.and_then(|ca| ca.iter().next()?.to_str().map(str::to_owned));
                    Ok(bundle.ordered_by(ca))
                })
                .collect())
        }
        CertSource::Traefik => traefik(path),
        CertSource::AutoSsl => {
            let found =
                files(path, |name| name.ends_with("%3Alatest") || name.ends_with(":latest"))?;
            Ok(found.iter().map(|file| auto_ssl(file)).collect())
        }
    }
}

/// What `renewal/LINEAGE.conf` says of the account.
fn certbot_account(root: &Path, chain: &Path) -> Option<String> {
    let lineage = chain.parent()?.file_name()?.to_str()?;
    let text = read(&root.join("renewal").join(format!("{lineage}.conf"))).ok()?;
    let values = text.lines().filter_map(|line| line.split_once('='));
    values
        .map(|(name, value)| (name.trim(), value.trim()))
        .find_map(|(name, value)| (name == "account").then(|| value.to_owned()))
}

/// One resolver's part of Traefik's `acme.json`.
#[derive(Deserialize)]
struct Resolver {
    #[serde(rename = "Certificates", default)]
    certificates: Option<Vec<Kept>>,
}

#[derive(Deserialize)]
struct Kept {
    certificate: String,
    key: String,
}

fn traefik(path: &Path) -> Result<Vec<Result<Bundle, Failed>>, Failed> {
    let place = path.display().to_string();
    let odd = |said: &str| Failed::new(format!("{place}: {said}"));
    // Not with `read`: one file holds them all.
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| odd(&error.to_string()))?;
    let resolvers: std::collections::BTreeMap<String, Resolver> =
        serde_json::from_str(&text).map_err(|_| odd("it is no acme.json of Traefik"))?;
    let kept = resolvers.into_iter().flat_map(|(name, resolver)| {
        let kept = resolver.certificates.unwrap_or_default().into_iter();
        kept.map(move |kept| (name.clone(), kept))
    });
    let decoded = |text: &str| {
        let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new).ok()?;
        std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).ok()
    };
    Ok(kept
        .map(|(resolver, kept)| {
            let (chain, key) = (decoded(&kept.certificate), decoded(&Zeroizing::new(kept.key)));
            let (Some(chain), Some(key)) = (chain, key) else {
                return Err(odd("a certificate in it is not base64"));
            };
            Ok(Bundle::new(&place, &chain, &key)?.ordered_by(Some(resolver)))
        })
        .collect())
}

/// What lua-resty-auto-ssl keeps of a domain.
#[derive(Deserialize)]
struct Latest {
    fullchain_pem: String,
    privkey_pem: String,
}

fn auto_ssl(file: &Path) -> Result<Bundle, Failed> {
    let place = file.display().to_string();
    let latest: Latest = serde_json::from_str(&read(file)?)
        .map_err(|_| Failed::new(format!("{place}: not what lua-resty-auto-ssl keeps")))?;
    let key = Zeroizing::new(latest.privkey_pem);
    let bundle = Bundle::new(&place, &latest.fullchain_pem, &key)?;
    Ok(bundle.ordered_by(Some(AUTO_SSL.to_owned())))
}

/// The files below a folder whose names fit, sorted.
pub(super) fn files(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Failed> {
    let odd =
        |path: &Path, error: &std::io::Error| Failed::new(format!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0_usize)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| odd(&folder, &error))? {
            let path = entry.map_err(|error| odd(&folder, &error))?.path();
            if path.is_dir() {
                if depth < DEPTH_MAX {
                    folders.push((path, depth + 1));
                }
            } else if path.file_name().and_then(|name| name.to_str()).is_some_and(&fits) {
                found.push(path);
            }
            if found.len() > FOUND_MAX {
                return Err(Failed::new("more than 100,000 certificates: import them in parts"));
            }
        }
    }
    found.sort();
    Ok(found)
}
