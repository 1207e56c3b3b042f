//! The CA: orders, validation, certificates, limits; faults by the plan.

mod books;
mod signing;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use async_trait::async_trait;
use sealwax_core::issuer::{
    IssueError, Issuer, LimitScope, OrderChallenge, OrderRequest, OrderStatus, OrderView, Refusal,
    RenewalInfo,
};
use sealwax_core::{Chain, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_simulation::published::{Count, Ordered, Published, Standing};

pub(crate) use self::books::validate;
use self::signing::sign;
use crate::effects::{Effect, Fails, Gate};
use crate::plan::{DAY, HOUR, Trouble};
use crate::time::{COMMON, START};
use crate::world::World;

/// The issuer's name.
pub(crate) const ISSUER: &str = "simulated";
/// An order that is not finished by then is gone.
pub(crate) const ORDER_LIFE: Span = DAY.scale(7, 1);

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
    refused: Vec<&'static str>,
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
        self.0.lock().unwrap().refused.clone()
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

    /// What is done next was done before.
    pub(crate) fn again(&self, again: bool) {
        self.0.lock().unwrap().again = again;
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

    fn take_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        self.reach_ca()?;
        let world = &self.world;
        if world.plan.is(Trouble::CaLimits, world.time.passed()) {
            return Err(limited(world));
        }
        let domain = &request.domain;
        world.watch.order_placed(domain);
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
            books.refused.push(refused.limit);
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
            if order.placed_by != self.life.instance || !stale {
                let how = format!("{domain}: ordered again while {url} is {first}");
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
        let order = books.orders.get(url).ok_or_else(gone)?;
        let pending = order.status == OrderStatus::Pending;
        Ok(OrderView {
            url: url.to_owned(),
            status: order.status,
            challenge: pending.then(|| OrderChallenge {
                token: order.token.clone(),
                key_authorization: format!("{}.thumb", order.token),
                processing: order.validated_at.is_some(),
            }),
            failure: order.refusal.clone(),
            // Patient: looks are what a run of this simulation spends its time on.
            retry_after: (order.status == OrderStatus::Processing).then(|| Span::from_secs(15)),
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
            if world.challenge(&order.token).is_none() {
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
        let slow = world.plan.is(Trouble::CaSlow, world.time.passed());
        let longest = if slow { 12 * HOUR.millis() } else { 1_500 };
        let wait = Span::from_millis(dice.between(100, longest));
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
        if stored != Some(true) && !world.watch.is_disturbed(self.life.instance, &domain) {
            world.watch.broken("INV-1", &format!("{url}: finalized without a stored key"));
        }
        order.status = OrderStatus::Processing;
        order.valid_at = Some(now + wait);
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

#[async_trait]
impl Issuer for Gate {
    fn name(&self) -> &str {
        ISSUER
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let act = || self.take_order(request);
        let placed = self.pass(Effect::PlaceOrder, &request.domain, FAILS, act).await;
        if placed.is_err() {
            self.world.ca.excuse(self.life.instance, Some(&request.domain));
        }
        placed
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Observe, &domain, FAILS, || self.see_order(order_url)).await
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Answer, &domain, FAILS, || self.hear_answer(order_url)).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        let domain = self.world.ca.domain(order_url);
        let act = || self.take_request(order_url, csr_der);
        self.pass(Effect::Finalize, &domain, FAILS, act).await
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Download, &domain, FAILS, || self.hand_out(order_url)).await
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        self.wait(Span::from_millis(20), COMMON).await;
        self.reach_ca()?;
        let window = self.world.window(ari_id).filter(|_| self.world.plan.says_when);
        let retry_after = HOUR.scale(6, 1);
        Ok(window.map(|(start, end)| RenewalInfo {
            start,
            end,
            retry_after,
            explanation_url: None,
        }))
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn relinquish(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }
}
