//! A certificate in the form it is sent in.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{BufMut, Bytes};
use prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
};
use sealwax_protocol::DomainName;
use zeroize::Zeroizing;

use crate::wire::SECRET_TYPE_URL;

/// Longest certificate chain accepted, in bytes of PEM: ten large certificates.
pub const CHAIN_BYTES_MAX: usize = 128 * 1024;
/// Longest private key accepted, in bytes of PEM: RSA-8192 needs about 6.5 KB.
pub const KEY_BYTES_MAX: usize = 16 * 1024;

/// One certificate ready to be served under one name: encoded once, shared by every stream that
/// sends it.
///
/// The encoded form holds the private key. It is zeroed when the last user lets go of it; the
/// copies a connection makes while sending are not.
pub struct ServedCertificate {
    name: DomainName,
    version: Version,
    text: String,
    /// The encoded `envoy.service.discovery.v3.Resource` for the canonical name.
    resource: Bytes,
    /// The part of `resource` that does not depend on the name: the secret's `tls_certificate`
    /// field with its key.
    certificate_field: Bytes,
    importance: Importance,
}

/// How a certificate stands beside others when an edge's budget is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// Stays among the first to leave, however often it is used.
    Low,
    /// Stays for as long as it is used more than others.
    #[default]
    Ordinary,
    /// Pinned: leaves only when nothing of less importance is left.
    High,
}

/// Why a certificate cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No chain.
    #[error("the certificate chain is empty")]
    EmptyChain,
    /// No private key.
    #[error("the private key is empty")]
    EmptyKey,
    /// More than [`CHAIN_BYTES_MAX`].
    #[error("the certificate chain is longer than 128 KiB")]
    ChainTooLong,
    /// More than [`KEY_BYTES_MAX`].
    #[error("the private key is longer than 16 KiB")]
    KeyTooLong,
}

impl ServedCertificate {
    /// Encodes a certificate. Whether the chain is well-formed, fits the key and covers the name
    /// is for the caller to have checked; only sizes are looked at here.
    ///
    /// # Errors
    /// A part is empty or too long.
    pub fn new(name: &DomainName, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, SecretError> {
        match (chain_pem.len(), key_pem.len()) {
            (0, _) => return Err(SecretError::EmptyChain),
            (_, 0) => return Err(SecretError::EmptyKey),
            (1..=CHAIN_BYTES_MAX, 1..=KEY_BYTES_MAX) => {}
            (1..=CHAIN_BYTES_MAX, _) => return Err(SecretError::KeyTooLong),
            (_, _) => return Err(SecretError::ChainTooLong),
        }
        let version = Version::of_content(chain_pem, key_pem);
        let text = version.to_string();
        let field = encode_certificate_field(chain_pem, key_pem);
        let resource = encode_resource(name.as_str().as_bytes(), &text, &field);
        // The resource's name stands behind the secret, so the field's place is counted from the end.
        let end = resource.len() - field_len(RESOURCE_NAME, name.as_str().len());
        let certificate_field = resource.slice(end - field.len()..end);
        let importance = Importance::default();
        Ok(Self { name: name.clone(), version, text, resource, certificate_field, importance })
    }

    /// The same with another importance. It is no part of the version.
    #[must_use]
    pub const fn with_importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// Its importance under a name. A name that it only covers, as a wildcard does, is never
    /// pinned: anyone can think up such names.
    pub(crate) fn importance_for(&self, name: &DomainName) -> Importance {
        match self.importance {
            Importance::High if *name != self.name => Importance::Ordinary,
            Importance::Low | Importance::Ordinary | Importance::High => self.importance,
        }
    }

    /// The canonical name it is served under.
    #[must_use]
    pub const fn name(&self) -> &DomainName {
        &self.name
    }

    /// Hash of chain and key, 16 hexadecimal digits: the same on every replica.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.text
    }

    pub(crate) const fn content_version(&self) -> Version {
        self.version
    }

    /// The encoded resource under the canonical name: shared, not copied.
    pub(crate) fn resource(&self) -> Bytes {
        self.resource.clone()
    }

    /// The encoded resource under another spelling: Envoy refuses a secret whose name is not the
    /// one it asked for, byte for byte.
    pub(crate) fn resource_spelled(&self, spelling: &str) -> Bytes {
        encode_resource(spelling.as_bytes(), &self.text, &self.certificate_field)
    }

    /// Bytes sent for it, about.
    pub(crate) const fn encoded_len(&self) -> usize {
        self.resource.len()
    }
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCertificate")
            .field("name", &self.name)
            .field("version", &self.text)
            .finish_non_exhaustive()
    }
}

