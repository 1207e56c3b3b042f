//! What to do next about a domain: pure and total.

mod age;
mod validation;

use crate::certificate::CertificateSource;
use crate::departure;
use crate::failure::Cause;
use crate::issuer::{OrderChallenge, OrderStatus, OrderView, Refusal};
use crate::notice::{self, Notice};
use crate::preflight;
use crate::record::{DomainRecord, Work};
use crate::secret::SealedKey;
use crate::timestamp::{Span, Timestamp};
use crate::trial::{self, TrialOrder};

use age::stuck;
pub use age::{PATIENCE, PROCESSING_MAX, dated, is_old, is_placed};
use validation::Validation;

/// What one run has seen of the CA so far. Lost with the run; everything in it can be seen again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The order as it was last seen.
    pub order: Option<OrderView>,
    /// The CA was told in this run that the challenge can be fetched.
    pub answered: bool,
    /// How often it was told so again, because its tries failed and it left the challenge open.
    pub answered_again: u32,
    /// The signing request was sent in this run.
    pub finalized: bool,
    /// How often the order was looked at since it last moved.
    pub looks: u32,
    /// The platform agreed.
    pub permitted: bool,
    /// The domain was looked at, or nobody looks.
    pub looked: bool,
    /// A visit asks for it before its time, and whoever was away has not answered yet; of a parked
    /// domain: reason enough to ask the platform again.
    pub visited: bool,
    /// This run wrote notices: it delivers them at once.
    pub notices: bool,
}

/// One step: one effect, then one conditional write (or a look that needs none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do before this moment; `None`: before something happens.
    Rest(Option<Timestamp>),
    /// Take the record over from a holder that is silent, or that is gone.
    Claim,
    /// Ask the platform.
    Confirm,
    /// Look at the domain as a CA would.
    Look,
    /// Find a CA that is well and has room.
    Choose,
    /// Go on with a trial in staging.
    Try {
        /// The staging's own name.
        issuer: String,
        /// How.
        step: TrialStep,
    },
    /// Reserve room in the budget and place an order.
    PlaceOrder {
        /// With whom.
        issuer: String,
    },
    /// Look at the order after this wait.
    Observe {
        /// With whom it is placed.
        issuer: String,
        /// Where.
        order_url: String,
        /// How long to leave the CA alone first.
        wait: Span,
    },
    /// Put the challenge's answer into the store.
    Publish(OrderChallenge),
    /// Tell the CA, after this wait, that the challenge can be fetched.
    Answer {
        /// With whom the order is placed.
        issuer: String,
        /// Where.
        order_url: String,
        /// None the first time; longer each time it is told again.
        wait: Span,
    },
    /// Make a private key and put it into the store.
    StoreKey,
    /// Send the signing request for the stored key.
    Finalize {
        /// With whom the order is placed.
        issuer: String,
        /// Where.
        order_url: String,
        /// The key.
        key: SealedKey,
    },
    /// Fetch the chain, verify it, store it.
    Download {
        /// With whom the order is placed.
        issuer: String,
        /// Where.
        order_url: String,
        /// The key.
        key: SealedKey,
    },
    /// The order came to nothing.
    GiveUp(Refusal),
    /// The CA does not finish the order: another one is placed, with another CA if there is one.
    Abandon {
        /// What is wrong with it.
        detail: String,
    },
    /// Ask the CA when to renew (RFC 9773).
    AskRenewal {
        /// The CA that issued the certificate.
        issuer: String,
        /// The certificate's ARI identifier.
        ari_id: String,
    },
    /// Say that an imported certificate comes to its end.
    Warn,
    /// Ask the platform about a domain that has left, and delete its certificate and key when it
    /// has said so often enough.
    Erase,
    /// Deliver a notice.
    Notify(Box<Notice>),
    /// Everyone heard that it was removed: delete what is left.
    Forget,
}

