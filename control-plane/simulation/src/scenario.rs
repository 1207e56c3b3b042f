//! What happens to the fleet.

use sealwax_core::Span;
use sealwax_core::budget::{Limit, Limits, RequestLimits};
use serde::Serialize;

use crate::published::Published;

const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);
/// Most domains: their numbers and times fit into four bytes, all of them into a gigabyte.
pub(crate) const DOMAINS_MAX: u32 = 10_000_000;
/// Most days.
pub(crate) const DAYS_MAX: u32 = 3_650;

/// A fleet, and what happens to it. Moments are counted from the start.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Names with a certificate at the start.
    pub domains: u32,
    /// How long it goes on.
    pub days: u32,
    /// Repeats the run.
    pub seed: u64,
    /// How the fleet stands at the start.
    pub start: Start,
    /// What certificates live, from when on; the first one from the start, in order.
    pub eras: Vec<Era>,
    /// When the CA does not answer.
    pub outages: Vec<Outage>,
    /// Names that are registered together.
    pub import: Option<Import>,
    /// Certificates the CA withdraws together.
    pub revocation: Option<Revocation>,
    /// Names whose validation fails for ever, in thousandths.
    pub broken_permille: u64,
    /// The budget the control plane keeps.
    pub limits: Limits,
    /// The limits the CA has.
    pub published: Published,
    /// Orders begun in a second, by all replicas together: what the CA's limit on requests allows
    /// with ten requests an order and a fifth left free.
    pub orders_per_second: u64,
    /// How often due names are looked for.
    pub sweep_interval: Span,
}

/// How the fleet stands at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As after years: each name in its place in the cycle.
    InPlace,
    /// Every certificate was issued within the day before.
    Together,
}

/// From then on, certificates live so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    /// Since when.
    pub from: Span,
    /// How long.
    pub life: Span,
}

/// The CA does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Since when.
    pub from: Span,
    /// Until when.
    pub to: Span,
}

/// Names are registered together, each wanting a certificate at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// When.
    pub at: Span,
    /// How many.
    pub domains: u32,
}

/// The CA withdraws certificates: their renewal windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Span,
    /// How many of all, in thousandths.
    pub permille: u64,
}

/// The scenarios that are asked about most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Nothing happens.
    Steady,
    /// 50,000 domains are imported.
    Import,
    /// The CA is away for 48 hours.
    Outage,
    /// A fifth of all certificates is revoked.
    Revocation,
    /// Certificates of 90 days become ones of 45 and then of six.
    Lifetimes,
}

impl Preset {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Steady, Self::Import, Self::Outage, Self::Revocation, Self::Lifetimes];

    /// The spelling on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Import => "import",
            Self::Outage => "outage",
            Self::Revocation => "revocation",
            Self::Lifetimes => "lifetimes",
        }
    }
}

impl Scenario {
    /// A fleet in its place, of `classic` certificates, with Let's Encrypt's limits, to which
    /// nothing happens.
    #[must_use]
    pub fn steady(domains: u32, days: u32) -> Self {
        Self {
            domains,
            days,
            seed: 1,
            start: Start::InPlace,
            eras: vec![Era { from: Span::ZERO, life: DAY.scale(90, 1) }],
            outages: Vec::new(),
            import: None,
            revocation: None,
            broken_permille: 0,
            limits: Limits::default(),
            published: Published::lets_encrypt(),
            orders_per_second: 20,
            sweep_interval: Span::from_secs(5),
        }
    }

    /// One of the presets.
    #[must_use]
    pub fn preset(preset: Preset, domains: u32, days: u32) -> Self {
        let steady = Self::steady(domains, days);
        let part = |of: u64, parts: u64| DAY.scale(u64::from(days) * of, parts);
        match preset {
            Preset::Steady => steady,
            Preset::Import => {
                Self { import: Some(Import { at: part(1, 10), domains: 50_000 }), ..steady }
            }
            Preset::Outage => {
                let from = part(1, 10);
                Self { outages: vec![Outage { from, to: from + HOUR.scale(48, 1) }], ..steady }
            }
            Preset::Revocation => {
                Self { revocation: Some(Revocation { at: part(1, 10), permille: 200 }), ..steady }
            }
            Preset::Lifetimes => {
                let days = |life| DAY.scale(life, 1);
                let eras = vec![
                    Era { from: Span::ZERO, life: days(90) },
                    Era { from: part(2, 5), life: days(45) },
                    // Let's Encrypt's `shortlived` profile.
                    Era { from: part(4, 5), life: HOUR.scale(160, 1) },
                ];
                Self { eras, ..steady }
            }
        }
    }

