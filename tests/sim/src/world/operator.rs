//! What an operator writes between a replica's effects, as the admin API does.

use sealwax_core::store::{Change, Expected};
use sealwax_core::{DomainRecord, Registration, Work, apply};
use sealwax_protocol::DomainName;

use super::World;
use crate::plan::Trouble;

/// Writes of an operator, of a thousand effects while there are some.
const PUTS_PERMILLE: u64 = 120;
/// Of them, wishes for a new certificate.
const RENEWALS_PERMILLE: u64 = 30;

impl World {
    /// Somebody registers the name again, or wants it renewed, just now.
    pub(crate) fn operator_may_write(&self, domain: &DomainName) {
        let is = |trouble| self.plan.is(trouble, self.time.passed());
        if !is(Trouble::Puts) || is(Trouble::StoreDown) {
            return;
        }
        let dice = self.dice("operator", domain.as_str());
        if !dice.chance(PUTS_PERMILLE) {
            return;
        }
        if dice.chance(RENEWALS_PERMILLE) {
            self.renew(domain);
        } else {
            self.register_again(domain, u8::try_from(dice.below(200)).unwrap());
        }
    }

    /// An operator asks for a new certificate.
    pub(crate) fn renew(&self, domain: &DomainName) {
        let now = self.time.now();
        let wrote = self.change(domain, |record| apply::force(record, now));
        if wrote {
            self.note(&format!("{domain} is renewed by hand"));
        }
    }

    /// The platform says again what it said, with another priority. One that is parked stays so:
    /// that it is back would be news.
    fn register_again(&self, domain: &DomainName, priority: u8) {
        let wrote = self.change(domain, |record| {
            let parked = record.work == Work::Parked;
            let registration =
                Registration { priority: Some(priority), ..record.registration.clone() };
            (!parked).then(|| DomainRecord { registration, ..record.clone() })
        });
        if wrote && self.plan.traced {
            self.note(&format!("{domain} is registered again"));
        }
    }

    fn change(
        &self,
        domain: &DomainName,
        change: impl FnOnce(&DomainRecord) -> Option<DomainRecord>,
    ) -> bool {
        let Some(entry) = self.entry(domain) else { return false };
        let Some(changed) = change(&entry.stored.record) else { return false };
        let changed = DomainRecord { updated_at: self.time.now(), ..changed };
        let change = Change::of(changed, Expected::Version(entry.stored.version));
        self.put(change).unwrap();
        self.watch.pace.outside(self, domain);
        true
    }
}
