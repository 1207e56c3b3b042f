//! One name, as far as it goes now: the production decisions over the fleet's effects.
//!
//! The counterpart of `Workflow::run`, with each effect reduced to what it changes. All of a walk
//! happens at one moment: an order's few seconds are nothing in a fleet's year.

use sealwax_core::apply::IllegalTransition;
use sealwax_core::budget::{
    BucketKey, Budget, Exhausted, Headroom, Need, OrderKind, Part, registered_domain,
};
use sealwax_core::issuer::{IssueError, OrderChallenge, OrderStatus, OrderView, Refusal};
use sealwax_core::schedule::{Place, renew_at};
use sealwax_core::{
    Cause, CertificateFacts, CertificateSource, DomainRecord, SealedKey, Sight, Span, Step,
    Timestamp, apply, backoff, decide,
};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::dice::Dice;
use crate::fleet::{ISSUER, Name};
use crate::published::Standing;
use crate::world::Ca;

/// Whoever walks holds the lease. Not empty: comparing two empty strings is slow where the machine
/// compares them by a masked load from an address that is none.
const HOLDER: &str = "sim";
const LEASE: Span = Span::from_secs(30);
/// Steps of one walk; far more than any takes. A walk that does not end is a fault of `decide`.
const STEPS_MAX: u32 = 64;

/// What a walk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// In a new certificate.
    Issued,
    /// In a failure, with its next attempt.
    Failed,
    /// In nothing: it was not due.
    Idle,
    /// In line for room in what the account may order, with so much left for others.
    Waits(Headroom),
}

/// What a walk needs, but for the name.
pub(crate) struct Ground<'a> {
    pub(crate) ca: Ca<'a>,
    pub(crate) budget: Budget,
    pub(crate) dice: Dice,
    pub(crate) token: ChallengeToken,
}

/// What a walk did.
pub(crate) struct Walked {
    pub(crate) name: Name,
    pub(crate) ended: Ended,
    /// Orders the CA took.
    pub(crate) orders: u32,
}

struct Steps<'a, 'b> {
    ground: &'a mut Ground<'b>,
    number: u32,
    broken: bool,
    revoked: bool,
    /// What the CA shows of the order, and what it counts for.
    order: OrderStatus,
    standing: Standing,
    orders: u32,
    /// Failed tries of the present step, and how long they were waited after.
    tries: u32,
    waited: Span,
    /// What there has to be room for.
    waits: Option<Headroom>,
    now: Timestamp,
}

type Stepped = Result<DomainRecord, IllegalTransition>;

/// Takes a name as far as it goes.
///
/// # Errors
/// When `decide` asks for a step that the record does not allow: a fault of production code.
pub(crate) fn walk(
    ground: &mut Ground<'_>,
    number: u32,
    name: Name,
    domain: DomainName,
    now: Timestamp,
) -> Result<Walked, IllegalTransition> {
    let record = name.record(domain);
    let mut record = apply::due(&record, now).unwrap_or(record);
    let mut sight = Sight::default();
    let mut steps = Steps {
        ground,
        number,
        broken: name.broken,
        revoked: name.revoked,
        order: OrderStatus::Pending,
        standing: Standing::New,
        orders: 0,
        tries: 0,
        waited: Span::ZERO,
        waits: None,
        now,
    };
    for _ in 0..STEPS_MAX {
        let step = decide(&record, &sight, HOLDER, now);
        if matches!(step, Step::Rest(_)) {
            break;
        }
        record = steps.take(record, &mut sight, step)?;
    }
    let walked = Name::of(&record, &name);
    let ended = if record.certificate.is_some() && record.failure.is_none() {
        if walked.not_after == name.not_after { Ended::Idle } else { Ended::Issued }
    } else if let Some(headroom) = steps.waits {
        Ended::Waits(headroom)
    } else if walked.wake_at == name.wake_at {
        Ended::Idle
    } else {
        Ended::Failed
    };
    Ok(Walked { name: walked, ended, orders: steps.orders })
}