    /// All names there ever are.
    #[must_use]
    pub fn names(&self) -> u32 {
        self.domains.saturating_add(self.import.map_or(0, |import| import.domains))
    }

    /// How long a certificate lives that is issued at this moment.
    #[must_use]
    pub fn life_at(&self, at: Span) -> Span {
        let era = self.eras.iter().rev().find(|era| era.from <= at).or_else(|| self.eras.first());
        era.map_or(Span::ZERO, |era| era.life)
    }

    /// The CA answers at this moment.
    #[must_use]
    pub fn is_up_at(&self, at: Span) -> bool {
        !self.outages.iter().any(|outage| outage.from <= at && at < outage.to)
    }

    /// The same with half of what the account and the address may do.
    pub(crate) fn half(&self) -> Self {
        let half = |limit: Limit| limit.share(500);
        let requests = RequestLimits {
            new_order: half(self.limits.requests.new_order),
            resource: half(self.limits.requests.resource),
            ..self.limits.requests.clone()
        };
        let orders_per_account = half(self.limits.orders_per_account);
        Self {
            limits: Limits { orders_per_account, requests, ..self.limits.clone() },
            published: self.published.half(),
            orders_per_second: self.orders_per_second.div_ceil(2),
            ..self.clone()
        }
    }

    /// Checks that it can be run.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let names = u64::from(self.domains) + u64::from(self.import.map_or(0, |all| all.domains));
        if names == 0 || names > u64::from(DOMAINS_MAX) {
            return Err(ScenarioError::Domains);
        }
        if self.days == 0 || self.days > DAYS_MAX {
            return Err(ScenarioError::Days);
        }
        let lives = self.eras.iter().map(|era| era.life);
        let (least, most) = (DAY, DAY.scale(398, 1));
        if self.eras.is_empty() || lives.into_iter().any(|life| life < least || life > most) {
            return Err(ScenarioError::Life);
        }
        let from = self.eras.iter().map(|era| era.from);
        if self.eras.first().is_some_and(|era| era.from > Span::ZERO) || !from.is_sorted() {
            return Err(ScenarioError::Eras);
        }
        if self.outages.iter().any(|outage| outage.from >= outage.to) {
            return Err(ScenarioError::Outage);
        }
        if self.orders_per_second == 0 || self.sweep_interval < Span::from_millis(50) {
            return Err(ScenarioError::Pace);
        }
        Ok(())
    }
}

/// Why a scenario cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// Too few or too many domains.
    #[error("domains, imported ones included: from 1 to {DOMAINS_MAX}")]
    Domains,
    /// Too few or too many days.
    #[error("days: from 1 to {DAYS_MAX}")]
    Days,
    /// A life no CA gives.
    #[error("a certificate's life: from 1 to 398 days")]
    Life,
    /// Out of order.
    #[error("lives: the first one from day 0 on, the others in the order of their days")]
    Eras,
    /// Ends before it begins.
    #[error("an outage: it has to end after it begins")]
    Outage,
    /// Nothing would ever be done.
    #[error("orders per second: at least 1; sweeps: at least 50 ms apart")]
    Pace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_can_be_run_and_nonsense_is_refused() {
        for preset in Preset::ALL {
            assert_eq!(Scenario::preset(preset, 1_000, 365).check(), Ok(()));
        }
        let steady = Scenario::steady(10, 10);
        let outage = Outage { from: DAY, to: DAY };
        let refused = [
            Scenario { domains: 0, ..steady.clone() },
            Scenario { days: 0, ..steady.clone() },
            Scenario { eras: Vec::new(), ..steady.clone() },
            Scenario { outages: vec![outage], ..steady.clone() },
            Scenario { orders_per_second: 0, ..steady },
        ];
        assert!(refused.iter().all(|scenario| scenario.check().is_err()));
    }

    #[test]
    fn lives_and_outages_begin_and_end_when_they_are_said_to() {
        let scenario = Scenario::preset(Preset::Lifetimes, 10, 100);
        let days = |at| scenario.life_at(DAY.scale(at, 1)).secs() / 86_400;
        assert_eq!([days(0), days(39), days(40), days(79), days(80)], [90, 90, 45, 45, 6]);
        let scenario = Scenario::preset(Preset::Outage, 10, 100);
        let up = |hour| scenario.is_up_at(HOUR.scale(hour, 1));
        assert_eq!([up(239), up(240), up(287), up(288)], [true, false, false, true]);
    }
}
