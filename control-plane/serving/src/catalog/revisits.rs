//! Visits to domains that the platform said are gone: each is reason to ask again, but a flood of
//! them is no reason to ask often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::departure::VISIT_WAITING;
use sealwax_protocol::DomainName;
use tokio::time::Instant;

/// Most domains asked about again within [`WINDOW`], by this process: the platform that forgot
/// many domains hears of them one after the other.
const DOMAINS_MAX: usize = 300;
/// A domain is asked about once within this time, by this process. The record has a bound of its
/// own, for all of them.
const WINDOW: Duration = VISIT_WAITING.duration();

/// Which domains were asked about lately.
#[derive(Debug, Default)]
pub(super) struct Revisits(Mutex<HashMap<DomainName, Instant>>);

impl Revisits {
    /// The domain may be asked about now, and counts as asked about from now on.
    pub(super) fn admits(&self, domain: &DomainName) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !free(&asked, domain) {
            return false;
        }
        if asked.len() >= DOMAINS_MAX {
            asked.retain(|_, at| at.elapsed() < WINDOW);
        }
        let room = asked.len() < DOMAINS_MAX || asked.contains_key(domain);
        if room {
            asked.insert(domain.clone(), Instant::now());
        }
        room
    }

    /// It is worth a look whether the domain may be asked about.
    pub(super) fn may_admit(&self, domain: &DomainName) -> bool {
        free(&self.0.lock().unwrap_or_else(PoisonError::into_inner), domain)
    }
}

fn free(asked: &HashMap<DomainName, Instant>, domain: &DomainName) -> bool {
    asked.get(domain).is_none_or(|at| at.elapsed() >= WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> DomainName {
        DomainName::parse(&format!("d{number}.example.com")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_is_asked_about_once_in_a_while_and_so_many_of_them_at_most() {
        let revisits = Revisits::default();
        assert!(revisits.may_admit(&name(0)) && revisits.admits(&name(0)));
        assert!(!revisits.may_admit(&name(0)) && !revisits.admits(&name(0)));
        let admitted = (0..2 * DOMAINS_MAX).filter(|n| revisits.admits(&name(*n))).count();
        assert_eq!(admitted, DOMAINS_MAX - 1);
        tokio::time::advance(WINDOW).await;
        assert!(revisits.admits(&name(0)) && revisits.admits(&name(2 * DOMAINS_MAX)));
    }
}
