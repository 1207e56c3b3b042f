//! A chain with its key as some program keeps it, read through the one border.

use std::path::Path;

use sealwax_core::certificate::{
    CertificateFacts, CertificateSource, Note, Trust, read_pair, verify,
};
use sealwax_core::pem::private_key_pem;
use sealwax_core::{Chain, PrivateKey, Timestamp};
use sealwax_protocol::DomainName;
use zeroize::Zeroizing;

use super::super::exit::Failed;
use super::read_bytes;

/// A chain with its key, and what is known of them.
pub(super) struct Bundle {
    /// The file, and the entry in it where it has several.
    pub(super) place: String,
    pub(super) chain: Chain,
    key: PrivateKey,
    pub(super) facts: CertificateFacts,
    pub(super) trust: Trust,
    pub(super) notes: Vec<Note>,
    /// The account that ordered it, as far as the program notes that.
    pub(super) account: Option<String>,
}

impl Bundle {
    /// From two PEM files, or from one that holds both.
    pub(super) fn read(chain: &Path, key: Option<&Path>) -> Result<Self, Failed> {
        let text = read_bytes(chain)?;
        let place = chain.display().to_string();
        match key {
            Some(key) => Self::new(&place, &text, &read_bytes(key)?),
            None => Self::new(&place, &text, &text).map_err(|failed| Failed {
                message: format!(
                    "{} (with no --key, the key stands in the chain's file)",
                    failed.message
                ),
                ..Failed::usage("")
            }),
        }
    }

    pub(super) fn new(place: &str, chain: &[u8], key: &[u8]) -> Result<Self, Failed> {
        let odd = |said: String| Failed::new(format!("{place}: {said}"));
        let (read, key) = read_pair(chain, key).map_err(|error| odd(error.to_string()))?;
        let facts = CertificateFacts::of(&read.chain, CertificateSource::Imported)
            .map_err(|error| odd(error.to_string()))?;
        let trust = Trust::of(&read.chain);
        let place = place.to_owned();
        Ok(Self { place, chain: read.chain, key, facts, trust, notes: read.notes, account: None })
    }

    pub(super) fn ordered_by(self, account: Option<String>) -> Self {
        Self { account, ..self }
    }

    /// It comes from where a program keeps what is not meant for visitors.
    pub(super) fn not_for_visitors(self, really: bool) -> Self {
        if really { Self { trust: Trust::Nobody, ..self } } else { self }
    }

    pub(super) fn key_pem(&self) -> Zeroizing<String> {
        private_key_pem(self.key.expose())
    }

    /// The names it is for, as far as they can be registered.
    pub(super) fn names(&self) -> Vec<DomainName> {
        self.facts.sans.iter().filter_map(|name| DomainName::parse(name).ok()).collect()
    }

    /// The names it is for that stand for others.
    pub(super) fn wildcards(&self) -> Vec<&str> {
        let names = self.facts.sans.iter().map(String::as_str);
        names.filter(|name| name.starts_with("*.")).collect()
    }

    /// Whether it could be served under a name.
    pub(super) fn check(&self, name: &DomainName, now: Timestamp) -> Result<(), String> {
        verify(&self.chain, &self.key, name, now, CertificateSource::Imported)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}
