//! The platform: grants, does not answer, answers 404 to everything, and lets one name go.

use async_trait::async_trait;
use sealwax_core::permission::{Permission, Verdict};
use sealwax_protocol::DomainName;

use crate::effects::{Effect, Fails, Gate};
use crate::plan::{Mutation, Trouble};

fn silent() -> Verdict {
    Verdict::Unknown { detail: "no answer".into() }
}

#[async_trait]
impl Permission for Gate {
    async fn ask(&self, domain: &DomainName) -> Verdict {
        let fails = Fails { refused: silent, lost: silent, limited: |_| silent() };
        let world = &self.world;
        let asked = self.pass(Effect::Ask, domain, fails, || {
            if world.plan.is(Trouble::PlatformDown, world.time.passed()) {
                return Err(silent());
            }
            let gone =
                world.has_left(domain) || world.plan.is(Trouble::PlatformGone, world.time.passed());
            if gone
                && world.plan.mutation == Some(Mutation::GoneFromCache)
                && world.watch.evidence.any(domain)
            {
                return Ok(Verdict::Gone);
            }
            let verdict = if gone { Verdict::Gone } else { Verdict::Granted };
            world.watch.permission(domain, verdict == Verdict::Granted);
            world.watch.evidence.heard(world, domain, &verdict);
            Ok(verdict)
        });
        asked.await.unwrap_or_else(|silence| silence)
    }
}
