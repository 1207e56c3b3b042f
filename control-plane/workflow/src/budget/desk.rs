//! Where an account's budget is drawn on: one write for everyone who waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::Timestamp;
use sealwax_core::budget::{
    Budget, BudgetState, Exhausted, Headroom, Limits, Need, OrderKind, Part,
};
use sealwax_core::issuer::LimitScope;
use sealwax_core::store::{Store, StoreError};
use sealwax_protocol::DomainName;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{RELOADS_MAX, Refused, contended, document, restored};

/// How long what was seen is good enough to see whether there may be room: other processes take
/// from it too, and the reservation decides.
const FRESH: Duration = Duration::from_secs(1);

/// One account's desk in this process. Whoever comes to its window serves all who wait there with
/// one write; other replicas have desks of their own, and the write's condition between them.
pub(super) struct Desk {
    store: Arc<dyn Store>,
    name: String,
    limits: Limits,
    /// Bounded by the queue's runs, each of which waits once.
    waiting: Mutex<Vec<Waiting>>,
    /// What was last read or written, with its version.
    window: tokio::sync::Mutex<Option<(Budget, u64)>>,
    /// What was last read or written, and when: enough to see whether there may be room.
    seen: Mutex<Option<(Budget, Instant)>>,
}

struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<(), Refused>;

/// What is asked of an account's budget.
pub(super) enum Ask {
    /// An order.
    Reserve { domain: DomainName, headroom: Headroom },
    /// An order that is not placed after all.
    GiveBack { domain: DomainName },
    /// What the CA said.
    Correct { domain: DomainName, until: Timestamp },
}

impl Ask {
    fn apply(&self, budget: &mut Budget, now: Timestamp) -> Result<(), Exhausted> {
        match self {
            Self::Reserve { domain, headroom } => {
                budget.reserve_of(&first(domain), &[Part::Account], *headroom, now)
            }
            Self::GiveBack { domain } => {
                // Only this account's buckets are at hand.
                budget.give_back(&first(domain));
                Ok(())
            }
            Self::Correct { domain, until } => {
                budget.correct(LimitScope::Account, domain, *until);
                Ok(())
            }
        }
    }
}

const fn first(domain: &DomainName) -> Need<'_> {
    Need { domain, tenant: None, kind: OrderKind::First }
}

impl Desk {
    pub(super) fn new(store: Arc<dyn Store>, name: String, limits: Limits) -> Self {
        let (waiting, seen) = (Mutex::default(), Mutex::default());
        Self { store, name, limits, waiting, window: tokio::sync::Mutex::new(None), seen }
    }

    /// The budget as it was a moment ago. Whoever asks for much at a time costs one read.
    pub(super) async fn look(&self) -> Result<Budget, StoreError> {
        if let Some((seen, at)) = &*self.seen()
            && at.elapsed() < FRESH
        {
            return Ok(seen.clone());
        }
        let found = self.store.document(&self.name).await?;
        let budget = restored(&self.limits, found.as_ref())?;
        self.see(&budget);
        Ok(budget)
    }

    fn see(&self, budget: &Budget) {
        *self.seen() = Some((budget.clone(), Instant::now()));
    }

    pub(super) async fn ask(&self, ask: Ask, now: Timestamp) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting { ask, answer });
        let mut window = self.window.lock().await;
        match answered.try_recv() {
            Ok(answer) => return answer,
            Err(oneshot::error::TryRecvError::Empty) => {}
            // Whoever served it was stopped midway: what came of it is not known.
            Err(oneshot::error::TryRecvError::Closed) => return Err(contended(&self.name).into()),
        }
        let served = std::mem::take(&mut *self.waiting());
        let asks: Vec<&Ask> = served.iter().map(|waiting| &waiting.ask).collect();
        let outcome = self.serve(&mut window, &asks, now).await;
        drop(window);
        answer_all(served, outcome);
        answered.await.unwrap_or_else(|_| Err(contended(&self.name).into()))
    }

    async fn serve(
        &self,
        window: &mut Option<(Budget, u64)>,
        asks: &[&Ask],
        now: Timestamp,
    ) -> Result<Vec<Result<(), Exhausted>>, StoreError> {
        for _ in 0..RELOADS_MAX {
            let remembered = window.is_some();
            // Forgotten until the write is known: an unknown outcome is read again.
            let (mut budget, version) = match window.take() {
                Some(known) => known,
                None => {
                    let found = self.store.document(&self.name).await?;
                    let version = found.as_ref().map_or(0, |found| found.version);
                    (restored(&self.limits, found.as_ref())?, version)
                }
            };
            let before: BudgetState = budget.state(now);
            let answers: Vec<_> = asks.iter().map(|ask| ask.apply(&mut budget, now)).collect();
            if remembered && answers.iter().any(Result::is_err) {
                // Another process may have given something back since.
                continue;
            }
            if budget.state(now) == before {
                self.see(&budget);
                *window = Some((budget, version));
                return Ok(answers);
            }
            let written = document(&budget, version, now)?;
            match self.store.put_document(&self.name, &written).await {
                Ok(()) => {
                    self.see(&budget);
                    *window = Some((budget, version + 1));
                    return Ok(answers);
                }
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(contended(&self.name))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<(Budget, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer_all(served: Vec<Waiting>, outcome: Result<Vec<Result<(), Exhausted>>, StoreError>) {
    match outcome {
        Ok(answers) => {
            for (waiting, answer) in served.into_iter().zip(answers) {
                // Whoever does not wait any more has lost a token, never gained one.
                drop(waiting.answer.send(answer.map_err(Refused::from)));
            }
        }
        Err(error) => {
            for waiting in served {
                let detail = error.to_string();
                let refused = Refused::Store(StoreError::Unavailable { detail });
                drop(waiting.answer.send(Err(refused)));
            }
        }
    }
}
