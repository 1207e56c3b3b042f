//! The limits that Let's Encrypt publishes, counted as by a CA.
//!
//! Written apart from the budget that the control plane keeps, and in another way: that one keeps
//! the time at which a bucket is full again, this one keeps what is left of it. So neither can
//! hide a fault of the other. Source: <https://letsencrypt.org/docs/rate-limits/>, 2026-08-05.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use sealwax_core::issuer::LimitScope;
use sealwax_core::{Span, Timestamp};

const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);
/// Levels kept before full ones are forgotten, at first; then whenever their number doubled.
const FORGET_FROM: usize = 4_096;

/// So many at once, refilled by so many in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Most that can be taken at once.
    pub at_once: u64,
    /// How many come back in each period.
    pub count: u64,
    /// The period.
    pub period: Span,
}

impl Allowance {
    /// So many in each period, all at once if need be.
    #[must_use]
    pub const fn per(count: u64, period: Span) -> Self {
        Self { at_once: count, count, period }
    }

    const fn half(self) -> Self {
        // Twice as long for as many, so that nothing is lost to rounding.
        Self { at_once: self.at_once / 2, count: self.count, period: self.period.scale(2, 1) }
    }

    const fn full(self) -> u64 {
        self.at_once.saturating_mul(self.period.millis())
    }
}

/// Every limit that is counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// New orders of an account.
    pub orders: Allowance,
    /// Certificates under one registered domain.
    pub registered_domain: Allowance,
    /// Certificates for exactly one set of names.
    pub exact_set: Allowance,
    /// Failed validations of a name.
    pub failures: Allowance,
    /// Failed validations of a name since the last success.
    pub consecutive_failures: Allowance,
    /// New-order requests from an address.
    pub new_orders: Allowance,
    /// Requests to orders, authorizations, challenges and certificates from an address.
    pub resources: Allowance,
}

impl Published {
    /// Production.
    #[must_use]
    pub const fn lets_encrypt() -> Self {
        let second = Span::from_secs(1);
        Self {
            orders: Allowance::per(300, HOUR.scale(3, 1)),
            registered_domain: Allowance::per(50, DAY.scale(7, 1)),
            exact_set: Allowance::per(5, DAY.scale(7, 1)),
            failures: Allowance::per(5, HOUR),
            consecutive_failures: Allowance { at_once: 1152, count: 1, period: DAY },
            new_orders: Allowance { at_once: 200, count: 300, period: second },
            resources: Allowance { at_once: 125, count: 250, period: second },
        }
    }
}

impl Published {
    /// The same with half of what an account and an address may do.
    pub(crate) const fn half(self) -> Self {
        let orders = self.orders.half();
        let (new_orders, resources) = (self.new_orders.half(), self.resources.half());
        Self { orders, new_orders, resources, ..self }
    }
}

/// What the CA makes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// New names: everything counts.
    New,
    /// The same names as a certificate before it: not the account's orders and the registered
    /// domain.
    SameNames,
    /// Replaces a certificate of the same account, and says so: only requests count.
    Replaces,
}

/// An order, as far as limits go. Names are numbers that the caller gives out.
#[derive(Clone, Copy, Debug)]
pub struct Ordered {
    /// The name.
    pub name: u32,
    /// Its registered domain.
    pub registered: u32,
    /// What it counts for.
    pub standing: Standing,
}

/// Over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which one, in the field's words.
    pub limit: &'static str,
    /// When it has room again.
    pub until: Timestamp,
    /// What it covers.
    pub scope: LimitScope,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    left: u64,
    at: Timestamp,
}

impl Level {
    fn now(self, allowance: Allowance, now: Timestamp) -> u64 {
        let back = now.since(self.at).millis().saturating_mul(allowance.count);
        self.left.saturating_add(back).min(allowance.full())
    }
}

type Levels = HashMap<u32, Level, BuildHasherDefault<Spread>>;

