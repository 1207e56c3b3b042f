//! Certificates: what is known about one, and whether it may be served. What comes from outside is
//! read by [`read_pair`] and [`read_chain`], and by nothing else.

mod better;
mod blocks;
mod error;
mod fitness;
mod key;
mod material;
mod path;
mod signature;
mod trust;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use rustls::sign::CertifiedKey;
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::pem::certificate_pem;
use crate::secret::PrivateKey;
use crate::timestamp::{Span, Timestamp};

pub use better::{Candidate, Kept, kept};
pub use blocks::TEXT_BYTES_MAX;
pub use error::{ChainError, KeyError};
pub use key::{in_pkcs8, read_key};
pub use material::{Note, Read, read_chain, read_pair};
pub use trust::Trust;

/// Most certificates in a chain: real ones have two to four.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Largest chain accepted, so that a record stays far below the store's item limit.
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// How far in the future `not_before` may lie: clocks of CA and control plane differ.
pub const NOT_BEFORE_SKEW: Span = Span::from_secs(300);

/// A certificate chain in PEM, leaf first. Not verified by itself: see [`verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(String);

/// Where a certificate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// Issued through ACME; renewed by us.
    Acme,
    /// Brought along; watched for expiry.
    Imported,
}

/// What is known about the certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The DNS names it covers.
    pub sans: Vec<String>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the leaf, lower-case hexadecimal.
    pub fingerprint_sha256: String,
    /// Its ARI identifier (RFC 9773 section 4.1), if the leaf has what it is made of.
    pub ari_id: Option<String>,
    /// Where it came from.
    pub source: CertificateSource,
    /// The configured issuer whose account ordered it.
    pub ordered_from: Option<String>,
    /// When to renew it; `None` for imported ones.
    pub renew_at: Option<Timestamp>,
}

impl Chain {
    /// Takes a PEM text over as it is, as the store holds it. Bounded by [`CHAIN_BYTES_MAX`]. A
    /// text from anywhere else goes through [`read_chain`].
    ///
    /// # Errors
    /// [`ChainError::TooLarge`].
    pub fn from_pem(pem: String) -> Result<Self, ChainError> {
        if pem.len() > CHAIN_BYTES_MAX {
            return Err(ChainError::TooLarge);
        }
        Ok(Self(pem))
    }

    /// The PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// The same, written anew: what was stored before texts were read at the border may hold
    /// anything beside its certificates.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn normal(&self) -> Result<Self, ChainError> {
        let certificates = self.certificates()?;
        Self::from_pem(certificates.iter().map(|der| certificate_pem(der)).collect())
    }

    /// The leaf in DER.
    ///
    /// # Errors
    /// When there is none.
    pub fn leaf_der(&self) -> Result<Vec<u8>, ChainError> {
        let first = self.certificates()?.into_iter().next().ok_or(ChainError::Empty)?;
        Ok(first.to_vec())
    }

    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ChainError> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(self.0.as_bytes())
            .take(CHAIN_CERTIFICATES_MAX + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| ChainError::Unreadable(error.to_string()))?;
        match found.len() {
            0 => Err(ChainError::Empty),
            n if n > CHAIN_CERTIFICATES_MAX => Err(ChainError::TooLarge),
            _ => Ok(found),
        }
    }
}

impl CertificateFacts {
    /// What the leaf of a chain says, whoever it is for.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(chain: &Chain, source: CertificateSource) -> Result<Self, ChainError> {
        read_leaf(chain.certificates()?.first().ok_or(ChainError::Empty)?, source)
    }

    /// How long the certificate is valid in all.
    #[must_use]
    pub const fn lifetime(&self) -> Span {
        self.not_after.since(self.not_before)
    }

    /// It is for this name, by itself or as a wildcard.
    #[must_use]
    pub fn covers(&self, domain: &DomainName) -> bool {
        self.sans.iter().any(|san| covers(san, domain))
    }

    /// Valid at this moment.
    #[must_use]
    pub fn valid_at(&self, now: Timestamp) -> bool {
        now + NOT_BEFORE_SKEW >= self.not_before && now < self.not_after
    }
}

