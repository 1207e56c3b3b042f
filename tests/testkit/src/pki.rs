//! A certificate authority for the parts' own TLS, not for what Sealwax issues.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A root and one certificate for `localhost` and `127.0.0.1`.
#[derive(Debug)]
pub struct LoopbackPki {
    /// The root, PEM.
    pub root_pem: String,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
}

impl LoopbackPki {
    /// Makes new keys and certificates.
    ///
    /// # Errors
    /// The crypto provider refuses.
    pub fn generate() -> Result<Self> {
        let root_key = KeyPair::generate()?;
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Loopback root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_certificate = root.self_signed(&root_key)?;

        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key))?;
        Ok(Self {
            root_pem: root_certificate.pem(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}