/// The keys are numbers that nobody else chooses: multiplying spreads them well enough.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let word = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = word ^ (word >> 29);
    }
}

/// What one account used, from one address.
#[derive(Debug)]
pub struct Count {
    published: Published,
    account: Level,
    new_orders: Level,
    resources: Level,
    registered: Levels,
    exact: Levels,
    failures: Levels,
    consecutive: Levels,
    forget_at: usize,
}

impl Count {
    /// Nothing used.
    #[must_use]
    pub fn new(published: Published, now: Timestamp) -> Self {
        let full = |allowance: Allowance| Level { left: allowance.full(), at: now };
        Self {
            published,
            account: full(published.orders),
            new_orders: full(published.new_orders),
            resources: full(published.resources),
            registered: Levels::default(),
            exact: Levels::default(),
            failures: Levels::default(),
            consecutive: Levels::default(),
            forget_at: FORGET_FROM,
        }
    }

    /// Counts an order, or refuses it and counts nothing but the request.
    ///
    /// # Errors
    /// The limit that is used up.
    pub fn order(&mut self, order: Ordered, now: Timestamp) -> Result<(), Refused> {
        let limits = self.published;
        take(&mut self.new_orders, limits.new_orders, now)
            .map_err(|until| refused("new-order requests", until, LimitScope::Ca))?;
        if order.standing == Standing::Replaces {
            return Ok(());
        }
        let name = order.name;
        room(self.failures.get(&name), limits.failures, now)
            .map_err(|until| refused("failed validations", until, LimitScope::Name))?;
        room(self.consecutive.get(&name), limits.consecutive_failures, now)
            .map_err(|until| refused("consecutive failures", until, LimitScope::Name))?;
        let new = order.standing == Standing::New;
        room(self.exact.get(&name), limits.exact_set, now)
            .map_err(|until| refused("exact set", until, LimitScope::Name))?;
        if new {
            room(self.registered.get(&order.registered), limits.registered_domain, now).map_err(
                |until| refused("registered domain", until, LimitScope::RegisteredDomain),
            )?;
            take(&mut self.account, limits.orders, now)
                .map_err(|until| refused("orders", until, LimitScope::Account))?;
        }
        Ok(())
    }

    /// Counts the certificate that came of an order.
    pub fn issued(&mut self, order: Ordered, now: Timestamp) {
        let limits = self.published;
        if order.standing == Standing::New {
            spend(&mut self.registered, order.registered, limits.registered_domain, now);
        }
        if order.standing != Standing::Replaces {
            spend(&mut self.exact, order.name, limits.exact_set, now);
        }
        self.forget(now);
    }

    /// Counts a request for an order, an authorization, a challenge or a certificate.
    ///
    /// # Errors
    /// When there are too many.
    pub fn request(&mut self, now: Timestamp) -> Result<(), Refused> {
        take(&mut self.resources, self.published.resources, now)
            .map_err(|until| refused("requests", until, LimitScope::Ca))
    }

    /// A validation of the name failed.
    pub fn failed(&mut self, name: u32, now: Timestamp) {
        spend(&mut self.failures, name, self.published.failures, now);
        spend(&mut self.consecutive, name, self.published.consecutive_failures, now);
    }

    /// A validation of the name succeeded.
    pub fn succeeded(&mut self, name: u32) {
        self.consecutive.remove(&name);
    }

    /// How much of the account's orders is used, in thousandths.
    #[must_use]
    pub fn account_used_permille(&self, now: Timestamp) -> u32 {
        let full = self.published.orders.full().max(1);
        let used = full.saturating_sub(self.account.now(self.published.orders, now));
        u32::try_from(used.saturating_mul(1000) / full).unwrap_or(1000)
    }

