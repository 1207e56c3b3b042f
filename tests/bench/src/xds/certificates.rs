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
        let name = |index| format!("shop-{index:05}.customer.example");
        Self::of((0..count).map(name).map(|name| (name.clone(), vec![name])))
    }

    /// One, for a zone and all names right below it.
    pub(super) fn wildcard(zone: &str) -> Result<Self> {
        Self::of([(zone.to_owned(), vec![zone.to_owned(), format!("*.{zone}")])].into_iter())
    }

    /// One for each name, with the names in it.
    fn of(wanted: impl Iterator<Item = (String, Vec<String>)>) -> Result<Self> {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Benchmark root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate()?;
        let root_pem = root.self_signed(&root_key)?.pem();
        let issuer = Issuer::new(root, root_key);
        let (mut names, mut all) = (Vec::new(), Vec::new());
        for (name, covered) in wanted {
            let key = KeyPair::generate()?;
            let leaf = CertificateParams::new(covered)?.signed_by(&key, &issuer)?;
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
