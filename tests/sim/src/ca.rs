//! The CA: orders, validation, certificates, limits; faults by the plan.

mod books;
mod busy;
mod issuer;
mod signing;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use sealwax_core::decide::PROCESSING_MAX;
use sealwax_core::issuer::{
    IssueError, LimitScope, OrderChallenge, OrderRequest, OrderStatus, OrderView, Refusal,
};
use sealwax_core::{Chain, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_simulation::published::{Count, Ordered, Published, Standing};

pub(crate) use self::books::validate;
use self::signing::sign;
use crate::effects::{Fails, Gate};
use crate::plan::{HOUR, MINUTE, Trouble};
use crate::time::START;
use crate::world::World;

/// The issuer's name.
pub(crate) const ISSUER: &str = "simulated";

/// Everything the CA knows.
pub(crate) struct Ca(Mutex<Books>);

struct Books {
    orders: HashMap<String, Order>,
    count: Count,
    /// Names that had a certificate.
    issued: HashSet<DomainName>,
    certificates: u64,
    /// Orders are not counted: the same one is placed again only to see what comes of it.
    again: bool,
    /// When, and by which limit.
    refused: Vec<(Span, &'static str)>,
}

/// An order.
#[derive(Clone)]
struct Order {
    domain: DomainName,
    status: OrderStatus,
    token: ChallengeToken,
    standing: Standing,
    placed_at: Timestamp,
    placed_by: u32,
    /// Its URL is in the store.
    remembered: bool,
    /// It is known why it is not: the documented window.
    excused: bool,
    validated_at: Option<Timestamp>,
    /// Since when it is in `processing`.
    finalized_at: Option<Timestamp>,
    valid_at: Option<Timestamp>,
    refusal: Option<Refusal>,
    chain: Option<Chain>,
}

impl Order {
    const fn is_live(&self) -> bool {
        matches!(self.status, OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing)
    }
}

impl Ca {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Books {
            orders: HashMap::new(),
            count: Count::new(Published::lets_encrypt(), START),
            issued: HashSet::new(),
            certificates: 0,
            again: false,
            refused: Vec::new(),
        }))
    }

    pub(crate) fn orders(&self) -> usize {
        self.0.lock().unwrap().orders.len()
    }

    pub(crate) fn certificates(&self) -> u64 {
        self.0.lock().unwrap().certificates
    }

    /// Orders that were over a limit.
    pub(crate) fn refused(&self) -> Vec<&'static str> {
        self.refused_before(Span::from_millis(u64::MAX))
    }

    /// Those of them until then.
    pub(crate) fn refused_before(&self, at: Span) -> Vec<&'static str> {
        let books = self.0.lock().unwrap();
        books.refused.iter().filter(|(when, _)| *when < at).map(|(_, limit)| *limit).collect()
    }

    /// The order's URL is in the store now.
    pub(crate) fn remembered(&self, url: &str) {
        if let Some(order) = self.0.lock().unwrap().orders.get_mut(url) {
            order.remembered = true;
            order.excused = false;
        }
    }

    /// Whoever placed them cannot remember them any more.
    pub(crate) fn excuse(&self, instance: u32, domain: Option<&DomainName>) {
        for order in self.0.lock().unwrap().orders.values_mut() {
            let this = domain.is_none_or(|domain| *domain == order.domain);
            order.excused |= order.placed_by == instance && this && !order.remembered;
        }
    }

    /// Nobody can remember any order: the store is another one.
    pub(crate) fn excuse_all(&self) {
        for order in self.0.lock().unwrap().orders.values_mut() {
            (order.remembered, order.excused) = (false, true);
        }
    }

    /// What is done next was done before.
    pub(crate) fn again(&self, again: bool) {
        self.0.lock().unwrap().again = again;
    }

    pub(crate) fn is_again(&self) -> bool {
        self.0.lock().unwrap().again
    }

    pub(crate) fn died(&self, instance: u32) {
        self.excuse(instance, None);
    }

    fn domain(&self, url: &str) -> DomainName {
        let books = self.0.lock().unwrap();
        books.orders.get(url).map(|order| order.domain.clone()).expect("an order that was placed")
    }
}

pub(crate) fn down() -> IssueError {
    IssueError::Retry { after: None, detail: "503".into() }
}

pub(crate) fn lost() -> IssueError {
    IssueError::UnknownOutcome { detail: "connection reset".into() }
}

pub(crate) fn gone() -> IssueError {
    IssueError::OrderGone { detail: "no such order".into() }
}

