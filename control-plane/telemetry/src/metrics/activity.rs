//! What happened in each of the last hours, for people who look at the dashboard.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sealwax_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Hours remembered.
const HOURS: usize = 48;
const HOUR_SECS: u64 = 3600;

/// What this process did in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hour {
    /// The hour's start, in seconds since 1970.
    pub starts_at: u64,
    /// Orders placed.
    pub orders: u64,
    /// First certificates.
    pub issued: u64,
    /// Renewed certificates.
    pub renewed: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// The last 48 hours of this process.
#[derive(Debug, Default)]
pub struct Activity(Mutex<VecDeque<Hour>>);

impl Activity {
    /// Notes an event, or an order.
    pub(super) fn note(&self, at: Timestamp, kind: &str) {
        let count: fn(&mut Hour) -> &mut u64 = match kind {
            "order.placed" => |hour| &mut hour.orders,
            "certificate.issued" => |hour| &mut hour.issued,
            "certificate.renewed" => |hour| &mut hour.renewed,
            "attempt.failed" => |hour| &mut hour.failed,
            _ => return,
        };
        let starts_at = at.secs() / HOUR_SECS * HOUR_SECS;
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hour) = hours.iter_mut().find(|hour| hour.starts_at == starts_at) {
            *count(hour) += 1;
            return;
        }
        let mut hour = Hour { starts_at, ..Hour::default() };
        *count(&mut hour) += 1;
        hours.push_back(hour);
        while hours.len() > HOURS {
            hours.pop_front();
        }
    }

    /// The hours in which something happened, oldest first, none older than two days.
    #[must_use]
    pub fn hours(&self, now: Timestamp) -> Vec<Hour> {
        let oldest = now.secs().saturating_sub(HOUR_SECS * HOURS as u64);
        let hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.iter().filter(|hour| hour.starts_at >= oldest).copied().collect()
    }
}
