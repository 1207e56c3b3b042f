//! Which certificate goes where: for each name the best of those that were found.

use std::collections::BTreeMap;

use sealwax_core::Timestamp;
use sealwax_core::certificate::{Candidate, kept};
use sealwax_protocol::DomainName;

use super::bundle::Bundle;

/// Names stand at most in the subject.
const NO_NAMES: &str = "it has no DNS name in its subject alternative names, and clients do not \
                        read the common name";

/// What to do with what was found.
#[derive(Default)]
pub(super) struct Plan {
    /// For each name the position of the best bundle.
    pub(super) bring: BTreeMap<DomainName, usize>,
    /// What is left, and why.
    pub(super) left: Vec<Left>,
    /// Names that were asked for and that no certificate has, and what is there instead.
    pub(super) missing: Vec<(String, String)>,
}

/// A name of a certificate that is not brought.
pub(super) struct Left {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) why: String,
    /// It could not be served; otherwise another is better, or it was not asked for.
    pub(super) refused: bool,
}

impl Plan {
    /// Goes through the bundles in order. With no names asked for, all that can be registered are.
    pub(super) fn make(bundles: &[Bundle], asked: &[DomainName], now: Timestamp) -> Self {
        let mut plan = Self::default();
        for (index, bundle) in bundles.iter().enumerate() {
            let names = if asked.is_empty() { bundle.names() } else { fitting(bundle, asked) };
            if asked.is_empty() {
                plan.leave_wildcards(bundle, names.is_empty());
            } else if bundle.facts.sans.is_empty() {
                plan.leave(bundle, "-", NO_NAMES.to_owned(), true);
            }
            for name in names {
                plan.weigh(bundles, index, name, now);
            }
        }
        let seen = |name: &DomainName| {
            plan.bring.contains_key(name) || plan.left.iter().any(|left| left.name == name.as_str())
        };
        let missing = asked.iter().filter(|name| !seen(name));
        let there = match bundles {
            [one] if !one.facts.sans.is_empty() => {
                format!("the certificate covers {}", one.facts.sans.join(", "))
            }
            _ => "no certificate that was found covers it".to_owned(),
        };
        plan.missing = missing.map(|name| (name.to_string(), there.clone())).collect();
        plan
    }

    fn leave_wildcards(&mut self, bundle: &Bundle, only: bool) {
        for wildcard in bundle.wildcards() {
            let why = "a wildcard is registered nowhere by itself: name the domains below it, as in \
                       `sealwax cert import DOMAIN… --from …`";
            self.leave(bundle, wildcard, why.to_owned(), only);
        }
        if only && bundle.wildcards().is_empty() {
            let why = if bundle.facts.sans.is_empty() {
                NO_NAMES
            } else {
                "none of its names can be registered"
            };
            self.leave(bundle, "-", why.to_owned(), true);
        }
    }

    fn weigh(&mut self, bundles: &[Bundle], index: usize, name: DomainName, now: Timestamp) {
        let Some(bundle) = bundles.get(index) else { return };
        if let Err(why) = bundle.check(&name, now) {
            return self.leave(bundle, name.as_str(), why, true);
        }
        let best = self.bring.get(&name).and_then(|&best| bundles.get(best));
        let Some(best) = best else {
            self.bring.insert(name, index);
            return;
        };
        let candidate = |of: &Bundle| (of.facts.clone(), of.trust);
        let (ours, theirs) = (candidate(best), candidate(bundle));
        let held = Candidate { facts: &ours.0, trust: ours.1 };
        let other = Candidate { facts: &theirs.0, trust: theirs.1 };
        if ours.0.fingerprint_sha256 == theirs.0.fingerprint_sha256 {
            self.leave(bundle, name.as_str(), format!("the same as in {}", best.place), false);
        } else if let Some(why) = kept(&held, &other, now) {
            let why = format!("a better one is in {}: {why}", best.place);
            self.leave(bundle, name.as_str(), why, false);
        } else {
            let why = format!("a better one is in {}", bundle.place);
            self.leave(best, name.as_str(), why, false);
            self.bring.insert(name, index);
        }
    }

    fn leave(&mut self, bundle: &Bundle, name: &str, why: String, refused: bool) {
        let (place, name) = (bundle.place.clone(), name.to_owned());
        self.left.push(Left { place, name, why, refused });
    }
}

/// Those of the names that the certificate covers, by themselves or as a wildcard does.
fn fitting(bundle: &Bundle, asked: &[DomainName]) -> Vec<DomainName> {
    let fits = |name: &&DomainName| bundle.facts.covers(name);
    asked.iter().filter(fits).cloned().collect()
}
