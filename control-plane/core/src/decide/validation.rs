//! An order as far as its validation, in production and in a trial.

use super::{Sight, invalid};
use crate::issuer::{OrderChallenge, OrderStatus, Refusal};
use crate::timestamp::Span;

/// First wait between two looks at an order when the CA does not say; grows by half each time.
pub(super) const FIRST_WAIT: Span = Span::from_millis(150);
/// Longest wait between two looks at an order.
pub(super) const WAIT_MAX: Span = Span::from_secs(15);
/// Waits before a challenge is answered again whose validation failed and that the CA left open
/// (RFC 8555 section 8.2): with the tries themselves about a minute, of the five a run has.
pub(super) const AGAIN: [Span; 3] = [Span::from_secs(5), Span::from_secs(15), Span::from_secs(40)];
/// Looks at what the last of those tries came to before it counts as failed: about seven seconds.
pub(super) const LAST_LOOKS: u32 = 8;

impl Sight {
    /// Before the next look at the order.
    pub(super) fn wait(&self) -> Span {
        match &self.order {
            None => Span::ZERO,
            // A CA may say "at once", or name a moment that has passed: never without a pause.
            Some(view) => {
                let said = view.retry_after.filter(|said| *said > Span::ZERO);
                said.unwrap_or_else(|| grown(self.looks)).clamp(FIRST_WAIT, WAIT_MAX)
            }
        }
    }

    /// What an order without a key needs, in production and in a trial.
    pub(super) fn validation(&self, published: Option<&str>) -> Validation {
        let Some(view) = &self.order else { return Validation::Observe };
        match view.status {
            OrderStatus::Pending => match &view.challenge {
                Some(challenge) if published != Some(challenge.token.as_str()) => {
                    Validation::Publish(challenge.clone())
                }
                Some(challenge) if challenge.processing => Validation::Observe,
                Some(_) if !self.answered => Validation::Answer { wait: Span::ZERO },
                Some(challenge) => self.again(challenge.error.as_ref()),
                None => Validation::Observe,
            },
            OrderStatus::Ready => Validation::Succeeded,
            OrderStatus::Processing | OrderStatus::Valid => Validation::Finalized,
            OrderStatus::Invalid => Validation::Failed(invalid(view)),
        }
    }

    /// A challenge that was answered and is open all the same.
    fn again(&self, error: Option<&Refusal>) -> Validation {
        let Some(error) = error else { return Validation::Observe };
        let again = usize::try_from(self.answered_again).unwrap_or(usize::MAX);
        match AGAIN.get(again) {
            Some(wait) => Validation::Answer { wait: *wait },
            None if self.looks < LAST_LOOKS => Validation::Observe,
            None => Validation::Failed(error.clone()),
        }
    }
}

/// What an order without a key needs next.
pub(super) enum Validation {
    Observe,
    Publish(OrderChallenge),
    Answer {
        wait: Span,
    },
    Succeeded,
    /// By somebody else.
    Finalized,
    Failed(Refusal),
}

fn grown(looks: u32) -> Span {
    (0..looks.min(16)).fold(FIRST_WAIT, |wait, _| wait.scale(3, 2)).min(WAIT_MAX)
}