impl Steps<'_, '_> {
    fn take(&mut self, record: DomainRecord, sight: &mut Sight, step: Step) -> Stepped {
        match step {
            Step::Rest(_) => Ok(record),
            Step::Claim => Ok(leased(record)),
            // The platform agrees to everything: what it refuses costs the CA nothing.
            Step::Confirm => {
                sight.permitted = true;
                Ok(record)
            }
            // Nobody looks at the domains, so that the CA hears of everything that is broken.
            Step::Look => {
                sight.looked = true;
                Ok(record)
            }
            Step::Choose => match self.look(&record) {
                Ok(()) => apply::permitted(record, ISSUER).map(|next| self.onward(next)),
                Err(full) => Ok(self.postponed(record, &full)),
            },
            Step::PlaceOrder { .. } => self.place_order(record),
            Step::Observe { .. } => Ok(self.observe(record, sight)),
            Step::Publish(challenge) => {
                apply::challenged(record, challenge.token.into()).map(|next| self.onward(next))
            }
            Step::Answer { .. } => Ok(self.answer(record, sight)),
            Step::StoreKey => {
                apply::keyed(record, SealedKey::new(Vec::new())).map(|next| self.onward(next))
            }
            Step::Finalize { .. } => Ok(self.finalize(record, sight)),
            Step::Download { .. } => self.download(record),
            Step::GiveUp(refusal) => Ok(self.gave_up(record, &refusal)),
            Step::Abandon { detail } => {
                Ok(self.gave_up(record, &Refusal { cause: Cause::OrderLost, detail }))
            }
            // A fleet's CA has no staging; no watch, no grace and no notices are kept in its names,
            // and none is removed.
            Step::Try { .. }
            | Step::AskRenewal { .. }
            | Step::Warn
            | Step::Erase
            | Step::Notify(_)
            | Step::Forget => Ok(record),
        }
    }

    fn onward(&mut self, record: DomainRecord) -> DomainRecord {
        self.tries = 0;
        leased(record)
    }

    /// Whether there is room for an order.
    fn look(&self, record: &DomainRecord) -> Result<(), Exhausted> {
        let (need, headroom) = (self.need(record), Headroom::of(record, false, self.now));
        self.ground.budget.look_of(&need, &parts(&need), headroom, self.now)
    }

    /// What an order needs of the budget.
    fn reserve(&mut self, record: &DomainRecord) -> Result<(), Exhausted> {
        let (need, headroom) = (self.need(record), Headroom::of(record, false, self.now));
        self.ground.budget.reserve_of(&need, &parts(&need), headroom, self.now)
    }

    /// What has no room in the account's orders waits in line; everything else until its moment.
    fn postponed(&mut self, record: DomainRecord, full: &Exhausted) -> DomainRecord {
        let in_line = full.key == BucketKey::Orders;
        self.waits = in_line.then(|| Headroom::of(&record, false, self.now));
        let until = if in_line { self.now } else { full.until };
        apply::postponed(record, Cause::CaRateLimited, "", until, self.now)
    }