/// One step of a trial. None makes a key, finalizes or downloads: the order is left to lapse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialStep {
    /// Place the order.
    Place,
    /// Look at the order after this wait.
    Observe {
        /// Where.
        order_url: String,
        /// How long to leave the CA alone first.
        wait: Span,
    },
    /// Put the challenge's answer into the store.
    Publish(OrderChallenge),
    /// Tell the CA, after this wait, that the challenge can be fetched.
    Answer {
        /// Where.
        order_url: String,
        /// None the first time.
        wait: Span,
    },
    /// The validation succeeded: production is next.
    Pass {
        /// Where.
        order_url: String,
    },
    /// It says nothing about the domain: production is next, as without a staging.
    Skip {
        /// Why.
        detail: String,
    },
}

impl Step {
    /// Goes on with an order at the CA, which has its time. Giving it up takes none.
    #[must_use]
    pub const fn is_of_an_order(&self) -> bool {
        match self {
            Self::Try { .. }
            | Self::PlaceOrder { .. }
            | Self::Observe { .. }
            | Self::Publish(_)
            | Self::Answer { .. }
            | Self::StoreKey
            | Self::Finalize { .. }
            | Self::Download { .. } => true,
            Self::Rest(_)
            | Self::Claim
            | Self::Confirm
            | Self::Look
            | Self::Choose
            | Self::GiveUp(_)
            | Self::Abandon { .. }
            | Self::AskRenewal { .. }
            | Self::Warn
            | Self::Erase
            | Self::Notify(_)
            | Self::Forget => false,
        }
    }
}

/// Decides the next step. `holder` is the process that asks: work in flight is only gone on with
/// under its own lease.
#[must_use]
pub fn decide(record: &DomainRecord, sight: &Sight, holder: &str, now: Timestamp) -> Step {
    if record.removed {
        let told = record.outbox.is_empty();
        let next = if told { Some(Step::Forget) } else { notice(record, sight, now) };
        return next.unwrap_or_else(|| Step::Rest(record.wake_at()));
    }
    let mine = record.lease.as_ref().is_some_and(|lease| lease.holder == holder);
    let wanted = matches!(record.work, Work::Wanted { .. });
    let held = record.work.in_flight() || (wanted && record.lease.is_some());
    if held && !mine {
        return match record.resting_until() {
            Some(until) if until > now && !sight.visited => notice(record, sight, now)
                .filter(|_| record.is_quiet())
                .unwrap_or_else(|| Step::Rest(record.wake_at())),
            Some(_) | None => Step::Claim,
        };
    }
    match &record.work {
        Work::Idle => look(record, now)
            .or_else(|| notice(record, sight, now))
            .unwrap_or_else(|| Step::Rest(record.wake_at())),
        Work::Parked if record.erase_at.is_some_and(|at| at <= now) => Step::Erase,
        Work::Parked if sight.visited && departure::may_be_asked(record, now) => Step::Confirm,
        Work::Parked => notice(record, sight, now).unwrap_or_else(|| Step::Rest(record.wake_at())),
        Work::Wanted { .. } if !sight.permitted => Step::Confirm,
        Work::Wanted { .. } if preflight::is_due(record) && !sight.looked => Step::Look,
        Work::Wanted { .. } => Step::Choose,
        Work::Trial { issuer, order } => tried(order, sight, record.preflight_waived).under(issuer),
        Work::Ordering { issuer } => Step::PlaceOrder { issuer: issuer.clone() },
        Work::Ordered { issuer, order_url } => stuck(record, sight, now)
            .unwrap_or_else(|| ordered(Order { issuer, order_url, sight }, None)),
        Work::Challenged { issuer, order_url, token } => stuck(record, sight, now)
            .unwrap_or_else(|| ordered(Order { issuer, order_url, sight }, Some(token))),
        Work::Keyed { issuer, order_url, key, .. } => stuck(record, sight, now)
            .unwrap_or_else(|| keyed(&Order { issuer, order_url, sight }, key)),
    }
}

/// What the watch over the certificate has to do now.
fn look(record: &DomainRecord, now: Timestamp) -> Option<Step> {
    let held = record.certificate.as_ref()?;
    record.watch_at().filter(|at| *at <= now)?;
    match held.source {
        CertificateSource::Imported => Some(Step::Warn),
        CertificateSource::Acme => {
            let (issuer, ari_id) = (held.ordered_from.clone()?, held.ari_id.clone()?);
            Some(Step::AskRenewal { issuer, ari_id })
        }
    }
}

