//! Where other programs keep their ACME accounts.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivateSec1KeyDer};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::super::arguments::CertSource;
use super::super::exit::Failed;
use super::accounts::{Directory, Found};
use super::sources::{files, traefik};
use super::{key, read};

/// It has one account.
pub(super) const AUTO_SSL: &str = "auto-ssl";
/// It has one account too.
pub(super) const DEHYDRATED: &str = "dehydrated";

/// The accounts a program keeps, in the order of their files' names; none where there is nothing.
pub(super) fn find(from: CertSource, path: &Path) -> Vec<Result<Found, Failed>> {
    let below =
        |folder: &str, fits: fn(&str) -> bool| files(&path.join(folder), fits).unwrap_or_default();
    match from {
        CertSource::Certbot => {
            let keys = below("accounts", |name| name == "private_key.json");
            keys.iter().map(|file| certbot(path, file)).collect()
        }
        CertSource::Caddy => {
            let keys = below("acme", |name| name.ends_with(".key"));
            keys.iter().map(|file| caddy(path, file)).collect()
        }
        CertSource::Traefik => traefik(path),
        CertSource::AutoSsl => {
            // The file storage is two folders below what else it keeps.
            let own = below("letsencrypt/accounts", |name| name == "account_key.pem");
            let above = below("../../letsencrypt/accounts", |name| name == "account_key.pem");
            own.iter().chain(&above).map(|file| dehydrated(file, AUTO_SSL)).collect()
        }
        CertSource::Dehydrated => {
            let keys = below("accounts", |name| name == "account_key.pem");
            keys.iter().map(|file| dehydrated(file, DEHYDRATED)).collect()
        }
        CertSource::AcmeSh => {
            let keys = below("ca", |name| name == "account.key");
            keys.iter().map(|file| acme_sh(path, file)).collect()
        }
        CertSource::Lego => {
            let keys = below("accounts", |name| name.ends_with(".key"));
            keys.iter().map(|file| lego(path, file)).collect()
        }
    }
}

/// An RSA key as a JWK (RFC 7518 section 6.3.2).
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct RsaJwk {
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

impl RsaJwk {
    /// RFC 8017 appendix A.1.2.
    fn pkcs1(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut integers = Zeroizing::new(vec![2, 1, 0]);
        for text in [&self.n, &self.e, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi] {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
            let bytes = Zeroizing::new(bytes);
            // A zero keeps DER's integers positive.
            let positive: &[u8] = if bytes.first()? & 0x80 == 0 { &[] } else { &[0] };
            integers.push(2);
            integers.extend(length(positive.len() + bytes.len())?);
            integers.extend_from_slice(positive);
            integers.extend_from_slice(&bytes);
        }
        let mut der = Zeroizing::new(vec![0x30]);
        der.extend(length(integers.len())?);
        der.extend_from_slice(&integers);
        Some(der)
    }
}

/// The length of a DER element.
fn length(length: usize) -> Option<Vec<u8>> {
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        return Some(vec![short]);
    }
    let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
    Some(if high == 0 { vec![0x81, low] } else { vec![0x82, high, low] })
}

#[derive(Deserialize)]
struct CertbotRegistration {
    uri: String,
}

fn certbot(root: &Path, file: &Path) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{}: {said}", file.display()));
    let jwk: RsaJwk =
        serde_json::from_str(&read(file)?).map_err(|_| odd("its account key is not RSA"))?;
    let der = jwk.pkcs1().ok_or_else(|| odd("its account key cannot be read"))?;
    let key = key::in_pkcs8(&PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.as_slice())));
    let folder = file.parent().ok_or_else(|| odd("it is in no folder"))?;
    let mark = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    // accounts/HOST/PATH…/ACCOUNT
    let ca = folder.parent().and_then(|ca| ca.strip_prefix(root.join("accounts")).ok());
    let ca = ca.and_then(Path::to_str).ok_or_else(|| odd("its folder's name is not text"))?;
    let told = read(&folder.join("regr.json")).ok();
    let told = told.and_then(|text| serde_json::from_str::<CertbotRegistration>(&text).ok());
    Ok(Found {
        mark,
        directory: Directory::Url(format!("https://{ca}")),
        key: key.map_err(|error| odd(&error))?,
        url: told.map(|told| told.uri),
    })
}

#[derive(Deserialize)]
struct CaddyAccount {
    location: Option<String>,
}

fn caddy(root: &Path, file: &Path) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{}: {said}", file.display()));
    let key = key::as_pkcs8(&read(file)?).map_err(|error| odd(&error))?;
    let ca = file.strip_prefix(root.join("acme")).ok().and_then(|rest| rest.iter().next());
    let ca = ca.and_then(|ca| ca.to_str()).ok_or_else(|| odd("its folder's name is not text"))?;
    let told = read(&file.with_extension("json")).ok();
    let told = told.and_then(|text| serde_json::from_str::<CaddyAccount>(&text).ok());
    Ok(Found {
        mark: ca.to_owned(),
        directory: Directory::Caddy(ca.to_owned()),
        key,
        url: told.and_then(|told| told.location),
    })
}

