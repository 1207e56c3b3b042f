//! The gate that every effect of a replica goes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealwax_core::Span;
use sealwax_protocol::DomainName;

use crate::plan::{Trouble, usize_of};
use crate::replica::Life;
use crate::time::slot;
use crate::world::World;

/// What a replica does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Asks the platform.
    Ask,
    /// Places an order.
    PlaceOrder,
    /// Looks at an order.
    Observe,
    /// Tells the CA to validate.
    Answer,
    /// Sends the signing request.
    Finalize,
    /// Fetches the chain.
    Download,
    /// Gives up what a trial proved.
    Relinquish,
    /// Writes to the store.
    Write,
    /// Writes a budget to the store.
    Reserve,
    /// Delivers a notice.
    Deliver,
}

/// What happens to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// The replica dies, and it is not done.
    DieBefore,
    /// The replica dies, and it is done.
    DieAfter,
    /// It is not done, and the replica is told so.
    Refuse,
    /// It is done, and the replica is not told.
    LoseAnswer,
    /// It is done twice.
    Twice,
    /// It is done, and takes longer than a lease lasts.
    Hold,
    /// The CA answers 429.
    Limit,
}

impl Strike {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::DieBefore,
        Self::DieAfter,
        Self::Refuse,
        Self::LoseAnswer,
        Self::Twice,
        Self::Hold,
        Self::Limit,
    ];
}

/// How a struck effect fails.
pub(crate) struct Fails<E> {
    pub(crate) refused: fn() -> E,
    pub(crate) lost: fn() -> E,
    pub(crate) limited: fn(&World) -> E,
}

/// A replica's way to the world.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

/// How many effects there were in all.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gate {
    /// Lets an effect through, or not. `act` is what it does.
    pub(crate) async fn pass<T, E>(
        &self,
        effect: Effect,
        domain: &DomainName,
        fails: Fails<E>,
        mut act: impl FnMut() -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let dice = self.world.dice(&format!("{effect:?}"), domain.as_str());
        let latency = || Span::from_millis(dice.between(5, 400));
        let name = self.world.number(domain);
        self.wait(latency(), name).await;
        let strike = self.strike(effect, &dice);
        self.world.digest(effect, domain, self.life.instance);
        self.world.operator_may_write(domain);
        match strike {
            Some(Strike::DieBefore) => return self.die().await,
            Some(Strike::Refuse) => {
                self.disturb(domain);
                return Err((fails.refused)());
            }
            Some(Strike::Limit) => {
                self.world.watch.tokens.lose_count();
                return Err((fails.limited)(&self.world));
            }
            Some(Strike::DieAfter | Strike::LoseAnswer | Strike::Twice | Strike::Hold) | None => {}
        }
        let first = act();
        let twice = strike == Some(Strike::Twice) || self.world.plan.twice;
        let done = if twice && first.is_ok() {
            // As after a crash: what was done is done again.
            self.world.ca.excuse(self.life.instance, Some(domain));
            self.world.ca.again(true);
            let again = act();
            self.world.ca.again(false);
            // A write that is found done counts as done.
            let written = matches!(effect, Effect::Write | Effect::Reserve);
            if first.is_ok() && written { first } else { again }
        } else {
            first
        };
        match strike {
            Some(Strike::DieAfter) => return self.die().await,
            Some(Strike::Hold) => {
                self.disturb(domain);
                self.wait(Span::from_millis(dice.between(40_000, 240_000)), name).await;
            }
            Some(Strike::LoseAnswer) => {
                self.disturb(domain);
                self.wait(latency(), name).await;
                return done.and_then(|_| Err((fails.lost)()));
            }
            Some(Strike::DieBefore | Strike::Refuse | Strike::Limit | Strike::Twice) | None => {}
        }
        self.wait(latency(), name).await;
        self.world.operator_may_write(domain);
        done
    }

    /// Time passes. A replica that died meanwhile never comes back from it.
    pub(crate) async fn wait(&self, wait: Span, name: usize) {
        self.world.time.pass(wait, slot(self.life.instance, name)).await;
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// From here on the replica may be wrong about the name, and not know the order it placed.
    fn disturb(&self, domain: &DomainName) {
        self.world.watch.disturb(self.life.instance, domain);
        self.lose_tokens();
        self.world.ca.excuse(self.life.instance, Some(domain));
    }

    /// What the process has taken of a budget may never be used.
    pub(crate) fn lose_tokens(&self) {
        let names = self.world.domains.len();
        self.world.watch.tokens.unanswered(self.life.instance, names);
    }

    fn strike(&self, effect: Effect, dice: &sealwax_simulation::Dice) -> Option<Strike> {
        let nth = self.world.effects.next();
        let possible = strikes(effect);
        if let Some(blow) = self.world.plan.blow.filter(|blow| blow.nth == nth) {
            self.world.note(&format!("{:?} strikes {effect:?}", blow.strike));
            return possible.contains(&blow.strike).then_some(blow.strike);
        }
        let plan = &self.world.plan;
        let storm = plan.is(Trouble::Storm, self.world.time.passed());
        if !storm || !dice.chance(plan.strikes_permille) {
            return None;
        }
        let strike = possible[usize_of(dice.below(u64::try_from(possible.len()).unwrap()))];
        self.world.note(&format!("{strike:?} strikes {effect:?}"));
        for domain in &self.world.domains {
            self.world.watch.pace.outside(&self.world, domain);
        }
        Some(strike)
    }

    async fn die<T>(&self) -> T {
        self.world.kill(&self.life);
        std::future::pending().await
    }
}

/// What an effect of this kind can be struck with.
fn strikes(effect: Effect) -> &'static [Strike] {
    match effect {
        Effect::Write | Effect::Reserve => &[
            Strike::DieBefore,
            Strike::DieAfter,
            Strike::Refuse,
            Strike::LoseAnswer,
            Strike::Twice,
            Strike::Hold,
        ],
        Effect::Ask => &[Strike::DieBefore, Strike::DieAfter, Strike::Refuse, Strike::Hold],
        Effect::Deliver => &[
            Strike::DieBefore,
            Strike::DieAfter,
            Strike::Refuse,
            Strike::LoseAnswer,
            Strike::Twice,
            Strike::Hold,
        ],
        Effect::PlaceOrder
        | Effect::Observe
        | Effect::Answer
        | Effect::Finalize
        | Effect::Download
        | Effect::Relinquish => &[
            Strike::DieBefore,
            Strike::DieAfter,
            Strike::Refuse,
            Strike::LoseAnswer,
            Strike::Twice,
            Strike::Hold,
            Strike::Limit,
        ],
    }
}