/// A version as the subscription tables keep it: the first eight bytes of the content's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    /// No version at all.
    pub(crate) const NONE: Self = Self(0);
    /// Something that is not one of ours: differs from every version there is.
    pub(crate) const FOREIGN: Self = Self(1);

    fn of_content(chain_pem: &[u8], key_pem: &[u8]) -> Self {
        // The length in front keeps chain and key apart.
        let mut content =
            Zeroizing::new(Vec::with_capacity(chain_pem.len() + key_pem.len() + size_of::<u64>()));
        content.put_u64(chain_pem.len() as u64);
        content.extend_from_slice(chain_pem);
        content.extend_from_slice(key_pem);
        let hash = digest(&SHA256, &content);
        let value = hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self(value.max(Self::FOREIGN.0 + 1))
    }

    /// Reads what a reconnecting client says it holds.
    pub(crate) fn parse(text: &[u8]) -> Self {
        std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() == 16)
            .and_then(|text| u64::from_str_radix(text, 16).ok())
            .filter(|&value| value > Self::FOREIGN.0)
            .map_or(Self::FOREIGN, Self)
    }

    pub(crate) const fn is_some(self) -> bool {
        self.0 != Self::NONE.0
    }

    pub(crate) const fn is_none(self) -> bool {
        !self.is_some()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

// Field numbers of envoy/service/discovery/v3/discovery.proto, google/protobuf/any.proto,
// envoy/extensions/transport_sockets/tls/v3/{secret,common}.proto and envoy/config/core/v3/base.proto.
const RESOURCE_VERSION: u32 = 1;
const RESOURCE_ANY: u32 = 2;
const RESOURCE_NAME: u32 = 3;
const ANY_TYPE_URL: u32 = 1;
const ANY_VALUE: u32 = 2;
const SECRET_NAME: u32 = 1;
const SECRET_TLS_CERTIFICATE: u32 = 2;
const CERTIFICATE_CHAIN: u32 = 1;
const CERTIFICATE_PRIVATE_KEY: u32 = 2;
const DATA_SOURCE_INLINE_BYTES: u32 = 2;

fn encode_certificate_field(chain_pem: &[u8], key_pem: &[u8]) -> Zeroizing<Vec<u8>> {
    let chain_source = field_len(DATA_SOURCE_INLINE_BYTES, chain_pem.len());
    let key_source = field_len(DATA_SOURCE_INLINE_BYTES, key_pem.len());
    let certificate =
        field_len(CERTIFICATE_CHAIN, chain_source) + field_len(CERTIFICATE_PRIVATE_KEY, key_source);
    // Sized exactly: a buffer that grows leaves a copy of the key behind.
    let mut out =
        Zeroizing::new(Vec::with_capacity(field_len(SECRET_TLS_CERTIFICATE, certificate)));
    put_header(&mut out, SECRET_TLS_CERTIFICATE, certificate);
    put_header(&mut out, CERTIFICATE_CHAIN, chain_source);
    put_field(&mut out, DATA_SOURCE_INLINE_BYTES, chain_pem);
    put_header(&mut out, CERTIFICATE_PRIVATE_KEY, key_source);
    put_field(&mut out, DATA_SOURCE_INLINE_BYTES, key_pem);
    out
}

fn encode_resource(name: &[u8], version: &str, certificate_field: &[u8]) -> Bytes {
    let secret = field_len(SECRET_NAME, name.len()) + certificate_field.len();
    let any = field_len(ANY_TYPE_URL, SECRET_TYPE_URL.len()) + field_len(ANY_VALUE, secret);
    let len = field_len(RESOURCE_VERSION, version.len())
        + field_len(RESOURCE_ANY, any)
        + field_len(RESOURCE_NAME, name.len());
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    put_field(&mut out, RESOURCE_VERSION, version.as_bytes());
    put_header(&mut out, RESOURCE_ANY, any);
    put_field(&mut out, ANY_TYPE_URL, SECRET_TYPE_URL.as_bytes());
    put_header(&mut out, ANY_VALUE, secret);
    put_field(&mut out, SECRET_NAME, name);
    out.extend_from_slice(certificate_field);
    put_field(&mut out, RESOURCE_NAME, name);
    Bytes::from_owner(out)
}

/// The `google.protobuf.Any` inside an encoded resource: shared, not copied.
pub(crate) fn any_of(resource: &Bytes) -> Option<Bytes> {
    let mut rest = resource.clone();
    loop {
        let (tag, _) = decode_key(&mut rest).ok()?;
        let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let value = (len <= rest.len()).then(|| rest.split_to(len))?;
        if tag == RESOURCE_ANY {
            return Some(value);
        }
    }
}

/// Length of a length-delimited field with its header.
fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

fn put_header(out: &mut Vec<u8>, tag: u32, len: usize) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn put_field(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    put_header(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}