#[derive(Deserialize)]
struct TraefikAccount {
    #[serde(rename = "Registration")]
    registration: Option<CertbotRegistration>,
    #[serde(rename = "PrivateKey")]
    private_key: Option<String>,
}

fn traefik_account(place: &str, name: &str, account: Value) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{place}: resolver {name:?}: {said}"));
    let account: TraefikAccount =
        serde_json::from_value(account).map_err(|_| odd("its account cannot be read"))?;
    let url = account.registration.map(|told| told.uri);
    let url = url.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| odd("its account is registered nowhere"))?;
    let text = Zeroizing::new(account.private_key.unwrap_or_default());
    let der = BASE64_STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
    let der = der.map_err(|_| odd("its account's key is not base64"))?;
    // Traefik keeps what the key's kind is called by elsewhere: RSA as PKCS#1, else as SEC 1.
    let pkcs1 = key::in_pkcs8(&PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.as_slice())));
    let key = pkcs1
        .or_else(|_| key::in_pkcs8(&PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.as_slice()))));
    Ok(Found {
        mark: name.to_owned(),
        directory: Directory::Account(url.clone()),
        key: key.map_err(|error| odd(&error))?,
        url: Some(url),
    })
}

fn traefik(path: &Path) -> Vec<Result<Found, Failed>> {
    let place = path.display().to_string();
    // What it is not, the certificates' reader says.
    let resolvers = traefik::resolvers(path).unwrap_or_default();
    let accounts = resolvers.into_iter().filter_map(|(name, mut resolver)| {
        let account = traefik::part(&mut resolver, "account").filter(|found| !found.is_null())?;
        Some(traefik_account(&place, &name, account))
    });
    accounts.collect()
}

#[derive(Deserialize)]
struct DehydratedAccount {
    url: Option<String>,
}

/// lua-resty-auto-ssl orders with dehydrated too.
fn dehydrated(file: &Path, mark: &str) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{}: {said}", file.display()));
    let key = key::as_pkcs8(&read(file)?).map_err(|error| odd(&error))?;
    let folder = file.parent().ok_or_else(|| odd("it is in no folder"))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = BASE64_URL_SAFE_NO_PAD.decode(name).ok();
    let directory = directory.and_then(|bytes| String::from_utf8(bytes).ok());
    let directory = directory.ok_or_else(|| odd("its folder is not named after a CA"))?;
    let told = read(&folder.join("account_id.json")).ok();
    let told = told.and_then(|text| serde_json::from_str::<DehydratedAccount>(&text).ok());
    Ok(Found {
        mark: mark.to_owned(),
        directory: Directory::Url(directory.trim().to_owned()),
        key,
        url: told.and_then(|told| told.url),
    })
}

/// acme.sh: `ca/HOST/PATH…/account.key`, with the account's URL in `ca.conf` beside it.
fn acme_sh(root: &Path, file: &Path) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{}: {said}", file.display()));
    let key = key::as_pkcs8(&read(file)?).map_err(|error| odd(&error))?;
    let ca = file.parent().and_then(|ca| ca.strip_prefix(root.join("ca")).ok());
    let ca = ca.and_then(Path::to_str).ok_or_else(|| odd("its folder's name is not text"))?;
    let directory = format!("https://{ca}");
    let told = read(&file.with_file_name("ca.conf")).ok();
    let url = told.and_then(|text| setting(&text, "ACCOUNT_URL"));
    Ok(Found { mark: directory.clone(), directory: Directory::Url(directory), key, url })
}

