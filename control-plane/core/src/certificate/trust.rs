//! Whom visitors believe: whether a chain leads to a root that browsers have, to one that only
//! tests and single machines have, or to one that nobody here knows.

use std::sync::LazyLock;

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Chain, parse, signature};

/// How far a chain is trusted, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// A staging or test CA, a machine's own CA, or no CA at all: visitors see a warning.
    Nobody,
    /// A CA that is not among the public ones: perhaps a company's own.
    Unknown,
    /// It leads to a root that browsers have.
    Public,
}

/// What names of CAs contain that are not meant for visitors: the staging environment of Let's
/// Encrypt now and before 2021, the local CAs of Caddy, mkcert and minica, and what
/// Traefik makes up.
const NOBODYS: [&str; 8] = [
    "staging",
    "fake le ",
    "local authority",
    "mkcert",
    "minica",
    "traefik default",
    "happy hacker",
    "snakeoil",
];

/// A root: its name and its public key, both as they stand in certificates.
struct Root {
    name: Vec<u8>,
    key: Vec<u8>,
}

/// The roots of Mozilla's programme, as they were when this was built.
static ROOTS: LazyLock<Vec<Root>> = LazyLock::new(|| {
    let parsed = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| {
        let (_, root) = X509Certificate::from_der(der).ok()?;
        let key = root.public_key().subject_public_key.data.to_vec();
        Some(Root { name: root.subject().as_raw().to_vec(), key })
    });
    parsed.collect()
});

impl Trust {
    /// Judges a chain, leaf first, by its names and signatures. Reads no clock: an expired chain is
    /// judged like any other.
    #[must_use]
    pub fn of(chain: &Chain) -> Self {
        let Ok(certificates) = chain.certificates() else { return Self::Nobody };
        let parsed: Result<Vec<_>, _> = certificates.iter().map(|der| parse(der)).collect();
        let Ok(parsed) = parsed else { return Self::Nobody };
        for (index, one) in parsed.iter().enumerate() {
            if has_public_issuer(one) {
                return Self::Public;
            }
            let names = [one.subject().to_string(), one.issuer().to_string()];
            let itself = index == 0 && one.subject().as_raw() == one.issuer().as_raw();
            if itself || names.iter().any(|name| is_nobodys(name)) {
                return Self::Nobody;
            }
            let parent = parsed.get(index.saturating_add(1));
            if !parent.is_some_and(|parent| signature::issued(parent, one)) {
                break;
            }
        }
        Self::Unknown
    }
}

fn has_public_issuer(one: &X509Certificate<'_>) -> bool {
    let issuer = one.issuer().as_raw();
    let named = ROOTS.iter().filter(|root| root.name == issuer);
    named.into_iter().any(|root| signature::is_signed_with(one, &root.key))
}

fn is_nobodys(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NOBODYS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;
    use crate::pem::certificate_pem;

    fn below(name: &str) -> Chain {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        Chain::from_pem(leaf.pem()).unwrap()
    }

    #[test]
    fn cas_for_tests_and_single_machines_are_known_by_their_names() {
        assert_eq!(Trust::of(&below("(STAGING) Riddling Rhubarb R12")), Trust::Nobody);
        assert_eq!(Trust::of(&below("Caddy Local Authority - ECC Intermediate")), Trust::Nobody);
        assert_eq!(Trust::of(&below("Example Corp Issuing CA 3")), Trust::Unknown);
    }

    #[test]
    fn public_means_signed_by_a_root_and_not_only_named_after_one() {
        let root = &webpki_root_certs::TLS_SERVER_ROOT_CERTS[0];
        let signed = Chain::from_pem(certificate_pem(root)).unwrap();
        assert_eq!(Trust::of(&signed), Trust::Public);
        let (_, parsed) = X509Certificate::from_der(root).unwrap();
        let name = parsed.subject().iter_common_name().next().unwrap().as_str().unwrap();
        assert_ne!(Trust::of(&below(name)), Trust::Public);
        assert!(Trust::Nobody < Trust::Unknown && Trust::Unknown < Trust::Public);
    }
}