/// The notice whose turn it is.
fn notice(record: &DomainRecord, sight: &Sight, now: Timestamp) -> Option<Step> {
    let fresh = |notice: &Notice| sight.notices && notice.is_fresh();
    let turns = notice::in_turn(&record.outbox);
    let next = turns.filter(|notice| notice.next_at <= now || fresh(notice));
    next.min_by_key(|notice| notice.next_at).map(|notice| Step::Notify(Box::new(notice.clone())))
}

struct Order<'a> {
    issuer: &'a str,
    order_url: &'a str,
    sight: &'a Sight,
}

impl Order<'_> {
    fn observe(&self) -> Step {
        let wait = self.sight.wait();
        Step::Observe { issuer: self.issuer.to_owned(), order_url: self.order_url.to_owned(), wait }
    }
}

fn ordered(order: Order<'_>, published: Option<&String>) -> Step {
    match order.sight.validation(published.map(String::as_str)) {
        Validation::Observe => order.observe(),
        Validation::Publish(challenge) => Step::Publish(challenge),
        Validation::Answer { wait } => Step::Answer {
            issuer: order.issuer.to_owned(),
            order_url: order.order_url.to_owned(),
            wait,
        },
        Validation::Succeeded => Step::StoreKey,
        Validation::Finalized => {
            Step::GiveUp(lost("the order was finalized with a key that is not ours"))
        }
        Validation::Failed(refusal) => Step::GiveUp(refusal),
    }
}

/// Where a trial stands: on its way, or failed.
enum Tried {
    On(TrialStep),
    Failed(Refusal),
}

impl Tried {
    fn under(self, issuer: &str) -> Step {
        match self {
            Self::On(step) => Step::Try { issuer: issuer.to_owned(), step },
            Self::Failed(refusal) => Step::GiveUp(refusal),
        }
    }
}

fn tried(order: &TrialOrder, sight: &Sight, waived: bool) -> Tried {
    let skip = |detail: &str| Tried::On(TrialStep::Skip { detail: detail.to_owned() });
    if waived {
        return skip("an operator wants the order placed without it");
    }
    let (order_url, published) = match order {
        TrialOrder::Unplaced => return Tried::On(TrialStep::Place),
        TrialOrder::Placed { order_url } => (order_url.clone(), None),
        TrialOrder::Challenged { order_url, token } => (order_url.clone(), Some(token.as_str())),
    };
    match sight.validation(published) {
        Validation::Observe if sight.looks >= trial::LOOKS_MAX => {
            skip("the validation did not come to an end in time")
        }
        Validation::Observe => Tried::On(TrialStep::Observe { order_url, wait: sight.wait() }),
        Validation::Publish(challenge) => Tried::On(TrialStep::Publish(challenge)),
        Validation::Answer { wait } => Tried::On(TrialStep::Answer { order_url, wait }),
        Validation::Succeeded => Tried::On(TrialStep::Pass { order_url }),
        Validation::Finalized => skip("the order was finalized, and not from here"),
        Validation::Failed(refusal) if trial::tells(refusal.cause) => Tried::Failed(refusal),
        Validation::Failed(refusal) => skip(&refusal.detail),
    }
}

fn keyed(order: &Order<'_>, key: &SealedKey) -> Step {
    let Some(view) = &order.sight.order else { return order.observe() };
    match view.status {
        OrderStatus::Ready if !order.sight.finalized => Step::Finalize {
            issuer: order.issuer.to_owned(),
            order_url: order.order_url.to_owned(),
            key: key.clone(),
        },
        OrderStatus::Ready | OrderStatus::Processing => order.observe(),
        OrderStatus::Valid => Step::Download {
            issuer: order.issuer.to_owned(),
            order_url: order.order_url.to_owned(),
            key: key.clone(),
        },
        OrderStatus::Pending => Step::GiveUp(lost("the order's authorization expired")),
        OrderStatus::Invalid => Step::GiveUp(invalid(view)),
    }
}

fn invalid(view: &OrderView) -> Refusal {
    view.failure.clone().unwrap_or_else(|| lost(preflight::UNSAID))
}

fn lost(detail: &str) -> Refusal {
    Refusal { cause: Cause::OrderLost, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
