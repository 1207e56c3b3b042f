//! Why a chain or a key is not taken. Never contains key material.

use sealwax_protocol::DomainName;

use crate::timestamp::Timestamp;

/// Why a chain may not be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No certificate in it.
    #[error("the chain has no certificate")]
    Empty,
    /// Blocks, none of which is a certificate.
    #[error(
        "the chain has no certificate, but: {0}; a PKCS7 file is converted with: \
         openssl pkcs7 -print_certs -in FILE"
    )]
    OtherBlocks(String),
    /// Over a bound.
    #[error("the chain is larger than 64 KiB or longer than 8 certificates")]
    TooLarge,
    /// Over the bound of texts.
    #[error("the text is larger than 256 KiB")]
    TextTooLarge,
    /// Binary.
    #[error("it is binary (DER), not PEM; convert it with: openssl x509 -inform der -in FILE")]
    Der,
    /// Text in two bytes a character.
    #[error("it is UTF-16 text: save it as UTF-8 or ASCII")]
    Utf16,
    /// Not PEM or not X.509.
    #[error("the chain cannot be read: {0}")]
    Unreadable(String),
    /// A block that is no certificate inside.
    #[error("certificate {number} of {of} in the chain is damaged or not X.509")]
    NoX509 {
        /// Which one, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Each certificate must be issued by the one after it.
    #[error("the chain is out of order: each certificate must be followed by its issuer")]
    OutOfOrder,
    /// The leaf does not name the domain.
    #[error("the certificate covers {sans:?}, not {domain}")]
    WrongName {
        /// The domain asked for.
        domain: DomainName,
        /// What it covers.
        sans: Vec<String>,
    },
    /// Names stand at most in the subject, which clients have not read for years (RFC 6125
    /// section 6.4.4, RFC 9525).
    #[error(
        "the certificate has no DNS name in its subject alternative names, and clients do not \
         read the common name"
    )]
    NoNames,
    /// From the future.
    #[error("the certificate is valid only from {0}")]
    NotYetValid(Timestamp),
    /// From the past.
    #[error("the certificate expired at {0}")]
    Expired(Timestamp),
    /// Envoy would not load it.
    #[error(
        "the certificate has {0}, which Envoy does not load; allowed: RSA with 2048 to 8192 bits, \
         P-256, P-384, P-521, Ed25519"
    )]
    KeyKind(String),
    /// Clients do not believe it.
    #[error("the certificate is signed with SHA-1 or MD5, which clients do not accept")]
    WeakSignature,
    /// It is not for signing handshakes.
    #[error(
        "the certificate's key usage does not allow a TLS server to use its key: digitalSignature \
         is missing"
    )]
    KeyUsage,
    /// It is not for servers.
    #[error("the certificate's extended key usage does not allow TLS servers (serverAuth)")]
    Purpose,
    /// RFC 7633.
    #[error(
        "the certificate demands a stapled OCSP response (must-staple), which is not sent: have \
         it issued without"
    )]
    MustStaple,
    /// The key is not the leaf's.
    #[error("the private key does not fit the certificate: {0}")]
    KeyMismatch(String),
    /// There is no key that can be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a private key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is none.
    #[error("the key has no private key in PEM")]
    None,
    /// It needs a password.
    #[error("the private key is encrypted; decrypt it with: openssl pkey -in KEY")]
    Encrypted,
    /// Several different ones, and nothing says which.
    #[error("there are several private keys in it, and which one is meant cannot be told")]
    Several,
    /// Of a kind that Envoy does not serve with, or damaged.
    #[error(
        "the private key is damaged or of a kind that cannot be used; allowed, as PKCS#8, PKCS#1 \
         or SEC 1 in PEM: RSA with 2048 to 8192 bits, P-256, P-384, P-521, Ed25519"
    )]
    Unusable,
    /// Its PEM is broken.
    #[error("the private key's PEM is damaged")]
    Broken,
    /// Binary.
    #[error("the key is binary (DER), not PEM; convert it with: openssl pkey -inform der -in KEY")]
    Der,
    /// Over the bound of texts.
    #[error("the key is larger than 256 KiB")]
    TooLarge,
}
