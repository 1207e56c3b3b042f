//! Programs that keep a file or a folder for each certificate.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::super::exit::Failed;
use super::super::bundle::Bundle;
use super::super::kept::{AUTO_SSL, DEHYDRATED, setting};
use super::super::{read, read_bytes};
use super::files;

type Bundles = Result<Vec<Result<Bundle, Failed>>, Failed>;

/// `live/LINEAGE` links to what is served, `archive/LINEAGE` has every version.
pub(super) fn certbot(root: &Path) -> Bundles {
    let chains = files(&root.join("live"), |name| name == "fullchain.pem")?;
    let mut found = Vec::new();
    for chain in chains {
        let account = certbot_account(root, &chain);
        let live = Bundle::read(&chain, Some(&chain.with_file_name("privkey.pem")));
        // Links that were set back, or lead nowhere: the last version is there all the same.
        let last = newer_version(root, &chain);
        if let Some((chain, key)) = last
            && let Ok(bundle) = Bundle::read(&chain, Some(&key))
        {
            found.push(Ok(bundle.ordered_by(account.clone())));
        }
        found.push(live.map(|bundle| bundle.ordered_by(account)));
    }
    Ok(found)
}

/// The last version in the archive, unless `live` leads to it.
fn newer_version(root: &Path, live: &Path) -> Option<(PathBuf, PathBuf)> {
    let lineage = live.parent()?.file_name()?;
    let archive = root.join("archive").join(lineage);
    let number = |path: &Path| -> Option<u32> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("fullchain")?.strip_suffix(".pem")?.parse().ok()
    };
    let chains = files(&archive, |name| name.starts_with("fullchain")).ok()?;
    let last = chains.into_iter().filter_map(|path| Some((number(&path)?, path))).max()?;
    let served = std::fs::canonicalize(live).ok();
    let key = archive.join(format!("privkey{}.pem", last.0));
    let is_served = served.is_some() && served == std::fs::canonicalize(&last.1).ok();
    (!is_served && key.exists()).then_some((last.1, key))
}

/// What `renewal/LINEAGE.conf` says of the account.
fn certbot_account(root: &Path, chain: &Path) -> Option<String> {
    let lineage = chain.parent()?.file_name()?.to_str()?;
    let text = read(&root.join("renewal").join(format!("{lineage}.conf"))).ok()?;
    setting(&text, "account")
}

/// `certificates/CA/NAME/NAME.crt`; the CA on the machine itself is called `local`.
pub(super) fn caddy(root: &Path) -> Bundles {
    let chains = files(&root.join("certificates"), |name| name.ends_with(".crt"))?;
    let one = |chain: PathBuf| {
        let bundle = Bundle::read(&chain, Some(&chain.with_extension("key")))?;
        let ca = chain.strip_prefix(root.join("certificates")).ok();
        let ca = ca.and_then(|ca| ca.iter().next()?.to_str().map(str::to_owned));
        let odd = ca.as_ref().is_some_and(|ca| ca == "local" || ca.contains("staging"));
        Ok(bundle.ordered_by(ca).not_for_visitors(odd))
    };
    Ok(chains.into_iter().map(one).collect())
}

/// What lua-resty-auto-ssl keeps of a domain.
#[derive(Deserialize)]
struct Latest {
    fullchain_pem: String,
    privkey_pem: String,
}

/// One JSON file a domain.
pub(super) fn auto_ssl(root: &Path) -> Bundles {
    let found = files(root, |name| name.ends_with("%3Alatest") || name.ends_with(":latest"))?;
    let one = |file: &PathBuf| {
        let place = file.display().to_string();
        let latest: Latest = serde_json::from_str(&read(file)?)
            .map_err(|_| Failed::new(format!("{place}: not what lua-resty-auto-ssl keeps")))?;
        let key = Zeroizing::new(latest.privkey_pem);
        let bundle = Bundle::new(&place, latest.fullchain_pem.as_bytes(), key.as_bytes())?;
        Ok(bundle.ordered_by(Some(AUTO_SSL.to_owned())))
    };
    Ok(found.iter().map(one).collect())
}

/// `NAME/fullchain.cer` and `NAME/NAME.key`; with an elliptic curve the folder is `NAME_ecc`.
pub(super) fn acme_sh(root: &Path) -> Bundles {
    let chains = files(root, |name| name == "fullchain.cer")?;
    let one = |chain: PathBuf| {
        let folder = chain.parent().unwrap_or(root);
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.strip_suffix("_ecc").unwrap_or(name);
        let bundle = Bundle::read(&chain, Some(&folder.join(format!("{name}.key"))))?;
        let kept = read(&folder.join(format!("{name}.conf"))).ok();
        let ca = kept.and_then(|text| setting(&text, "Le_API"));
        let staging = ca.as_ref().is_some_and(|ca| ca.contains("staging"));
        Ok(bundle.ordered_by(ca).not_for_visitors(staging))
    };
    Ok(chains.into_iter().map(one).collect())
}

/// What lego keeps beside a certificate.
#[derive(Deserialize)]
struct LegoResource {
    #[serde(rename = "certUrl")]
    url: Option<String>,
}

/// `certificates/NAME.crt`, with the issuer's in a file of its own.
pub(super) fn lego(root: &Path) -> Bundles {
    let fits = |name: &str| name.ends_with(".crt") && !name.ends_with(".issuer.crt");
    let chains = files(&root.join("certificates"), fits)?;
    let one = |chain: PathBuf| {
        let mut text = read_bytes(&chain)?;
        // Without `--bundle` the issuer's certificate is only there.
        if let Ok(issuer) = read_bytes(&chain.with_extension("issuer.crt")) {
            text.push(b'\n');
            text.extend_from_slice(&issuer);
        }
        let key = read_bytes(&chain.with_extension("key"))?;
        let bundle = Bundle::new(&chain.display().to_string(), &text, &key)?;
        let kept = read(&chain.with_extension("json")).ok();
        let kept = kept.and_then(|text| serde_json::from_str::<LegoResource>(&text).ok());
        let ca = kept.and_then(|kept| url::Url::parse(&kept.url?).ok());
        let ca = ca.and_then(|url| url.host_str().map(str::to_owned));
        let staging = ca.as_ref().is_some_and(|ca| ca.contains("staging"));
        Ok(bundle.ordered_by(ca).not_for_visitors(staging))
    };
    Ok(chains.into_iter().map(one).collect())
}

/// `certs/NAME/fullchain.pem` and `privkey.pem`, links to the last version.
pub(super) fn dehydrated(root: &Path) -> Bundles {
    let below = root.join("certs");
    let below = if below.is_dir() { below } else { root.to_owned() };
    let chains = files(&below, |name| name == "fullchain.pem")?;
    let one = |chain: PathBuf| {
        let bundle = Bundle::read(&chain, Some(&chain.with_file_name("privkey.pem")))?;
        Ok(bundle.ordered_by(Some(DEHYDRATED.to_owned())))
    };
    Ok(chains.into_iter().map(one).collect())
}