fn limited(world: &World) -> IssueError {
    let dice = world.dice("limit", "ca");
    let until = world.time.now() + Span::from_millis(dice.between(1_000, 3 * HOUR.millis()));
    let scopes = [LimitScope::Name, LimitScope::Account, LimitScope::Ca];
    let scope = scopes[crate::plan::usize_of(dice.below(3))];
    IssueError::RateLimited { until, scope, detail: "slow down".into() }
}

pub(crate) const FAILS: Fails<IssueError> = Fails { refused: down, lost, limited };

impl Gate {
    fn reach_ca(&self) -> Result<(), IssueError> {
        let world = &self.world;
        if !world.plan.is(Trouble::CaDown, world.time.passed()) {
            return Ok(());
        }
        // Either nobody answers, or nobody knows whether someone heard.
        Err(if world.dice("outage", "ca").chance(700) { down() } else { lost() })
    }

    /// An order of the account that counts, or one that may have been placed.
    fn count_token(&self, domain: &DomainName) {
        let world = &self.world;
        let first = world.with_record(domain, |record| record.certificate.is_none());
        if first.unwrap_or(true) && !world.ca.is_again() {
            world.watch.tokens.ordered(world, self.life.instance, ISSUER);
        }
    }

    fn take_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let world = &self.world;
        let domain = &request.domain;
        self.reach_ca().inspect_err(|error| {
            if matches!(error, IssueError::UnknownOutcome { .. }) {
                self.count_token(domain);
            }
        })?;
        if world.plan.is(Trouble::CaLimits, world.time.passed()) {
            world.watch.tokens.lose_count();
            return Err(limited(world));
        }
        if world.plan.is(Trouble::CaBusy, world.time.passed()) {
            // What it says of its limits goes into the budget.
            world.watch.tokens.lose_count();
            return Err(busy::answer(world, domain));
        }
        self.count_token(domain);
        world.watch.order_placed(world, domain);
        world.watch.check_tried(world, self.life.instance, domain);
        let now = world.time.now();
        let mut books = world.ca.0.lock().unwrap();
        books.settle_all(world, now);
        if world.plan.reuses_orders
            && let Some(url) = books.pending_order(domain)
        {
            return Ok(url);
        }
        let number = u32::try_from(world.number(domain)).unwrap();
        let issued = books.issued.contains(domain);
        // Exempt is what replaces a certificate whose window has begun.
        let window = request.replaces.as_deref().and_then(|replaced| world.window(replaced));
        let begun = window.is_some_and(|(start, _)| start <= now);
        let standing = match (issued, begun) {
            (true, true) => Standing::Replaces,
            (true, false) => Standing::SameNames,
            (false, _) => Standing::New,
        };
        let ordered = Ordered { name: number, registered: number, standing };
        let again = books.again;
        let counted = if again { Ok(()) } else { books.count.order(ordered, now) };
        if let Err(refused) = counted {
            books.refused.push((world.time.passed(), refused.limit));
            world.watch.tokens.lose_count();
            let detail = refused.limit.to_owned();
            let (until, scope) = (refused.until, refused.scope);
            return Err(IssueError::RateLimited { until, scope, detail });
        }
        self.check_second_order(&books, domain);
        let url = format!("ca:order/{}", books.orders.len() + 1);
        let order = Order {
            domain: domain.clone(),
            status: OrderStatus::Pending,
            token: ChallengeToken::parse(&format!("token{}", books.orders.len() + 1)).unwrap(),
            standing,
            placed_at: now,
            placed_by: self.life.instance,
            remembered: false,
            // Whose lease was stolen meanwhile cannot write it down either.
            excused: world.watch.is_disturbed(self.life.instance, domain),
            validated_at: None,
            finalized_at: None,
            valid_at: None,
            refusal: None,
            chain: None,
        };
        books.orders.insert(url.clone(), order);
        Ok(url)
    }

    /// Never two live orders for one need, but for the documented window: nobody could write the
    /// first one down any more.
    fn check_second_order(&self, books: &Books, domain: &DomainName) {
        let world = &self.world;
        let known = world
            .with_record(domain, |record| order_url(&record.work).map(str::to_owned))
            .flatten();
        let live = books
            .orders
            .iter()
            .filter(|(_, order)| order.domain == *domain && order.is_live() && !order.excused);
        for (url, order) in live {
            let stale = world.watch.is_disturbed(self.life.instance, domain);
            let first = if known.as_ref() == Some(url) { "open" } else { "forgotten" };
            // A clock that is off by hours makes an order look as if it had expired.
            let lapsed = world.plan.lately(Trouble::ClockOff, Span::ZERO, world.time.passed());
            let judged = !world.is_store_new() && !lapsed;
            if (order.placed_by != self.life.instance || !stale) && judged {
                let now = world.time.now();
                let how = format!("{domain}: ordered again at {now} while {url} is {first}");
                world.watch.broken("INV-4", &how);
            }
        }
    }

    fn see_order(&self, url: &str) -> Result<OrderView, IssueError> {
        self.reach_ca()?;
        let world = &self.world;
        let now = world.time.now();
        let mut books = world.ca.0.lock().unwrap();
        books.settle_all(world, now);
        let order = books.orders.get_mut(url).ok_or_else(gone)?;
        // Whoever sees it in work for so long gives it up, and orders anew.
        let since = order.finalized_at.filter(|_| order.status == OrderStatus::Processing);
        order.excused |= since.is_some_and(|since| now.since(since) >= PROCESSING_MAX);
        let pending = order.status == OrderStatus::Pending;
        Ok(OrderView {
            url: url.to_owned(),
            status: order.status,
            challenge: pending.then(|| OrderChallenge {
                token: order.token.clone(),
                key_authorization: format!("{}.thumb", order.token),
                processing: order.validated_at.is_some(),
                error: None,
            }),
            failure: order.refusal.clone(),
            // Patient: looks are what a run of this simulation spends its time on.
            retry_after: (order.status == OrderStatus::Processing).then(|| Span::from_secs(15)),
            expires: Some(order.placed_at + world.plan.order_life),
        })
    }

    fn hear_answer(&self, url: &str) -> Result<(), IssueError> {
        self.reach_ca()?;
        let world = &self.world;
        let now = world.time.now();
        let wait = Span::from_millis(world.dice("validation", url).between(100, 3_000));
        let mut books = world.ca.0.lock().unwrap();
        let order = books.orders.get_mut(url).ok_or_else(gone)?;
        if order.status == OrderStatus::Pending && order.validated_at.is_none() {
            if world.challenge(&order.token).is_none() && !world.is_store_new() {
                world.watch.broken("INV-2", &format!("{url}: told before the answer was stored"));
            }
            order.validated_at = Some(now + wait);
        }
        Ok(())
    }

    fn take_request(&self, url: &str, csr: &[u8]) -> Result<(), IssueError> {
        self.reach_ca()?;
        let world = &self.world;
        let now = world.time.now();
        let dice = world.dice("processing", url);
        let during = |trouble| world.plan.is(trouble, world.time.passed());
        let slow = during(Trouble::CaSlow);
        let longest = if slow { 3 * HOUR.millis() } else { 1_500 };
        let wait = Span::from_millis(dice.between(100, longest));
        let hang = [Some(MINUTE.scale(8, 1)), Some(HOUR.scale(2, 1)), None];
        let hang = during(Trouble::CaHangs).then(|| hang[crate::plan::usize_of(dice.below(3))]);
        let mut books = world.ca.0.lock().unwrap();
        books.settle_all(world, now);
        let order = books.orders.get_mut(url).ok_or_else(gone)?;
        if order.status != OrderStatus::Ready {
            let after = Some(Span::from_secs(30));
            return Err(IssueError::Retry { after, detail: "orderNotReady".into() });
        }
        let domain = order.domain.clone();
        let stored = world.with_record(&domain, |record| {
            matches!(&record.work, sealwax_core::Work::Keyed { order_url, .. } if order_url == url)
        });
        let disturbed = world.watch.is_disturbed(self.life.instance, &domain);
        if stored != Some(true) && !disturbed && !world.is_store_new() {
            world.watch.broken("INV-1", &format!("{url}: finalized without a stored key"));
        }
        order.status = OrderStatus::Processing;
        order.finalized_at = Some(now);
        order.valid_at = hang.unwrap_or(Some(wait)).map(|wait| now + wait);
        order.chain = Some(sign(csr, url, now, world.plan.life));
        Ok(())
    }

    fn hand_out(&self, url: &str) -> Result<Chain, IssueError> {
        self.reach_ca()?;
        let mut books = self.world.ca.0.lock().unwrap();
        books.settle_all(&self.world, self.world.time.now());
        let order = books.orders.get(url).ok_or_else(gone)?;
        let valid = order.status == OrderStatus::Valid;
        order.chain.clone().filter(|_| valid).ok_or_else(gone)
    }
}

pub(crate) fn order_url(work: &sealwax_core::Work) -> Option<&str> {
    use sealwax_core::Work;
    match work {
        Work::Ordered { order_url, .. }
        | Work::Challenged { order_url, .. }
        | Work::Keyed { order_url, .. } => Some(order_url),
        Work::Idle
        | Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordering { .. }
        | Work::Parked => None,
    }
}
