//! What came of a scenario.

use std::collections::BTreeMap;

use serde::Serialize;

/// Parts of a certificate's life in the histogram of margins.
pub(crate) const MARGINS: usize = 20;

/// Everything counted. Hours are counted from the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Names, imported ones included.
    pub domains: u32,
    /// How long it went on.
    pub days: u32,
    /// Repeats it.
    pub seed: u64,
    /// Orders the CA took.
    pub orders: u64,
    /// Certificates issued.
    pub certificates: u64,
    /// Walks that ended in a failure.
    pub failed_attempts: u64,
    /// Certificates of names in order that ran out before their renewal.
    pub expired: u64,
    /// Orders and requests over a limit of the CA.
    pub limit_violations: u64,
    /// The same by limit.
    pub violations: BTreeMap<&'static str, u64>,
    /// Most orders in an hour.
    pub peak_per_hour: u32,
    /// Orders in an hour on average.
    pub mean_per_hour: f64,
    /// The one by the other.
    pub peak_to_mean: f64,
    /// Most names that waited in the lanes.
    pub backlog_max: usize,
    /// Least life a certificate had left when it was renewed, in thousandths of its life.
    pub margin_min_permille: u64,
    /// Names whose validation fails for ever.
    pub broken: u64,
    /// Those of them that have no next attempt and are not parked.
    pub forgotten: u64,
    /// What the import came to.
    pub imported: Option<Imported>,
    /// What the revocation came to.
    pub revoked: Option<Revoked>,
    /// Orders in each hour.
    pub orders_per_hour: Vec<u32>,
    /// Failed attempts in each hour.
    pub failures_per_hour: Vec<u32>,
    /// How much of the account's orders was used at the end of each hour, in thousandths.
    pub budget_permille: Vec<u32>,
    /// Renewals by the life that was left, in twentieths.
    pub margins: [u64; MARGINS],
}

/// Names that were registered together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Imported {
    /// How many.
    pub domains: u64,
    /// Those that had a certificate by the end.
    pub issued: u64,
    /// Hours from the import to the last of them.
    pub hours: f64,
}

impl Imported {
    fn with(self, other: Self) -> Self {
        let issued = self.issued + other.issued;
        Self { issued, hours: self.hours.max(other.hours), ..self }
    }
}

/// Certificates that were withdrawn together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Revoked {
    /// How many.
    pub certificates: u64,
    /// Those that were replaced by the end.
    pub replaced: u64,
    /// Hours from the revocation to the last of them.
    pub hours: f64,
}

impl Revoked {
    fn with(self, other: Self) -> Self {
        Self {
            certificates: self.certificates + other.certificates,
            replaced: self.replaced + other.replaced,
            hours: self.hours.max(other.hours),
        }
    }
}

fn sums(one: &[u32], other: &[u32]) -> Vec<u32> {
    one.iter().zip(other).map(|(one, other)| one.saturating_add(*other)).collect()
}

/// What a scenario has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing expired, no limit was passed, nothing was forgotten.
    Held,
    /// One of them happened.
    Broken,
}

impl Outcome {
    /// Both halves together.
    pub(crate) fn with(self, other: &Self) -> Self {
        let orders_per_hour = sums(&self.orders_per_hour, &other.orders_per_hour);
        let peak_per_hour = orders_per_hour.iter().copied().max().unwrap_or_default();
        let mean_per_hour = self.mean_per_hour + other.mean_per_hour;
        let ratio = f64::from(peak_per_hour) / mean_per_hour;
        let mut violations = self.violations;
        for (limit, times) in &other.violations {
            *violations.entry(limit).or_default() += times;
        }
        let mut margins = self.margins;
        for (margin, more) in margins.iter_mut().zip(other.margins) {
            *margin += more;
        }
        // Each is of half the limit: together they are their mean.
        let budget = sums(&self.budget_permille, &other.budget_permille);
        Self {
            orders: self.orders + other.orders,
            certificates: self.certificates + other.certificates,
            failed_attempts: self.failed_attempts + other.failed_attempts,
            expired: self.expired + other.expired,
            limit_violations: self.limit_violations + other.limit_violations,
            violations,
            peak_per_hour,
            mean_per_hour,
            peak_to_mean: if mean_per_hour > 0.0 { ratio } else { 0.0 },
            backlog_max: self.backlog_max + other.backlog_max,
            margin_min_permille: self.margin_min_permille.min(other.margin_min_permille),
            broken: self.broken + other.broken,
            forgotten: self.forgotten + other.forgotten,
            imported: self.imported.zip(other.imported).map(|(one, more)| one.with(more)),
            revoked: self.revoked.zip(other.revoked).map(|(one, more)| one.with(more)),
            orders_per_hour,
            failures_per_hour: sums(&self.failures_per_hour, &other.failures_per_hour),
            budget_permille: budget.into_iter().map(|sum| sum / 2).collect(),
            margins,
            ..self
        }
    }

    /// Whether it came to what it has to.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        if self.expired == 0 && self.limit_violations == 0 && self.forgotten == 0 {
            Verdict::Held
        } else {
            Verdict::Broken
        }
    }
}
