//! Certificates as a CA would issue them: a P-256 leaf each, and the CA's own in the chain.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sealwax_bench::trivial::Certificate;
use sealwax_testkit::TlsVisitor;

/// Some certificates and the CA they are from.
pub(crate) struct Certificates {
    root_pem: String,
    names: Vec<String>,
    all: Vec<Certificate>,
}

impl Certificates {
    /// As many as wanted.
    pub(crate) fn make(count: usize) -> Result<Self> {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Benchmark root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate()?;
        let root_pem = root.self_signed(&root_key)?.pem();
        let issuer = Issuer::new(root, root_key);
        let (mut names, mut all) = (Vec::new(), Vec::new());
        for index in 0..count {
            let name = format!("shop-{index:05}.customer.example");
            let key = KeyPair::generate()?;
            let leaf = CertificateParams::new(vec![name.clone()])?.signed_by(&key, &issuer)?;
            all.push(Certificate {
                name: name.clone(),
                chain_pem: format!("{}{root_pem}", leaf.pem()),
                key_pem: key.serialize_pem(),
            });
            names.push(name);
        }
        Ok(Self { root_pem, names, all })
    }

    /// Whom they are for.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Certificate] {
        &self.all
    }

    /// Who trusts them.
    pub(crate) fn client(&self) -> Result<TlsVisitor> {
        TlsVisitor::trusting(&self.root_pem)
    }
}
