//! The border that every chain and key from outside passes: from a file, the API or a CA. PEM is
//! parsed, put in order, and written anew from DER, so that no one's text is stored or sent.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::X509Certificate;

use super::blocks::Blocks;
use super::{
    CHAIN_CERTIFICATES_MAX, Chain, ChainError, KeyError, fitness, key, parse, path, signature,
};
use crate::pem::certificate_pem;
use crate::secret::PrivateKey;

/// Most certificates in one text, before those of no use are left out.
const CERTIFICATES_MAX: usize = 32;

/// A chain in its normal form, and what had to be done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Leaf first, then each one's issuer, without a root.
    pub chain: Chain,
    /// What was left out, and what is missing.
    pub notes: Vec<Note>,
}

/// Something about a chain that someone may want to know. None of it keeps it from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A private key stood in the text of the chain; it is neither stored nor sent.
    KeyLeftOut,
    /// A certificate stood there more than once.
    Twice,
    /// The certificates did not stand in order.
    Sorted,
    /// The root needs no sending: who trusts it has it.
    RootLeftOut(String),
    /// Issued none of the others.
    Unrelated(String),
    /// Clients of some kind do not take such a leaf, though Envoy loads it.
    FewClients(&'static str),
    /// The issuer of the leaf is not there: only clients that fetch or know it trust the leaf.
    IssuerMissing(String),
}

impl Note {
    /// Some visitors may see a warning because of it.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(self, Self::IssuerMissing(_) | Self::FewClients(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyLeftOut => f.write_str("a private key beside the chain is not kept with it"),
            Self::Twice => f.write_str("a certificate that was there twice is kept once"),
            Self::Sorted => f.write_str("the certificates were put in order"),
            Self::RootLeftOut(name) => write!(f, "the root {name:?} is left out"),
            Self::Unrelated(name) => {
                write!(f, "the certificate of {name:?} is left out: it issued none of the others")
            }
            Self::FewClients(why) => f.write_str(why),
            Self::IssuerMissing(name) => write!(
                f,
                "the issuer's certificate {name:?} is missing from the chain: many clients will \
                 not trust it; add the intermediate"
            ),
        }
    }
}

/// Reads a chain without its key, as a CA sends it.
///
/// # Errors
/// It cannot be read, is empty, or is over a bound.
pub fn read_chain(text: &[u8]) -> Result<Read, ChainError> {
    let blocks = Blocks::read(text)?;
    arranged(&blocks, &[])
}

/// Reads a chain and its private key. They may stand in one text, given twice or as the chain.
///
/// # Errors
/// As [`read_chain`], and when there is no private key that can be used.
pub fn read_pair(chain: &[u8], key: &[u8]) -> Result<(Read, PrivateKey), ChainError> {
    let blocks = Blocks::read(chain)?;
    let mut keys = if key == chain {
        key::all(&blocks)
    } else {
        Blocks::read(key).map_err(key::unread).and_then(|blocks| key::all(&blocks))
    };
    let read = arranged(&blocks, keys.as_deref().unwrap_or_default())?;
    let leaf = read.chain.leaf_der()?;
    // What is wrong with the certificate is the better reason: its key is of the same kind.
    fitness::check_kind(&parse(&CertificateDer::from(leaf.as_slice()))?)?;
    if let Ok(found) = &mut keys
        && found.len() > 1
        && found.iter().any(|one| one.expose() != found.first().map_or(&[][..], |it| it.expose()))
    {
        found.retain(|key| signature::is_key_of(key, &leaf));
        if found.is_empty() {
            return Err(ChainError::Key(KeyError::Several));
        }
    }
    let key = keys?.into_iter().next().ok_or(KeyError::None)?;
    Ok((read, key))
}

fn arranged(blocks: &Blocks, keys: &[PrivateKey]) -> Result<Read, ChainError> {
    let found = &blocks.certificates;
    match found.len() {
        0 if blocks.other.is_empty() => return Err(ChainError::Empty),
        0 => return Err(ChainError::OtherBlocks(blocks.other.join(", "))),
        n if n > CERTIFICATES_MAX => return Err(ChainError::TooLarge),
        _ => {}
    }
    let mut notes = Vec::new();
    if !blocks.keys.is_empty() || blocks.encrypted {
        notes.push(Note::KeyLeftOut);
    }
    let mut once: Vec<&CertificateDer<'static>> = Vec::with_capacity(found.len());
    for der in found {
        if !once.contains(&der) {
            once.push(der);
        }
    }
    if once.len() < found.len() {
        notes.push(Note::Twice);
    }
    let parsed: Vec<X509Certificate<'_>> = once
        .iter()
        .zip(1_usize..)
        .map(|(der, number)| parse(der).map_err(|_| ChainError::NoX509 { number, of: once.len() }))
        .collect::<Result<_, _>>()?;
    let leaf = path::leaf(&parsed, &once, keys);
    let ordered = path::from(leaf, &parsed, &mut notes);
    notes.extend(parsed.get(leaf).and_then(fitness::few_clients).map(Note::FewClients));
    if ordered.len() > CHAIN_CERTIFICATES_MAX {
        return Err(ChainError::TooLarge);
    }
    let pem = ordered.iter().filter_map(|&index| once.get(index)).map(|der| certificate_pem(der));
    Ok(Read { chain: Chain::from_pem(pem.collect())?, notes })
}

#[cfg(test)]
mod tests;
