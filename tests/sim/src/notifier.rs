//! The receiver of notifications: takes them, fails, or is left alone after failures.

use async_trait::async_trait;
use sealwax_core::{Delivery, DomainRecord, Notice, Notifier, Receiver};

use crate::effects::{Effect, Fails, Gate};
use crate::plan::{Mutation, Trouble};
use crate::time::START;

/// Its name in records.
const HOOK: &str = "hook";

fn failed() -> Delivery {
    Delivery::Failed { detail: "connection refused".to_owned() }
}

#[async_trait]
impl Notifier for Gate {
    fn receivers(&self, kind: &str) -> Vec<Receiver> {
        let public = kind.starts_with("domain.") || kind.starts_with("certificate.");
        let plan = &self.world.plan;
        // In half of the worlds a queue that keeps the order.
        let receiver = Receiver { name: HOOK.to_owned(), in_order: plan.seed.is_multiple_of(2) };
        (public && plan.notified).then_some(receiver).into_iter().collect()
    }

    async fn deliver(&self, notice: &Notice, record: &DomainRecord) -> Delivery {
        let fails = Fails { refused: failed, lost: failed, limited: |_| failed() };
        let world = &self.world;
        let delivered = self.pass(Effect::Deliver, &record.domain, fails, || {
            let now = world.time.passed();
            let mut rests = world.plan.all(Trouble::NotifierRests);
            if let Some(rest) = rests.find(|rest| rest.from <= now && now < rest.to) {
                // Said until when in half of the worlds.
                let until = (world.plan.seed.is_multiple_of(3)).then_some(START + rest.to);
                return Err(Delivery::Busy { until, detail: "left alone".to_owned() });
            }
            if world.plan.is(Trouble::NotifierDown, now) {
                return Err(failed());
            }
            world.watch.notices.delivered(&notice.id);
            Ok(())
        });
        match delivered.await {
            Ok(()) => Delivery::Done,
            Err(_) if world.plan.mutation == Some(Mutation::NoticesVanish) => Delivery::Done,
            Err(outcome) => outcome,
        }
    }
}
