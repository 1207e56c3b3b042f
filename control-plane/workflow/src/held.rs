//! First orders wait while nobody knows whether the store is the right one.
//!
//! A store that is an older copy has names without a certificate that have one, and asks for orders
//! that were placed. What has a certificate is renewed all the same: nothing that is served is to
//! end for it.

use sealwax_core::{DomainRecord, Timestamp, TrialOrder, Work};

use crate::line::Gate;
use crate::run::{Run, RunError, Workflow};
use crate::turn::TURN_MAX;

/// What people are told.
const WHY: &str = "the store is not the one that is known: nothing is ordered for the first time \
                   before someone accepted it; see sealwax doctor";

impl Workflow {
    /// Its next order would be its first, as far as a store says that is not trusted.
    pub(crate) fn is_held(&self, record: &DomainRecord) -> bool {
        let unplaced = match record.work {
            Work::Wanted { .. }
            | Work::Ordering { .. }
            | Work::Trial { order: TrialOrder::Unplaced, .. } => true,
            Work::Idle
            | Work::Trial { .. }
            | Work::Ordered { .. }
            | Work::Challenged { .. }
            | Work::Keyed { .. }
            | Work::Parked => false,
        };
        unplaced && record.certificate.is_none() && !(self.shared.parts.trusts)()
    }

    /// It waits in this process until the store is trusted, and nothing is written but that nobody
    /// holds it.
    pub(crate) async fn wait_for_trust(
        &self,
        run: &mut Run,
    ) -> Result<Option<Timestamp>, RunError> {
        let until = self.shared.parts.clock.now() + TURN_MAX;
        run.waits = Some(self.place_in_line(run, Gate::Store, until, WHY));
        tracing::debug!(domain = %run.record.domain, "{WHY}");
        Ok(self.hand_over(run).await?.until)
    }
}