/// A value of a file of shell variables.
pub(super) fn setting(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let value = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value).next_back()?;
    let value = value.trim().trim_matches(['\'', '"']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[derive(Deserialize)]
struct LegoAccount {
    registration: Option<CertbotRegistration>,
}

/// lego: `accounts/HOST/EMAIL/keys/EMAIL.key`, with `account.json` one folder up.
fn lego(root: &Path, file: &Path) -> Result<Found, Failed> {
    let odd = |said: &str| Failed::new(format!("{}: {said}", file.display()));
    let key = key::as_pkcs8(&read(file)?).map_err(|error| odd(&error))?;
    let host = file.strip_prefix(root.join("accounts")).ok().and_then(|rest| rest.iter().next());
    let host = host.and_then(|host| host.to_str());
    let host = host.ok_or_else(|| odd("its folder's name is not text"))?;
    let told = file.parent().and_then(Path::parent).map(|folder| folder.join("account.json"));
    let told = told.and_then(|told| read(&told).ok());
    let told = told.and_then(|text| serde_json::from_str::<LegoAccount>(&text).ok());
    let url = told.and_then(|told| told.registration).map(|told| told.uri);
    let url = url.ok_or_else(|| odd("its account is registered nowhere"))?;
    let directory = Directory::Account(url.clone());
    Ok(Found { mark: host.to_owned(), directory, key, url: Some(url) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_known_by_what_each_program_calls_it() {
        let known = "https://acme-v02.api.letsencrypt.org/directory";
        assert!(Directory::Caddy("acme-v02.api.letsencrypt.org-directory".to_owned()).is(known));
        assert!(
            Directory::Caddy("127.0.0.1-14000-dir".to_owned()).is("https://127.0.0.1:14000/dir")
        );
        assert!(!Directory::Caddy("acme.zerossl.com-v2-dv90".to_owned()).is(known));
        let account = "https://acme-v02.api.letsencrypt.org/acme/acct/1";
        assert!(Directory::Account(account.to_owned()).is(known));
        let evil = "https://acme-v02.api.letsencrypt.org.evil.example/acme/acct/1";
        assert!(!Directory::Account(evil.to_owned()).is(known));
        assert!(!Directory::Account("no URL".to_owned()).is("no URL either"));
    }

    #[test]
    fn lengths_are_as_short_as_der_wants_them() {
        assert_eq!(length(0x7f), Some(vec![0x7f]));
        assert_eq!(length(0x80), Some(vec![0x81, 0x80]));
        assert_eq!(length(0x1ff), Some(vec![0x82, 1, 0xff]));
        assert_eq!(length(0x1_0000), None);
    }

    /// An RSA key in PKCS#8, and as the PKCS#1 inside of it.
    fn rsa() -> (Zeroizing<String>, Vec<u8>) {
        let key = sealwax_acme::key::generate(sealwax_core::record::KeyType::Rsa2048).unwrap();
        // RFC 5958: a version, the algorithm, and an octet string, 26 bytes before its contents.
        let inner = key.expose()[26..].to_vec();
        (sealwax_core::pem::private_key_pem(key.expose()), inner)
    }

    #[test]
    fn accounts_are_found_in_the_forms_traefik_and_dehydrated_keep_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (key, pkcs1) = rsa();
        let directory = "https://acme-v02.api.letsencrypt.org/directory";
        let account = "https://acme-v02.api.letsencrypt.org/acme/acct/7";
        let acme = serde_json::json!({"le": {"Account": {"Email": "a@example.com",
            "Registration": {"body": {"status": "valid"}, "uri": account},
            "PrivateKey": BASE64_STANDARD.encode(&pkcs1), "KeyType": "4096"},
            "Certificates": null}, "unused": {"Account": null, "Certificates": null}});
        let traefik = path.join("acme.json");
        std::fs::write(&traefik, acme.to_string()).unwrap();
        // dehydrated names the folder with `echo CA | base64`, line end included.
        let ca = BASE64_URL_SAFE_NO_PAD.encode(format!("{directory}\n"));
        let kept = path.join("letsencrypt/accounts").join(ca);
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::create_dir_all(path.join("storage/file")).unwrap();
        let pem = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
            BASE64_STANDARD.encode(&pkcs1)
        );
        std::fs::write(kept.join("account_key.pem"), pem).unwrap();
        std::fs::write(kept.join("account_id.json"), format!("{{\"url\":\"{account}\"}}")).unwrap();
        for (from, path, mark) in [
            (CertSource::Traefik, traefik, "le"),
            (CertSource::AutoSsl, path.to_owned(), AUTO_SSL),
            (CertSource::AutoSsl, path.join("storage/file"), AUTO_SSL),
        ] {
            let mut found = find(from, &path);
            assert_eq!(found.len(), 1, "{}", path.display());
            let found = found.remove(0).unwrap_or_else(|failed| panic!("{failed}"));
            assert_eq!((found.mark.as_str(), found.url.as_deref()), (mark, Some(account)));
            assert!(found.directory.is(directory), "{:?}", found.directory);
            assert_eq!(*found.key, *key, "the same key in one form");
        }
        assert!(find(CertSource::Certbot, path).is_empty(), "nothing is no failure");
    }

    #[test]
    fn accounts_of_acme_sh_and_lego_are_found_and_certbots_however_deep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let write = |name: &str, text: &str| {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let (key, _) = rsa();
        let account = "https://acme.zerossl.com/v2/DV90/account/7";
        write("ca/acme.zerossl.com/v2/DV90/account.key", &key);
        write("ca/acme.zerossl.com/v2/DV90/ca.conf", &format!("ACCOUNT_URL='{account}'\n"));
        write("accounts/acme.zerossl.com/a@example.com/keys/a@example.com.key", &key);
        let told = serde_json::json!({"email": "a@example.com", "registration": {"uri": account}});
        write("accounts/acme.zerossl.com/a@example.com/account.json", &told.to_string());
        for from in [CertSource::AcmeSh, CertSource::Lego] {
            let mut found = find(from, path);
            assert_eq!(found.len(), 1, "{from:?}");
            let found = found.remove(0).unwrap_or_else(|failed| panic!("{failed}"));
            assert_eq!(found.url.as_deref(), Some(account));
            assert!(found.directory.is("https://acme.zerossl.com/v2/DV90"), "{from:?}");
            assert_eq!(*found.key, *key);
        }
        write("accounts/acme.zerossl.com/v2/DV90/0123abcd/private_key.json", "{}");
        let deep = find(CertSource::Certbot, path);
        assert_eq!(deep.len(), 1, "odd, and not overlooked");
    }
}
