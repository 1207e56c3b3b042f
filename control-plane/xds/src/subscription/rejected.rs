//! Versions an edge has refused.

use std::collections::{HashMap, VecDeque};

use sealwax_protocol::DomainName;

use crate::served::Version;

/// Most names remembered; beyond it the oldest are forgotten and may be tried once more.
const NAMES_MAX: usize = 1024;
/// Versions remembered of a name. More than one, since refusals of old versions may still arrive
/// after that of the current one.
const VERSIONS_PER_NAME: usize = 4;

/// The last refused versions of each name. Outlives the subscription: an edge that unsubscribes
/// after a refusal and asks again for its next handshake is not sent the same thing once more.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    versions: HashMap<DomainName, [Version; VERSIONS_PER_NAME]>,
    order: VecDeque<DomainName>,
}

impl Rejected {
    pub(super) fn insert(&mut self, name: &DomainName, version: Version) {
        if self.is(name, version) {
            return;
        }
        if let Some(versions) = self.versions.get_mut(name) {
            versions.rotate_right(1);
            let [newest, ..] = versions;
            *newest = version;
            return;
        }
        let mut versions = [Version::NONE; VERSIONS_PER_NAME];
        let [newest, ..] = &mut versions;
        *newest = version;
        self.versions.insert(name.clone(), versions);
        self.order.push_back(name.clone());
        if self.order.len() > NAMES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.versions.remove(&oldest);
        }
    }

    pub(super) fn is(&self, name: &DomainName, version: Version) -> bool {
        self.versions.get(name).is_some_and(|versions| versions.contains(&version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stay() {
        let mut rejected = Rejected::default();
        let name = |n: usize| DomainName::parse(&format!("{n}.example.com")).unwrap();
        let version = |n: u64| Version::parse(format!("{n:016x}").as_bytes());
        for n in 0..NAMES_MAX + 1 {
            rejected.insert(&name(n), version(7));
        }
        assert!(!rejected.is(&name(0), version(7)) && rejected.is(&name(1), version(7)));
        for n in 8..12 {
            rejected.insert(&name(1), version(n));
        }
        assert!(!rejected.is(&name(1), version(7)));
        assert!((8..12).all(|n| rejected.is(&name(1), version(n))));
        assert_eq!((rejected.versions.len(), rejected.order.len()), (NAMES_MAX, NAMES_MAX));
    }
}
