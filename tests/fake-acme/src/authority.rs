//! The keys that sign, and what they sign.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateSigningRequestDer;
use sealwax_core::{Span, Timestamp};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use crate::knobs::ChainFault;
use crate::problem::Problem;

/// Certificates start this long before they are issued, as Let's Encrypt's do.
const BACKDATED: Span = Span::from_secs(3600);
/// How long the root and the intermediate are valid around the server's start.
const AUTHORITY_YEARS: i64 = 20;
/// Nobody's.
const A_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
    -----END PRIVATE KEY-----\n";
/// Bytes of a chain that is too large for anyone.
const HUGE_BYTES: usize = 1024 * 1024;

/// A root and an intermediate.
pub(crate) struct Authority {
    root_pem: String,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate as issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) leaf_der: Vec<u8>,
    pub(crate) ari_id: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// What a certificate shall be.
pub(crate) struct Wanted<'a> {
    pub(crate) csr_der: &'a [u8],
    pub(crate) name: &'a str,
    pub(crate) serial: u64,
    pub(crate) now: Timestamp,
    pub(crate) validity: Span,
    pub(crate) fault: ChainFault,
}

impl Authority {
    pub(crate) fn new(now: Timestamp) -> Result<Self, rcgen::Error> {
        let root =
            CertifiedIssuer::self_signed(params("Fake ACME Root", now), KeyPair::generate()?)?;
        let mut below = params("Fake ACME Intermediate", now);
        below.use_authority_key_identifier_extension = true;
        let intermediate = CertifiedIssuer::signed_by(below, KeyPair::generate()?, &root)?;
        Ok(Self { root_pem: root.pem(), intermediate })
    }

    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Signs what the request asks for, if it asks for this name alone.
    pub(crate) fn issue(&self, wanted: &Wanted<'_>) -> Result<Issued, Problem> {
        let bad = |detail: String| Problem::new(400, "badCSR", detail);
        let der = CertificateSigningRequestDer::from(wanted.csr_der);
        let mut request = CertificateSigningRequestParams::from_der(&der)
            .map_err(|error| bad(format!("the request cannot be read: {error}")))?;
        let names = std::mem::take(&mut request.params.subject_alt_names);
        let fits =
            matches!(names.as_slice(), [SanType::DnsName(dns)] if dns.as_str() == wanted.name);
        if !fits {
            return Err(bad(format!(
                "the request is for {names:?}, the order for {}",
                wanted.name
            )));
        }
        let mut leaf = CertificateParams::new(vec![match wanted.fault {
            ChainFault::WrongName => format!("not-{}", wanted.name),
            ChainFault::None
            | ChainFault::Reversed
            | ChainFault::Glued
            | ChainFault::WithKey
            | ChainFault::WrongKey
            | ChainFault::Expired
            | ChainFault::Garbage
            | ChainFault::Huge => wanted.name.to_owned(),
        }])
        .map_err(|error| bad(error.to_string()))?;
        let age = if wanted.fault == ChainFault::Expired { wanted.validity } else { Span::ZERO };
        let not_before = wanted.now - BACKDATED - age;
        let not_after = not_before + wanted.validity;
        leaf.not_before = moment(not_before);
        leaf.not_after = moment(not_after);
        leaf.serial_number = Some(serial(wanted.serial));
        leaf.distinguished_name = DistinguishedName::new();
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = if wanted.fault == ChainFault::WrongKey {
            let other = KeyPair::generate().map_err(internal)?;
            leaf.signed_by(&other, &self.intermediate)
        } else {
            leaf.signed_by(&request.public_key, &self.intermediate)
        };
        let certificate = signed.map_err(internal)?;
        let leaf_der = certificate.der().to_vec();
        let ari_id = ari_id(&leaf_der).ok_or_else(|| Problem::new(500, "serverInternal", "ARI"))?;
        let pem = self.chain(&certificate.pem(), wanted.fault);
        Ok(Issued { pem, leaf_der, ari_id, not_before, not_after })
    }

    fn chain(&self, leaf: &str, fault: ChainFault) -> String {
        let intermediate = self.intermediate.pem();
        match fault {
            ChainFault::None
            | ChainFault::WrongName
            | ChainFault::WrongKey
            | ChainFault::Expired => {
                format!("{leaf}{intermediate}")
            }
            ChainFault::Glued => format!("{}{intermediate}", leaf.trim_end()),
            ChainFault::WithKey => format!("{leaf}{intermediate}{A_KEY}"),
            ChainFault::Reversed => format!("{intermediate}{leaf}"),
            ChainFault::Garbage => "this is not a certificate".to_owned(),
            ChainFault::Huge => leaf.repeat(HUGE_BYTES / leaf.len().max(1)),
        }
    }
}

fn params(name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let around = time::Duration::days(365 * AUTHORITY_YEARS);
    params.not_before = moment(now) - around;
    params.not_after = moment(now) + around;
    params
}

fn moment(at: Timestamp) -> OffsetDateTime {
    let secs = i64::try_from(at.secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Looks as random as real ones do, and is the same in each run.
fn serial(number: u64) -> SerialNumber {
    let hash = digest(&SHA256, &number.to_be_bytes());
    let mut bytes = vec![0x2a];
    bytes.extend(hash.as_ref().iter().take(15));
    SerialNumber::from(bytes)
}

/// RFC 9773 section 4.1.
fn ari_id(leaf_der: &[u8]) -> Option<String> {
    let (_, leaf) = X509Certificate::from_der(leaf_der).ok()?;
    let authority = leaf.iter_extensions().find_map(|extension| {
        if let ParsedExtension::AuthorityKeyIdentifier(found) = extension.parsed_extension() {
            return found.key_identifier.as_ref().map(|id| id.0.to_vec());
        }
        None
    })?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Some(format!("{}.{}", encode(&authority), encode(leaf.raw_serial())))
}

fn internal(error: rcgen::Error) -> Problem {
    Problem::new(500, "serverInternal", error.to_string())
}
