//! One domain, one pair of hands within this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sealwax_protocol::DomainName;

/// The domains that are being worked on. Bounded by the queue's number of runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<DomainName>>>);

/// Keeps a domain to its holder; gives it back when dropped, a panic included.
#[derive(Debug)]
pub(crate) struct Hold {
    domains: InFlight,
    domain: DomainName,
}

impl InFlight {
    /// `None`: someone has it already.
    pub(crate) fn hold(&self, domain: &DomainName) -> Option<Hold> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = held.insert(domain.clone());
        free.then(|| Hold { domains: self.clone(), domain: domain.clone() })
    }

    pub(crate) fn has(&self, domain: &DomainName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(domain)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.domains.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.domain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_held_once_and_given_back_even_by_a_panic() {
        let held = InFlight::default();
        let domain = DomainName::parse("a.example.com").unwrap();
        let first = held.hold(&domain);
        assert!(first.is_some());
        assert!(held.has(&domain) && held.hold(&domain).is_none());
        let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _first = first;
            panic!("a bug in a step");
        }));
        assert!(gone.is_err());
        assert!(!held.has(&domain) && held.hold(&domain).is_some());
        assert_eq!(held.len(), 0);
    }
}
