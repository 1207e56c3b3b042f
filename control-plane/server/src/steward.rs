//! What the process knows of its store and of what edges hold, put together.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::Timestamp;
use sealwax_core::store::StoreError;
use sealwax_workflow::Announcer;
use sealwax_xds::{Holdings, XdsServer};

use super::announcements::Announcements;
use super::parts::App;
use sealwax_admin::{Steward, StoreView};
use sealwax_serving::identity::{IdentityWatch, Standing};

/// Names without a record up to which they are leftovers: an edge that was away for more than a
/// year, a wildcard zone that is not configured any more.
const FEW: usize = 10;
/// And up to one in so many of what edges hold.
const ONE_IN: usize = 1_000;

#[derive(Clone)]
pub(super) struct ProcessSteward {
    xds: Arc<XdsServer>,
    identity: Arc<IdentityWatch>,
    announcements: Arc<Announcements>,
}

impl ProcessSteward {
    pub(super) fn new(app: &App) -> Self {
        Self {
            xds: Arc::clone(&app.xds),
            identity: Arc::clone(&app.identity),
            announcements: Arc::clone(&app.announcements),
        }
    }

    /// What is in the way of trusting the store's word, one line each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        let view = self.identity.view();
        if let Standing::Doubted { why, .. } = view.standing {
            troubles.push(why);
        }
        if let Some(why) = view.unwritable {
            troubles.push(format!(
                "the store cannot be written: {why}. What it has is served; nothing is registered, \
                 issued or renewed until it can"
            ));
        }
        let holdings = self.xds.holdings();
        if many(&holdings) {
            troubles.push(format!(
                "edges hold {} names of which the store has neither a record nor a removal: they \
                 keep them; is it the right store, and whole?{}",
                holdings.unknown,
                // On the word of another store nothing is let go.
                if self.trusted() {
                    " If these domains are really gone, run `sealwax envoy release --unknown`"
                } else {
                    ""
                },
            ));
        }
        if holdings.held_back > 0 {
            troubles.push(format!(
                "the brake holds back the withdrawal of {} names from edges; if these domains are \
                 really gone, run `sealwax envoy release`, else register them again",
                holdings.held_back
            ));
        }
        troubles
    }

    pub(super) fn trusted(&self) -> bool {
        self.identity.view().standing == Standing::Trusted
    }
}

fn many(holdings: &Holdings) -> bool {
    holdings.unknown > FEW.max(holdings.held / ONE_IN)
}

#[async_trait]
impl Steward for ProcessSteward {
    fn view(&self) -> StoreView {
        let (identity, holdings) = (self.identity.view(), self.xds.holdings());
        let (standing, why) = match identity.standing {
            Standing::Unchecked => ("unchecked", None),
            Standing::Trusted => ("trusted", None),
            Standing::Doubted { kind, why } => (kind, Some(why)),
        };
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        StoreView {
            standing: standing.to_owned(),
            why,
            used_at: identity
                .found
                .as_ref()
                .map(|found| Timestamp::from_millis(found.mark).rfc3339()),
            id: identity.found.map(|found| found.id),
            forgotten_at: identity.forgotten_at,
            known_id: identity.known.map(|known| known.id),
            held: wide(holdings.held),
            without_record: wide(holdings.unknown),
            held_back: wide(holdings.held_back),
            released_s: holdings.released_for.as_secs(),
            many_without_record: many(&holdings),
        }
    }

    async fn accept(&self) -> Result<(), StoreError> {
        self.identity.accept().await?;
        self.announcements.resync();
        Ok(())
    }

    fn release(&self, unknown: bool) {
        self.xds.release_withdrawals(unknown);
    }
}
