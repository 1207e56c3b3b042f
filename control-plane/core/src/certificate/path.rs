//! Which certificate is the leaf, and who issued whom.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::X509Certificate;

use super::material::Note;
use super::signature;
use crate::secret::PrivateKey;

/// The position of the leaf: the one with the private key, as far as that is known; otherwise the
/// first that is no CA and issued none of the others.
pub(super) fn leaf(
    parsed: &[X509Certificate<'_>],
    der: &[&CertificateDer<'static>],
    keys: &[PrivateKey],
) -> usize {
    let is_keyed =
        |der: &&CertificateDer<'_>| keys.iter().any(|key| signature::is_key_of(key, der));
    let issued_none = |one: &X509Certificate<'_>| {
        let mut others = parsed.iter().filter(|other| other.as_raw() != one.as_raw());
        !others.any(|other| other.issuer().as_raw() == one.subject().as_raw())
    };
    let keyed = || der.iter().position(is_keyed);
    let end = || parsed.iter().position(|one| !one.is_ca() && issued_none(one));
    let last = || parsed.iter().position(issued_none);
    keyed().or_else(end).or_else(last).unwrap_or_default()
}

/// The positions from the leaf up, each followed by its issuer, without a root.
pub(super) fn from(
    leaf: usize,
    parsed: &[X509Certificate<'_>],
    notes: &mut Vec<Note>,
) -> Vec<usize> {
    let mut path = vec![leaf];
    let mut complete = false;
    let mut used = vec![false; parsed.len()];
    let mut at = leaf;
    loop {
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        let Some(child) = parsed.get(at) else { break };
        if is_self_issued(child) {
            complete = true;
            break;
        }
        let next = parsed.iter().enumerate().find(|(index, parent)| {
            used.get(*index) == Some(&false) && signature::issued(parent, child)
        });
        let Some((index, parent)) = next else { break };
        if is_self_issued(parent) {
            notes.push(Note::RootLeftOut(parent.subject().to_string()));
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
            complete = true;
            break;
        }
        path.push(index);
        at = index;
    }
    if path.windows(2).any(|pair| matches!(pair, [one, other] if one > other)) {
        notes.push(Note::Sorted);
    }
    let unused = parsed.iter().zip(&used).filter(|(_, used)| !**used);
    notes.extend(unused.map(|(one, _)| Note::Unrelated(one.subject().to_string())));
    if let ([_], false, Some(leaf)) = (path.as_slice(), complete, parsed.get(leaf)) {
        notes.push(Note::IssuerMissing(leaf.issuer().to_string()));
    }
    path
}

fn is_self_issued(one: &X509Certificate<'_>) -> bool {
    one.subject().as_raw() == one.issuer().as_raw()
}