    fn forget(&mut self, now: Timestamp) {
        let kept = |levels: &Self| levels.registered.len() + levels.exact.len();
        if kept(self) < self.forget_at {
            return;
        }
        let limits = self.published;
        self.registered.retain(|_, level| {
            level.now(limits.registered_domain, now) < limits.registered_domain.full()
        });
        self.exact.retain(|_, level| level.now(limits.exact_set, now) < limits.exact_set.full());
        self.failures.retain(|_, level| level.now(limits.failures, now) < limits.failures.full());
        self.forget_at = (kept(self) * 2).max(FORGET_FROM);
    }
}

const fn refused(limit: &'static str, until: Timestamp, scope: LimitScope) -> Refused {
    Refused { limit, until, scope }
}

/// There is one left; when there is again, otherwise.
fn room(level: Option<&Level>, allowance: Allowance, now: Timestamp) -> Result<(), Timestamp> {
    let one = allowance.period.millis();
    let left = level.map_or_else(|| allowance.full(), |level| level.now(allowance, now));
    if left >= one {
        return Ok(());
    }
    let wait = (one - left).div_ceil(allowance.count.max(1));
    Err(now + Span::from_millis(wait))
}

fn take(level: &mut Level, allowance: Allowance, now: Timestamp) -> Result<(), Timestamp> {
    room(Some(level), allowance, now)?;
    let left = level.now(allowance, now).saturating_sub(allowance.period.millis());
    *level = Level { left, at: now };
    Ok(())
}

/// Takes one, whether or not it is there.
fn spend(levels: &mut Levels, key: u32, allowance: Allowance, now: Timestamp) {
    let level = levels.entry(key).or_insert_with(|| Level { left: allowance.full(), at: now });
    let left = level.now(allowance, now).saturating_sub(allowance.period.millis());
    *level = Level { left, at: now };
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn ordered(name: u32, standing: Standing) -> Ordered {
        Ordered { name, registered: name, standing }
    }

    #[test]
    fn three_hundred_new_names_at_once_and_then_one_in_thirty_six_seconds() {
        let mut count = Count::new(Published::lets_encrypt(), START);
        let mut now = START;
        for name in 0..300 {
            now = now + Span::from_millis(10);
            count.order(ordered(name, Standing::New), now).unwrap();
        }
        assert_eq!(count.account_used_permille(now), 999);
        let refused = count.order(ordered(300, Standing::New), now).unwrap_err();
        assert_eq!((refused.limit, refused.scope), ("orders", LimitScope::Account));
        assert_eq!(refused.until, START + Span::from_millis(36_010));
        count.order(ordered(7, Standing::SameNames), now).unwrap();
        count.order(ordered(300, Standing::New), refused.until).unwrap();
    }

    #[test]
    fn five_certificates_of_one_name_a_week_unless_each_replaces_the_last() {
        let mut count = Count::new(Published::lets_encrypt(), START);
        for standing in [Standing::New, Standing::SameNames].into_iter().cycle().take(5) {
            count.order(ordered(1, standing), START).unwrap();
            count.issued(ordered(1, standing), START);
        }
        let refused = count.order(ordered(1, Standing::SameNames), START).unwrap_err();
        assert_eq!((refused.limit, refused.until.since(START).secs()), ("exact set", 120_960));
        count.order(ordered(1, Standing::Replaces), START).unwrap();
    }

    #[test]
    fn five_failures_an_hour_and_a_success_ends_only_the_long_count() {
        let mut count = Count::new(Published::lets_encrypt(), START);
        for _ in 0..5 {
            count.failed(1, START);
        }
        count.succeeded(1);
        let refused = count.order(ordered(1, Standing::New), START).unwrap_err();
        assert_eq!((refused.limit, refused.until.since(START).secs()), ("failed validations", 720));
    }

    #[test]
    fn requests_are_counted_by_the_second() {
        let mut count = Count::new(Published::lets_encrypt(), START);
        for _ in 0..125 {
            count.request(START).unwrap();
        }
        let refused = count.request(START).unwrap_err();
        assert_eq!(refused.until.since(START).millis(), 4);
        count.request(refused.until).unwrap();
    }
}
