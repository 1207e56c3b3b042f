//! A small private CA for mutual TLS between edges and the control plane, in one folder.
//!
//! | file | what | for whom |
//! |---|---|---|
//! | `ca.pem`, `ca.key` | the CA; without its key no further edge can be added | the operator |
//! | `control-plane.pem`, `.key` | shown to edges | `tls_cert_file`, `tls_key_file` |
//! | `edge-NODE_ID.pem`, `.key` | shown to the control plane; names the edge | that edge |
//!
//! `ca.pem` goes to both sides. Any other CA does as well, if an edge's certificate has its node
//! id as a DNS or URI name and may be used by clients, and the control plane's has the DNS name
//! [`CONTROL_PLANE`] and may be used by servers.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use sealwax_core::Timestamp;
use time::{Duration, OffsetDateTime};
use url::Url;
use zeroize::Zeroizing;

use crate::bootstrap::{EdgeTls, NodeId};

/// The DNS name in the control plane's certificate, wherever it runs.
pub const CONTROL_PLANE: &str = "sealwax-control-plane";
/// The CA's own name.
const CA_NAME: &str = "Sealwax private CA";
const CA_LIFE: Duration = Duration::days(3650);
const LEAF_LIFE: Duration = Duration::days(365);
/// Clocks may differ by so much.
const BACKDATED: Duration = Duration::hours(1);
/// Certificates and keys are for their owner alone.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A folder of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pki {
    folder: PathBuf,
}

/// Why certificates cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The CA's certificate is there without its key, or the other way round.
    #[error("{0} is missing beside the other half of the CA; put it back, or use another folder")]
    HalfACa(PathBuf),
    /// The CA's key cannot be used.
    #[error("{0} is not the key of this CA: {1}")]
    CaKey(PathBuf, rcgen::Error),
    /// The node id cannot be a name in a certificate.
    #[error(
        "the node id \"{0}\" cannot be a name in a certificate: use letters, digits, '-', '_' and \
         '.', or a URI such as spiffe://example.org/edge/1"
    )]
    NodeId(NodeId),
    /// The crypto provider refuses.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl Pki {
    /// The folder, which need not be there yet.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The roots' file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The control plane's certificate.
    #[must_use]
    pub fn control_plane_cert_file(&self) -> PathBuf {
        self.folder.join("control-plane.pem")
    }

    /// The control plane's key.
    #[must_use]
    pub fn control_plane_key_file(&self) -> PathBuf {
        self.folder.join("control-plane.key")
    }

    /// What an edge's Envoy is told.
    #[must_use]
    pub fn edge_tls(&self, edge: &NodeId) -> EdgeTls {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let stem = file_stem(edge);
        EdgeTls {
            cert_file: path(self.folder.join(format!("{stem}.pem"))),
            key_file: path(self.folder.join(format!("{stem}.key"))),
            ca_file: path(self.ca_file()),
        }
    }

    /// Makes an edge's certificate, and what is missing beside it: the CA and, if it is missing
    /// or `renew` is set, the control plane's certificate. Every file is replaced at once, so
    /// whoever reads it sees the old one or the new one.
    ///
    /// # Errors
    /// See [`PkiError`]; what was there is left as it was.
    pub fn make(&self, edge: &NodeId, renew: Renew, now: Timestamp) -> Result<(), PkiError> {
        let name = san(edge)?;
        let now = moment(now);
        let failed = |source| PkiError::File { path: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder).map_err(failed)?;
        let ca = self.ca(now)?;
        let missing = !self.control_plane_cert_file().exists();
        if missing || renew == Renew::ControlPlaneToo {
            let name = SanType::DnsName(CONTROL_PLANE.try_into()?);
            let (certificate, key) =
                leaf(&ca, name, ExtendedKeyUsagePurpose::ServerAuth, CONTROL_PLANE, now)?;
            replace(&self.control_plane_key_file(), key.as_bytes())?;
            replace(&self.control_plane_cert_file(), certificate.as_bytes())?;
        }
        let (certificate, key) =
            leaf(&ca, name, ExtendedKeyUsagePurpose::ClientAuth, edge.as_str(), now)?;
        let files = self.edge_tls(edge);
        replace(Path::new(&files.key_file), key.as_bytes())?;
        replace(Path::new(&files.cert_file), certificate.as_bytes())
    }

    /// The CA of the folder, made if there is none.
    fn ca(&self, now: OffsetDateTime) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let (certificate_file, key_file) = (self.ca_file(), self.folder.join("ca.key"));
        let params = ca_params(now);
        match (certificate_file.exists(), key_file.exists()) {
            (true, true) => {
                let pem = fs::read_to_string(&key_file).map(Zeroizing::new);
                let pem =
                    pem.map_err(|source| PkiError::File { path: key_file.clone(), source })?;
                let key = KeyPair::from_pem(&pem);
                let key = key.map_err(|error| PkiError::CaKey(key_file, error))?;
                Ok(Issuer::new(params, key))
            }
            (false, false) => {
                let key = KeyPair::generate()?;
                let certificate = params.self_signed(&key)?.pem();
                replace(&key_file, Zeroizing::new(key.serialize_pem()).as_bytes())?;
                replace(&certificate_file, certificate.as_bytes())?;
                Ok(Issuer::new(params, key))
            }
            (true, false) => Err(PkiError::HalfACa(key_file)),
            (false, true) => Err(PkiError::HalfACa(certificate_file)),
        }
    }
}

/// What to make anew beside an edge's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// Nothing that is there.
    OnlyTheEdge,
    /// The control plane's certificate.
    ControlPlaneToo,
}

/// A clock so far off that there is no such moment makes certificates nobody accepts.
fn moment(now: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(now.secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn ca_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATED;
    params.not_after = now + CA_LIFE;
    params
}

fn leaf(
    ca: &Issuer<'static, KeyPair>,
    name: SanType,
    purpose: ExtendedKeyUsagePurpose,
    common_name: &str,
    now: OffsetDateTime,
) -> Result<(String, Zeroizing<String>), PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = vec![name];
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATED;
    params.not_after = now + LEAF_LIFE;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca)?.pem();
    Ok((certificate, Zeroizing::new(key.serialize_pem())))
}

/// The node id as a name: a DNS name if it can be one, else a URI.
fn san(edge: &NodeId) -> Result<SanType, PkiError> {
    let text = edge.as_str();
    let refused = |_: rcgen::Error| PkiError::NodeId(edge.clone());
    if text.bytes().all(is_name_byte) {
        return Ok(SanType::DnsName(text.try_into().map_err(refused)?));
    }
    match Url::parse(text) {
        Ok(_) => Ok(SanType::URI(text.try_into().map_err(refused)?)),
        Err(_) => Err(PkiError::NodeId(edge.clone())),
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// A file name for an edge, another one for each.
fn file_stem(edge: &NodeId) -> String {
    let mut stem = "edge-".to_owned();
    for byte in edge.as_str().bytes() {
        match is_name_byte(byte) {
            true => stem.push(char::from(byte)),
            false => stem.push_str(&format!("%{byte:02X}")),
        }
    }
    stem
}

/// Writes a file beside its place and moves it there.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    let beside = path.with_extension("new");
    let written = || {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(|source| PkiError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod listeners;
#[cfg(test)]
mod tests;
