//! What the configuration says about one issuer (`[[issuer]]`).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use http::Uri;
use sealwax_core::PrivateKey;
use sealwax_core::record::KeyType;
use zeroize::Zeroizing;

/// Longest any one request to a CA may take, connecting and reading included, if the
/// configuration does not say otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One issuer as configured.
#[derive(Debug)]
pub struct IssuerSettings {
    /// The name the rest of the configuration and the records know it by.
    pub name: String,
    /// The ACME directory (RFC 8555 section 7.1.1): `https`, or `http` on a loopback address.
    pub directory: String,
    /// Who the CA may write to: a mail address, or a `mailto:` URL.
    pub contact: Option<String>,
    /// Certificates (PEM) that the directory's server is trusted by, in place of the system's:
    /// for a private CA.
    pub ca_file: Option<PathBuf>,
    /// External account binding (RFC 8555 section 7.3.4).
    pub eab: Option<ExternalAccountBinding>,
    /// The ACME profile, unless a domain asks for another.
    pub profile: Option<String>,
    /// The key type, unless a domain asks for another.
    pub key_type: KeyType,
    /// Longest any one request may take.
    pub request_timeout: Duration,
}

/// What binds the ACME account to an account the operator has with the CA.
pub struct ExternalAccountBinding {
    pub(crate) kid: String,
    pub(crate) hmac_key: PrivateKey,
}

impl IssuerSettings {
    /// An issuer with everything but its name and directory at the default.
    #[must_use]
    pub fn new(name: impl Into<String>, directory: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            directory: directory.into(),
            contact: None,
            ca_file: None,
            eab: None,
            profile: None,
            key_type: KeyType::default(),
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// The contact as the URL the protocol wants.
    pub(crate) fn contact_url(&self) -> Option<String> {
        self.contact.as_deref().map(|contact| {
            if contact.contains(':') { contact.to_owned() } else { format!("mailto:{contact}") }
        })
    }

    /// RFC 8555 section 6.1 wants HTTPS; a test CA on this machine may do without.
    pub(crate) fn check_directory(&self) -> Result<(), SettingsError> {
        let refuse = |reason| SettingsError::Directory { url: self.directory.clone(), reason };
        let uri: Uri = self.directory.parse().map_err(|_| refuse("it is not a URL"))?;
        let host = uri.host().ok_or_else(|| refuse("it has no host"))?;
        match uri.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if loopback(host) => Ok(()),
            Some("http") => Err(refuse("only a loopback address may be asked without TLS")),
            _ => Err(refuse("it is neither https nor http")),
        }
    }
}

fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl ExternalAccountBinding {
    /// Takes the key identifier and the HMAC key as CAs hand them out: base64url (some: base64),
    /// with or without padding.
    ///
    /// # Errors
    /// When the key is neither.
    pub fn parse(kid: impl Into<String>, hmac_key: &str) -> Result<Self, SettingsError> {
        let text = hmac_key.trim().trim_end_matches('=');
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .or_else(|_| BASE64_STANDARD_NO_PAD.decode(text))
            .map_err(|_| SettingsError::HmacKey)?;
        if bytes.is_empty() {
            return Err(SettingsError::HmacKey);
        }
        Ok(Self { kid: kid.into(), hmac_key: PrivateKey::new(Zeroizing::new(bytes)) })
    }
}

impl fmt::Debug for ExternalAccountBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccountBinding").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Why an issuer cannot be set up. Never contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The directory URL cannot be used.
    #[error("issuer directory {url:?} cannot be used: {reason}")]
    Directory {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The HMAC key is not base64url.
    #[error("the external account binding's HMAC key is not base64url")]
    HmacKey,
    /// The `ca_file` cannot be read or has no certificate.
    #[error("issuer ca_file {path} cannot be used: {reason}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system trusts no certificate at all.
    #[error(
        "this system has no trusted root certificates: install them (package ca-certificates), \
         or set ca_file"
    )]
    NoSystemRoots,
    /// The TLS library refused its own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_asked_without_tls() {
        let check = |url: &str| IssuerSettings::new("a", url).check_directory();
        assert!(check("https://acme.example/directory").is_ok());
        assert!(check("http://127.0.0.1:14000/dir").is_ok());
        assert!(check("http://[::1]:14000/dir").is_ok());
        assert!(check("http://localhost/dir").is_ok());
        for url in ["http://10.0.0.1/dir", "http://localhost.evil.example/", "ftp://a/", "a", ""] {
            assert!(check(url).is_err(), "{url:?} was taken");
        }
    }

    #[test]
    fn a_contact_becomes_a_url() {
        let mut settings = IssuerSettings::new("a", "https://a.example/");
        assert_eq!(settings.contact_url(), None);
        settings.contact = Some("ops@example.com".to_owned());
        assert_eq!(settings.contact_url().unwrap(), "mailto:ops@example.com");
        settings.contact = Some("mailto:ops@example.com".to_owned());
        assert_eq!(settings.contact_url().unwrap(), "mailto:ops@example.com");
    }

    #[test]
    fn an_hmac_key_is_read_in_both_alphabets_and_never_shown() {
        for text in [
            "-_-_",
            "+/+/",
            "-_8=",
            "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\n",
        ] {
            let binding = ExternalAccountBinding::parse("kid-1", text).unwrap();
            assert!(format!("{binding:?}").contains("kid-1"));
            assert!(!format!("{binding:?}").contains("hmac_key"));
        }
        for text in ["", "=", "not base64!"] {
            assert!(ExternalAccountBinding::parse("kid-1", text).is_err(), "{text:?}");
        }
    }
}