/// Checks that a chain may be served for a domain with this key: it parses and is in order, the
/// leaf is of a kind that Envoy loads and clients take, is valid now, covers the name, and matches
/// the key. Every certificate passes here before
/// it is stored and again before it is served.
///
/// # Errors
/// The first reason why not.
pub fn verify(
    chain: &Chain,
    key: &PrivateKey,
    domain: &DomainName,
    now: Timestamp,
    source: CertificateSource,
) -> Result<CertificateFacts, ChainError> {
    let certificates = chain.certificates()?;
    check_order(&certificates)?;
    let leaf = certificates.first().ok_or(ChainError::Empty)?;
    let facts = read_leaf(leaf, source)?;
    if facts.sans.is_empty() {
        return Err(ChainError::NoNames);
    }
    if !facts.covers(domain) {
        return Err(ChainError::WrongName { domain: domain.clone(), sans: facts.sans });
    }
    if now + NOT_BEFORE_SKEW < facts.not_before {
        return Err(ChainError::NotYetValid(facts.not_before));
    }
    if now >= facts.not_after {
        return Err(ChainError::Expired(facts.not_after));
    }
    fitness::check(&parse(leaf)?)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose()).clone_key());
    CertifiedKey::from_der(certificates, key, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| ChainError::KeyMismatch(error.to_string()))?;
    Ok(facts)
}

fn covers(san: &str, domain: &DomainName) -> bool {
    let name = domain.as_str();
    match san.strip_prefix("*.") {
        None => san.eq_ignore_ascii_case(name),
        // RFC 6125 section 6.4.3: a wildcard stands for exactly one label.
        Some(zone) => {
            name.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(zone))
        }
    }
}

fn check_order(certificates: &[CertificateDer<'_>]) -> Result<(), ChainError> {
    let parsed: Vec<X509Certificate<'_>> =
        certificates.iter().map(|der| parse(der)).collect::<Result<_, _>>()?;
    let pairs = parsed.iter().zip(parsed.iter().skip(1));
    for (child, parent) in pairs {
        if child.issuer().as_raw() != parent.subject().as_raw() {
            return Err(ChainError::OutOfOrder);
        }
    }
    Ok(())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ChainError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(ChainError::Unreadable("bytes after the end of a certificate".to_owned())),
        Err(error) => Err(ChainError::Unreadable(error.to_string())),
    }
}

fn read_leaf(
    der: &CertificateDer<'_>,
    source: CertificateSource,
) -> Result<CertificateFacts, ChainError> {
    let leaf = parse(der)?;
    let sans = leaf
        .subject_alternative_name()
        .map_err(|error| ChainError::Unreadable(error.to_string()))?
        .map(|names| {
            let dns = names.value.general_names.iter().filter_map(|name| {
                if let GeneralName::DNSName(dns) = name { Some((*dns).to_owned()) } else { None }
            });
            dns.collect()
        })
        .unwrap_or_default();
    Ok(CertificateFacts {
        serial: hex(leaf.raw_serial()),
        issuer: leaf.issuer().to_string(),
        sans,
        not_before: Timestamp::from_secs(leaf.validity().not_before.timestamp()),
        not_after: Timestamp::from_secs(leaf.validity().not_after.timestamp()),
        fingerprint_sha256: hex(digest(&SHA256, der).as_ref()),
        ari_id: ari_id(&leaf),
        source,
        ordered_from: None,
        renew_at: None,
    })
}

/// RFC 9773 section 4.1: the authority key identifier and the serial number, both base64url.
fn ari_id(leaf: &X509Certificate<'_>) -> Option<String> {
    let authority = leaf.iter_extensions().find_map(|found| {
        if let ParsedExtension::AuthorityKeyIdentifier(id) = found.parsed_extension() {
            id.key_identifier.as_ref()
        } else {
            None
        }
    })?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Some(format!("{}.{}", encode(authority.0), encode(leaf.raw_serial())))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        if write!(text, "{byte:02x}").is_err() {
            text.clear();
        }
        text
    })
}

#[cfg(test)]
mod tests;
