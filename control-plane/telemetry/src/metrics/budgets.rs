//! What is left of the CAs' limits, read from the store that all replicas draw from.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sealwax_core::Clock;
use sealwax_workflow::{BudgetLeft, Queue};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::names::{BUDGET, BUDGET_LEFT};

/// How often they are read: one document an issuer, and none of them refills much faster.
const EVERY: Duration = Duration::from_secs(15);

/// What was left when it was last read; empty before, and without limits.
#[derive(Debug, Default)]
pub struct BudgetBoard(RwLock<Vec<BudgetLeft>>);

impl BudgetBoard {
    /// All limits, by issuer.
    #[must_use]
    pub fn all(&self) -> Vec<BudgetLeft> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads until told to stop.
pub async fn watch(
    queue: Queue,
    clock: Arc<dyn Clock>,
    board: Arc<BudgetBoard>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let forever = async {
        loop {
            match queue.budgets_left(clock.now()).await {
                Ok(left) => show(left, &board, &metrics),
                Err(error) => tracing::debug!(%error, "the budgets cannot be read now"),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever => {}
    }
}

fn show(left: Vec<BudgetLeft>, board: &BudgetBoard, metrics: &Metrics) {
    let count = |tokens: u64| usize::try_from(tokens).unwrap_or(usize::MAX);
    for one in &left {
        let labels = [one.issuer.as_str(), one.limit];
        metrics.set_count(&BUDGET_LEFT, &labels, count(one.left));
        metrics.set_count(&BUDGET, &labels, count(one.of));
    }
    *board.0.write().unwrap_or_else(PoisonError::into_inner) = left;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_shown_by_issuer_and_limit() {
        let (board, metrics) = (BudgetBoard::default(), Metrics::new());
        let one = BudgetLeft { issuer: "ca".to_owned(), limit: "orders", left: 7, of: 300 };
        show(vec![one.clone()], &board, &metrics);
        let text = metrics.text();
        for line in [
            "sealwax_ca_budget_left{issuer=\"ca\",limit=\"orders\"} 7",
            "sealwax_ca_budget{issuer=\"ca\",limit=\"orders\"} 300",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(board.all(), [one]);
    }
}
