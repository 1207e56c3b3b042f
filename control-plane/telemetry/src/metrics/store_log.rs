//! Says that the store is away: once for each reason, then rarely, and when it is back.
//!
//! Everything that runs asks the store, and all of it fails together when the store is away. What
//! stands in front of the store tells of it, so that those who ask need not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::store::StoreError;
use tokio::time::Instant;

/// How long a reason that was told is not told again.
const RARELY: Duration = Duration::from_secs(300);
/// How long no call may have failed before the store counts as back.
const CALM: Duration = Duration::from_secs(2);
/// Reasons remembered: there are a handful, and a new one beyond them is told at once.
const REASONS_MAX: usize = 16;
/// What is compared of a reason, in characters: ids and addresses come later.
const REASON_CHARS: usize = 48;

/// What was said of the store.
#[derive(Default)]
pub(super) struct StoreLog(Mutex<Said>);

#[derive(Default)]
struct Said {
    /// Told reasons, the oldest first.
    told: Vec<(String, Instant)>,
    /// Failed calls that were not told.
    unsaid: u64,
    /// Since when calls fail, and the last one that did.
    away: Option<(Instant, Instant)>,
    /// Something was told that has to be taken back.
    owed: bool,
}

/// What is to be logged.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Away { unsaid: u64 },
    Back { after: Duration },
}

impl StoreLog {
    /// A call ended.
    pub(super) fn heard(&self, error: Option<&StoreError>) {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner).next(error);
        match (line, error) {
            (Some(Line::Away { unsaid }), Some(error)) => tracing::warn!(
                %error, unsaid,
                "the store does not do what it is asked: what is known is served, nothing is ordered; it is asked again by itself"
            ),
            (Some(Line::Back { after }), _) => {
                tracing::info!(after_s = after.as_secs(), "the store answers again");
            }
            _ => {}
        }
    }
}

impl Said {
    fn next(&mut self, error: Option<&StoreError>) -> Option<Line> {
        let now = Instant::now();
        let Some(error) = error.filter(|error| error.is_outage()) else {
            let (since, last) = self.away?;
            if now.duration_since(last) < CALM {
                return None;
            }
            self.away = None;
            let owed = std::mem::take(&mut self.owed);
            return owed.then(|| Line::Back { after: now.duration_since(since) });
        };
        let since = self.away.map_or(now, |(since, _)| since);
        self.away = Some((since, now));
        let reason = reason(error);
        self.told.retain(|(_, at)| now.duration_since(*at) < RARELY);
        if self.told.iter().any(|(told, _)| *told == reason) {
            self.unsaid += 1;
            return None;
        }
        if self.told.len() >= REASONS_MAX {
            self.told.remove(0);
        }
        self.told.push((reason, now));
        self.owed = true;
        Some(Line::Away { unsaid: std::mem::take(&mut self.unsaid) })
    }
}

/// What went wrong, whichever call it was.
fn reason(error: &StoreError) -> String {
    let said = error.to_string();
    let call = said.splitn(3, ": ").last().unwrap_or_default();
    call.chars().take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(detail: &str) -> StoreError {
        StoreError::Unavailable { detail: detail.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_told_once_then_rarely_and_taken_back_once() {
        let mut said = Said::default();
        let mut lines = Vec::new();
        // Twenty seconds of everything that asks, several times a second.
        for n in 0..100 {
            for call in ["Query", "BatchGetItem", "GetItem"] {
                lines.extend(said.next(Some(&away(&format!("{call}: connection refused")))));
            }
            if n == 50 {
                let expired = "Query: ExpiredTokenException: the token is expired";
                let expired = StoreError::Misconfigured { detail: expired.to_owned() };
                lines.extend(said.next(Some(&expired)));
            }
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        let [Line::Away { unsaid: 0 }, Line::Away { unsaid }] = lines.as_slice() else {
            panic!("once for each reason: {lines:?}")
        };
        tokio::time::advance(RARELY).await;
        let again = said.next(Some(&away("Query: connection refused")));
        assert_eq!(again, Some(Line::Away { unsaid: 300 - 1 - unsaid }));
        assert_eq!(said.next(None), None, "one good answer among bad ones says nothing");
        tokio::time::advance(CALM).await;
        assert!(matches!(said.next(None), Some(Line::Back { .. })));
        assert_eq!(said.next(None), None);
        let lost = StoreError::Lost { domain: "a.example.com".to_owned() };
        assert_eq!(said.next(Some(&lost)), None, "a lost race is no outage");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_comes_and_goes_is_told_of_rarely() {
        let mut said = Said::default();
        let mut lines = 0;
        for _ in 0..60 {
            lines += usize::from(said.next(Some(&away("Query: ThrottlingException"))).is_some());
            tokio::time::advance(Duration::from_secs(3)).await;
            lines += usize::from(said.next(None).is_some());
        }
        assert_eq!(lines, 2, "away and back, once in {RARELY:?}");
    }
}
