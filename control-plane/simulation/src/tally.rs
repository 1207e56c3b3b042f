//! Counts what happens.

use sealwax_core::{Span, Timestamp};

use crate::fleet::{Name, Rests};
use crate::moment::{START, hour};
use crate::outcome::{Imported, MARGINS, Outcome, Revoked};
use crate::scenario::Scenario;
use crate::walk::{Ended, Walked};
use crate::world::Ca;

/// What is counted while it happens.
#[derive(Debug)]
pub(crate) struct Tally {
    outcome: Outcome,
    /// Last hour whose end was noted.
    hours_passed: usize,
    revoked_at: Timestamp,
    revoked: u64,
    replaced: u64,
    last_replaced_at: Timestamp,
    imported: u64,
    last_imported_at: Timestamp,
}

impl Tally {
    pub(crate) fn new(hours: usize) -> Self {
        let outcome = Outcome {
            orders_per_hour: vec![0; hours],
            failures_per_hour: vec![0; hours],
            budget_permille: vec![0; hours],
            margin_min_permille: 1000,
            ..Outcome::default()
        };
        Self {
            outcome,
            hours_passed: 0,
            revoked_at: START,
            revoked: 0,
            replaced: 0,
            last_replaced_at: START,
            imported: 0,
            last_imported_at: START,
        }
    }

    pub(crate) fn backlog(&mut self, waiting: usize) {
        self.outcome.backlog_max = self.outcome.backlog_max.max(waiting);
    }

    pub(crate) fn revoked(&mut self, names: &[Name], now: Timestamp) {
        self.revoked_at = now;
        let revoked = names.iter().filter(|name| name.revoked).count();
        self.revoked = u64::try_from(revoked).unwrap_or(u64::MAX);
    }

    /// Notes how the budget stands whenever an hour is over.
    pub(crate) fn passed(&mut self, now: Timestamp, ca: &Ca<'_>) {
        while self.hours_passed < hour(now) {
            let used = ca.account_used_permille(now);
            add(&mut self.outcome.budget_permille, self.hours_passed, used);
            self.hours_passed += 1;
        }
    }

    pub(crate) fn walked(&mut self, before: &Name, walked: &Walked, now: Timestamp, import: bool) {
        let hour = hour(now);
        self.outcome.orders += u64::from(walked.orders);
        add(&mut self.outcome.orders_per_hour, hour, walked.orders);
        match walked.ended {
            Ended::Idle | Ended::Waits(_) => {}
            Ended::Failed => {
                self.outcome.failed_attempts += 1;
                add(&mut self.outcome.failures_per_hour, hour, 1);
            }
            Ended::Issued => {
                self.outcome.certificates += 1;
                if before.has_certificate() {
                    self.renewed(before, now);
                } else if import {
                    self.imported += 1;
                    self.last_imported_at = now;
                }
            }
        }
    }

    fn renewed(&mut self, before: &Name, now: Timestamp) {
        let not_after = before.not_after.timestamp();
        if now >= not_after {
            self.outcome.expired += 1;
        }
        let life = not_after.since(before.not_before.timestamp()).millis().max(1);
        let left = not_after.since(now).millis();
        let part = left * u64::try_from(MARGINS).unwrap_or(1) / life;
        let part = usize::try_from(part).unwrap_or(MARGINS).min(MARGINS - 1);
        if let Some(margin) = self.outcome.margins.get_mut(part) {
            *margin += 1;
        }
        let permille = left.saturating_mul(1000) / life;
        self.outcome.margin_min_permille = self.outcome.margin_min_permille.min(permille);
        if before.revoked {
            self.replaced += 1;
            self.last_replaced_at = now;
        }
    }

    /// The end: adds what can only be seen now.
    pub(crate) fn outcome(&self, scenario: &Scenario, names: &[Name], ca: &Ca<'_>) -> Outcome {
        let end = START + Span::from_secs(u64::from(scenario.days) * 86_400);
        let ran_out = |name: &&Name| {
            !name.broken && name.has_certificate() && name.not_after.timestamp() <= end
        };
        let forgotten = |name: &&Name| match name.rests {
            Rests::Unknown | Rests::Parked => false,
            Rests::Idle | Rests::Wanted | Rests::Ordering => {
                name.wake_at == crate::moment::Moment::NEVER
            }
        };
        let count = |which: &dyn Fn(&&Name) -> bool| {
            u64::try_from(names.iter().filter(which).count()).unwrap_or(u64::MAX)
        };
        // The hour in which it ends has no length.
        let hours = usize::try_from(u64::from(scenario.days) * 24).unwrap_or_default();
        let mut outcome = self.outcome.clone();
        outcome.orders_per_hour.truncate(hours);
        outcome.failures_per_hour.truncate(hours);
        outcome.budget_permille.truncate(hours);
        let peak = outcome.orders_per_hour.iter().copied().max().unwrap_or_default();
        let mean = float(outcome.orders) / float(u64::from(scenario.days) * 24).max(1.0);
        Outcome {
            domains: scenario.names(),
            days: scenario.days,
            seed: scenario.seed,
            expired: outcome.expired + count(&ran_out),
            limit_violations: ca.violations.values().sum(),
            violations: ca.violations.clone(),
            peak_per_hour: peak,
            mean_per_hour: mean,
            peak_to_mean: if mean > 0.0 { f64::from(peak) / mean } else { 0.0 },
            broken: count(&|name| name.broken),
            forgotten: count(&forgotten),
            imported: scenario.import.map(|import| Imported {
                domains: u64::from(import.domains),
                issued: self.imported,
                hours: hours_between(START + import.at, self.last_imported_at),
            }),
            revoked: scenario.revocation.map(|_| Revoked {
                certificates: self.revoked,
                replaced: self.replaced,
                hours: hours_between(self.revoked_at, self.last_replaced_at),
            }),
            ..outcome
        }
    }
}

fn add(hours: &mut [u32], hour: usize, more: u32) {
    if let Some(count) = hours.get_mut(hour) {
        *count = count.saturating_add(more);
    }
}

fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    float(to.since(from).secs()) / 3_600.0
}

/// Counts stay far below 2^53.
const fn float(count: u64) -> f64 {
    count as f64
}
