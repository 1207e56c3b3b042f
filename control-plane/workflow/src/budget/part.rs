//! What the names of a registered domain or of a tenant share: a document each, so that no document
//! grows with the number of domains or tenants.

use sealwax_core::Timestamp;
use sealwax_core::budget::{Budget, Exhausted, Headroom, Limits, Need, Part};
use sealwax_core::store::{Store, StoreError};

use super::{RELOADS_MAX, Refused, contended, document, restored};

/// One such document.
pub(super) struct SharedPart<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) limits: &'a Limits,
    /// The document's name.
    pub(super) name: String,
    pub(super) part: Part<'a>,
    /// What must be left in it for more urgent orders.
    pub(super) headroom: Headroom,
}

impl SharedPart<'_> {
    /// Takes nothing.
    pub(super) async fn look(&self, need: &Need<'_>, now: Timestamp) -> Result<(), Refused> {
        let found = self.store.document(&self.name).await?;
        let budget = restored(self.limits, found.as_ref())?;
        Ok(budget.look_of(need, &[self.part], self.headroom, now)?)
    }

    pub(super) async fn take(&self, need: &Need<'_>, now: Timestamp) -> Result<(), Refused> {
        self.change(now, |budget| self.reserve(budget, need, now)).await
    }

    pub(super) async fn give_back(&self, need: &Need<'_>, now: Timestamp) -> Result<(), Refused> {
        let give_back = |budget: &mut Budget| {
            budget.give_back(need);
            Ok(())
        };
        self.change(now, give_back).await
    }

    fn reserve(
        &self,
        budget: &mut Budget,
        need: &Need<'_>,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        budget.reserve_of(need, &[self.part], self.headroom, now)
    }

    /// Changes the document. What the change refuses changes nothing.
    pub(super) async fn change(
        &self,
        now: Timestamp,
        change: impl Fn(&mut Budget) -> Result<(), Exhausted> + Send + Sync,
    ) -> Result<(), Refused> {
        for _ in 0..RELOADS_MAX {
            let found = self.store.document(&self.name).await?;
            let mut budget = restored(self.limits, found.as_ref())?;
            let before = budget.state(now);
            let outcome = change(&mut budget);
            if budget.state(now) == before {
                return outcome.map_err(Refused::from);
            }
            let version = found.map_or(0, |found| found.version);
            match self.store.put_document(&self.name, &document(&budget, version, now)?).await {
                Ok(()) => return outcome.map_err(Refused::from),
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(&self.name).into())
    }
}
