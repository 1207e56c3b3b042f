//! The CA's staging: validates as production does, counts nothing, and must never be asked for a
//! certificate.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use sealwax_core::issuer::{
    IssueError, Issuer, OrderChallenge, OrderRequest, OrderStatus, OrderView, Refusal, RenewalInfo,
};
use sealwax_core::{Chain, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::ca::{FAILS, down, gone, lost, validate};
use crate::effects::{Effect, Gate};
use crate::plan::Trouble;
use crate::world::World;

/// What it is called beside [`crate::ca::ISSUER`].
pub(crate) const STAGING: &str = "simulated.staging";

/// Everything the staging knows.
#[derive(Default)]
pub(crate) struct Staging(Mutex<HashMap<String, Trial>>);

struct Trial {
    domain: DomainName,
    status: OrderStatus,
    token: ChallengeToken,
    placed_at: Timestamp,
    validated_at: Option<Timestamp>,
    refusal: Option<Refusal>,
}

impl Staging {
    pub(crate) fn orders(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn domain(&self, url: &str) -> DomainName {
        let trials = self.0.lock().unwrap();
        trials.get(url).map(|trial| trial.domain.clone()).expect("a trial that was placed")
    }

    fn with<T>(
        &self,
        world: &World,
        url: &str,
        act: impl FnOnce(&mut Trial) -> T,
    ) -> Result<T, IssueError> {
        let mut trials = self.0.lock().unwrap();
        let trial = trials.get_mut(url).ok_or_else(gone)?;
        trial.settle(world);
        Ok(act(trial))
    }
}

impl Trial {
    fn settle(&mut self, world: &World) {
        let old = world.time.now().since(self.placed_at) > world.plan.order_life;
        if old && self.status == OrderStatus::Pending {
            world.watch.lapsed(&self.domain);
            self.status = OrderStatus::Invalid;
        }
        let over = self.validated_at.is_some_and(|at| at <= world.time.now());
        if self.status != OrderStatus::Pending || !over {
            return;
        }
        self.refusal = validate(world, &self.domain, &self.token);
        world.watch.validated(&self.domain, self.refusal.is_none());
        self.status =
            if self.refusal.is_some() { OrderStatus::Invalid } else { OrderStatus::Ready };
    }
}

/// A replica's way to it.
pub(crate) struct StagingGate(pub(crate) Gate);

impl StagingGate {
    fn reach(&self, effect: Effect) -> Result<(), IssueError> {
        let world = &self.0.world;
        if !world.plan.is(Trouble::StagingDown, world.time.passed()) {
            return Ok(());
        }
        if world.dice("outage", "staging").chance(700) {
            return Err(down());
        }
        if effect == Effect::PlaceOrder {
            self.count_token();
        }
        Err(lost())
    }

    fn count_token(&self) {
        let (world, instance) = (&self.0.world, self.0.life.instance);
        if !world.ca.is_again() {
            world.watch.tokens.ordered(world, instance, STAGING);
        }
    }

    async fn pass<T>(
        &self,
        effect: Effect,
        domain: &DomainName,
        act: impl Fn() -> Result<T, IssueError> + Send + Sync,
    ) -> Result<T, IssueError> {
        let (world, instance) = (&self.0.world, self.0.life.instance);
        let done =
            self.0.pass(effect, domain, FAILS, || self.reach(effect).and_then(|()| act())).await;
        match &done {
            // What the workflow takes for a sign of health.
            Ok(_) if matches!(effect, Effect::PlaceOrder | Effect::Observe) => {
                world.watch.staging_is(instance, true);
            }
            Ok(_) | Err(IssueError::Refused(_)) => {}
            Err(_) => world.watch.staging_is(instance, false),
        }
        done
    }

    fn never(&self, what: &str, url: &str) -> IssueError {
        self.0.world.watch.broken("INV-19", &format!("{url}: {what}"));
        gone()
    }
}

#[async_trait]
impl Issuer for StagingGate {
    fn name(&self) -> &str {
        STAGING
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let world = &self.0.world;
        let domain = &request.domain;
        let act = || {
            self.count_token();
            let mut trials = world.staging.0.lock().unwrap();
            let number = trials.len() + 1;
            let url = format!("staging:order/{number}");
            let trial = Trial {
                domain: domain.clone(),
                status: OrderStatus::Pending,
                token: ChallengeToken::parse(&format!("trial{number}")).unwrap(),
                placed_at: world.time.now(),
                validated_at: None,
                refusal: None,
            };
            trials.insert(url.clone(), trial);
            Ok(url)
        };
        self.pass(Effect::PlaceOrder, domain, act).await
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let world = &self.0.world;
        let act = || {
            world.staging.with(world, order_url, |trial| OrderView {
                url: order_url.to_owned(),
                status: trial.status,
                challenge: (trial.status == OrderStatus::Pending).then(|| OrderChallenge {
                    token: trial.token.clone(),
                    key_authorization: format!("{}.thumb", trial.token),
                    processing: trial.validated_at.is_some(),
                    error: None,
                }),
                failure: trial.refusal.clone(),
                retry_after: None,
                expires: None,
            })
        };
        self.pass(Effect::Observe, &world.staging.domain(order_url), act).await
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        let world = &self.0.world;
        let act = || {
            let wait = Span::from_millis(world.dice("trial", order_url).between(100, 3_000));
            let at = world.time.now() + wait;
            world.staging.with(world, order_url, |trial| {
                let stored = world.challenge(&trial.token).is_some() || world.is_store_new();
                if !stored && trial.validated_at.is_none() {
                    let how = format!("{order_url}: told before the answer was stored");
                    world.watch.broken("INV-2", &how);
                }
                trial.validated_at.get_or_insert(at);
            })
        };
        self.pass(Effect::Answer, &world.staging.domain(order_url), act).await
    }

    async fn finalize(&self, order_url: &str, _csr_der: &[u8]) -> Result<(), IssueError> {
        Err(self.never("a trial was finalized", order_url))
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        Err(self.never("a trial's certificate was asked for", order_url))
    }

    async fn renewal_info(&self, _ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        Ok(None)
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError> {
        let world = &self.0.world;
        let act =
            || world.staging.with(world, order_url, |trial| trial.status = OrderStatus::Invalid);
        self.pass(Effect::Relinquish, &world.staging.domain(order_url), act).await
    }
}