    /// A renewal is exempt in the CA's window only: here, when its certificate is revoked.
    fn need<'c>(&self, record: &'c DomainRecord) -> Need<'c> {
        let kind = match &record.certificate {
            None => OrderKind::First,
            Some(_) if self.revoked => OrderKind::ReplacingRenewal,
            Some(_) => OrderKind::Renewal,
        };
        Need { domain: &record.domain, tenant: None, kind }
    }

    fn place_order(&mut self, record: DomainRecord) -> Stepped {
        if let Err(full) = self.reserve(&record) {
            return Ok(self.postponed(record, &full));
        }
        match self.ground.ca.place_order(self.number, self.revoked, self.now, self.waited) {
            Ok(standing) => {
                self.standing = standing;
                self.orders += 1;
                self.order = OrderStatus::Pending;
                apply::ordered(record, String::new()).map(|next| self.onward(next))
            }
            Err(error) => {
                // It certainly has none.
                let need = self.need(&record);
                self.ground.budget.give_back(&need);
                Ok(self.errored(record, &error))
            }
        }
    }

    /// The order and its authorization.
    fn observe(&mut self, record: DomainRecord, sight: &mut Sight) -> DomainRecord {
        if let Err(error) = self.requests(2) {
            return self.errored(record, &error);
        }
        let pending = self.order == OrderStatus::Pending;
        let challenge = pending.then(|| OrderChallenge {
            token: self.ground.token.clone(),
            key_authorization: String::new(),
            processing: false,
            error: None,
        });
        let failure = (self.order == OrderStatus::Invalid)
            .then(|| Refusal { cause: Cause::DnsNoRecord, detail: String::new() });
        let url = String::new();
        let retry_after = None;
        sight.order = Some(OrderView {
            url,
            status: self.order,
            challenge,
            failure,
            retry_after,
            expires: None,
        });
        self.tries = 0;
        record
    }

    fn answer(&mut self, record: DomainRecord, sight: &mut Sight) -> DomainRecord {
        if let Err(error) = self.requests(1) {
            return self.errored(record, &error);
        }
        let valid = self.ground.ca.validate(self.number, self.broken, self.now);
        if valid {
            self.ground.budget.succeeded(&record.domain);
        } else {
            let need = self.need(&record);
            self.ground.budget.failed(&record.domain, self.now);
            self.ground.budget.give_back_certificate(&need);
        }
        self.order = if valid { OrderStatus::Ready } else { OrderStatus::Invalid };
        sight.answered = true;
        record
    }

    fn finalize(&mut self, record: DomainRecord, sight: &mut Sight) -> DomainRecord {
        if let Err(error) = self.requests(1) {
            return self.errored(record, &error);
        }
        self.order = OrderStatus::Valid;
        sight.finalized = true;
        record
    }

    fn download(&mut self, record: DomainRecord) -> Stepped {
        if let Err(error) = self.requests(1) {
            return Ok(self.errored(record, &error));
        }
        let (not_before, not_after) = self.ground.ca.issue(self.number, self.standing, self.now);
        let place = Place::of(&record.domain);
        let facts = CertificateFacts {
            serial: String::new(),
            issuer: String::new(),
            sans: Vec::new(),
            not_before,
            not_after,
            fingerprint_sha256: String::new(),
            ari_id: Some(String::new()),
            source: CertificateSource::Acme,
            ordered_from: Some(ISSUER.to_owned()),
            renew_at: Some(renew_at(not_before, not_after, place)),
        };
        apply::issued(record, facts)
    }

    fn requests(&mut self, number: u32) -> Result<(), IssueError> {
        (0..number).try_for_each(|_| self.ground.ca.request(self.now, self.waited))
    }

    /// Tries again while a run has patience, then leaves it to the schedule.
    fn errored(&mut self, record: DomainRecord, error: &IssueError) -> DomainRecord {
        if let IssueError::Retry { after, .. } = error {
            self.tries += 1;
            if let Some(wait) = backoff::in_run(self.tries, *after) {
                self.waited = self.waited + wait;
                return record;
            }
        }
        let over = self.now + self.waited;
        DomainRecord { lease: None, ..apply::errored(record, error, over, &self.ground.dice) }
    }

    fn gave_up(&mut self, record: DomainRecord, refusal: &Refusal) -> DomainRecord {
        let over = self.now + self.waited;
        DomainRecord { lease: None, ..apply::gave_up(record, refusal, over, &self.ground.dice) }
    }
}

/// The parts an order draws on.
fn parts<'a>(need: &Need<'a>) -> Vec<Part<'a>> {
    let mut parts = vec![Part::Name, Part::Address];
    if need.kind == OrderKind::First {
        parts.push(Part::RegisteredDomain(registered_domain(need.domain)));
        parts.push(Part::Account);
    }
    parts
}

fn leased(record: DomainRecord) -> DomainRecord {
    apply::leased(record, HOLDER, 0, LEASE)
}
