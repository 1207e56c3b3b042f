//! All buckets of one account.

use std::collections::HashMap;

use crate::issuer::LimitScope;
use crate::timestamp::Timestamp;
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, Limit};
use super::claims::{Claim, claims, scope};
use super::limits::{Limits, RequestKind};
use super::need::{BucketKey, Exhausted, Headroom, Need, Part};
use super::registered::registered_domain;

/// Buckets beyond which full ones are dropped, at first; then whenever their number doubled. What
/// is left is bounded by what was ordered within the longest period.
const PRUNE_FROM: usize = 1024;

/// What is kept of a budget: the buckets that are not full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BudgetState(Vec<(BucketKey, Bucket)>);

impl BudgetState {
    /// What of it is kept in this place.
    #[must_use]
    pub fn part(&self, part: Part<'_>) -> Self {
        Self(self.0.iter().filter(|(key, _)| key.part() == part).cloned().collect())
    }

    /// Both together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Nothing is used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The limits of one CA and what is used of them.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    buckets: HashMap<BucketKey, Bucket>,
    prune_at: usize,
}

impl Budget {
    /// Nothing used.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buckets: HashMap::new(), prune_at: PRUNE_FROM }
    }

    /// As it was kept. Limits that changed meanwhile hold from now on.
    #[must_use]
    pub fn restore(limits: Limits, state: BudgetState) -> Self {
        let mut budget = Self::new(limits);
        let lines = |key: &BucketKey| matches!(key, BucketKey::Line(_));
        budget.buckets = state.0.into_iter().filter(|(key, _)| !lines(key)).collect();
        budget
    }

    /// What to keep, in the keys' order: the same use is the same state.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> BudgetState {
        let used = self.buckets.iter().filter(|(_, bucket)| !bucket.is_full(now));
        let mut used: Vec<_> = used.map(|(key, bucket)| (key.clone(), *bucket)).collect();
        used.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        BudgetState(used)
    }

    /// The buckets an order draws on: what must be at hand to [`reserve`](Self::reserve) it.
    #[must_use]
    pub fn keys(need: &Need<'_>) -> Vec<BucketKey> {
        claims(need).into_iter().map(|claim| claim.key).collect()
    }

    /// Takes what an order needs, all or nothing.
    ///
    /// # Errors
    /// The limit that has room again last.
    pub fn reserve(&mut self, need: &Need<'_>, now: Timestamp) -> Result<(), Exhausted> {
        self.draw(&claims(need), now)
    }

    /// Takes what an order needs from the buckets of some parts, all or nothing, and only if so
    /// much of the account's orders is left for more urgent ones.
    ///
    /// # Errors
    /// The limit that has room again last.
    pub fn reserve_of(
        &mut self,
        need: &Need<'_>,
        parts: &[Part<'_>],
        headroom: Headroom,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        self.draw(&self.claims_of(need, parts, headroom), now)
    }

    fn claims_of(&self, need: &Need<'_>, parts: &[Part<'_>], headroom: Headroom) -> Vec<Claim> {
        let shared = self.limits.tenant_share_permille >= 1000;
        let claims = claims(need).into_iter().filter(|claim| {
            let whole = shared && matches!(claim.key, BucketKey::Tenant(_));
            parts.contains(&claim.key.part()) && !whole
        });
        claims.map(|claim| self.keeping(claim, headroom)).collect()
    }

    /// Whether an order has room in some parts; takes nothing.
    ///
    /// # Errors
    /// The limit that has room again last.
    pub fn look_of(
        &self,
        need: &Need<'_>,
        parts: &[Part<'_>],
        headroom: Headroom,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        self.find(&self.claims_of(need, parts, headroom), now)
    }

    /// How many new orders of the account can be placed now, if so much is left for more urgent
    /// ones.
    #[must_use]
    pub fn room(&self, headroom: Headroom, now: Timestamp) -> u64 {
        let claim = self.keeping(Claim::spend(BucketKey::Orders), headroom);
        self.left(&BucketKey::Orders, now).0.saturating_sub(claim.keep)
    }

    /// Gives back what is only spent when a certificate comes of the order: CAs count an order
    /// that failed as an order and as a failure, and as nothing else.
    pub fn give_back_certificate(&mut self, need: &Need<'_>) {
        for claim in claims(need) {
            let counts =
                matches!(claim.key, BucketKey::ExactSet(_) | BucketKey::RegisteredDomain(_));
            if counts {
                self.restore_tokens(&claim);
            }
        }
    }

    /// Takes what a new account needs.
    ///
    /// # Errors
    /// When there is none left.
    pub fn reserve_account(&mut self, now: Timestamp) -> Result<(), Exhausted> {
        self.draw(&[Claim::spend(BucketKey::Accounts)], now)
    }

    /// Takes what a request needs.
    ///
    /// # Errors
    /// When there is none left.
    pub fn reserve_request(&mut self, kind: RequestKind, now: Timestamp) -> Result<(), Exhausted> {
        self.draw(&[Claim::spend(BucketKey::Requests(kind))], now)
    }

    /// Gives back what was reserved for an order that was certainly not placed.
    pub fn give_back(&mut self, need: &Need<'_>) {
        for claim in claims(need) {
            self.restore_tokens(&claim);
        }
    }

    fn restore_tokens(&mut self, claim: &Claim) {
        let limit = self.limit(&claim.key);
        if let Some(bucket) = self.buckets.get_mut(&claim.key) {
            *bucket = bucket.give_back(limit, claim.cost);
        }
    }

    fn keeping(&self, claim: Claim, headroom: Headroom) -> Claim {
        if !matches!(claim.key, BucketKey::Orders | BucketKey::Tenant(_)) {
            return claim;
        }
        let burst = self.limit(&claim.key).burst;
        let keep = match headroom {
            Headroom::None => 0,
            Headroom::Tenth => burst / 10,
            Headroom::Half => burst / 2,
        };
        Claim { keep, ..claim }
    }

    /// A validation of the name failed.
    pub fn failed(&mut self, domain: &DomainName, now: Timestamp) {
        self.failed_at_edge(domain, now);
        self.count(BucketKey::ConsecutiveFailures(domain.as_str().to_owned()), now);
    }

    /// A validation of the name failed at an edge of ours: the CA counts it within its hour, and it
    /// is none of a row that someone has to end.
    pub fn failed_at_edge(&mut self, domain: &DomainName, now: Timestamp) {
        self.count(BucketKey::Failures(domain.as_str().to_owned()), now);
    }

    fn count(&mut self, key: BucketKey, now: Timestamp) {
        let limit = self.limit(&key);
        let bucket = self.buckets.entry(key).or_default();
        *bucket = bucket.take(limit, 1, now);
    }

    /// A validation of the name succeeded: its row of failures is over.
    pub fn succeeded(&mut self, domain: &DomainName) {
        self.buckets.remove(&BucketKey::ConsecutiveFailures(domain.as_str().to_owned()));
    }

    /// The CA refused an order until a moment: its count is right, ours was not.
    pub fn correct(&mut self, scope: LimitScope, domain: &DomainName, until: Timestamp) {
        let key = match scope {
            LimitScope::Name => BucketKey::ExactSet(domain.as_str().to_owned()),
            LimitScope::RegisteredDomain => {
                BucketKey::RegisteredDomain(registered_domain(domain).to_owned())
            }
            LimitScope::Account => BucketKey::Orders,
            LimitScope::Ca => BucketKey::Requests(RequestKind::NewOrder),
        };
        let limit = self.limit(&key);
        let bucket = self.buckets.entry(key).or_default();
        *bucket = bucket.empty_until(limit, until);
    }

    /// How much of a limit is left now, and how much there is when nothing is used.
    #[must_use]
    pub fn left(&self, key: &BucketKey, now: Timestamp) -> (u64, u64) {
        let limit = self.limit(key);
        let bucket = self.buckets.get(key).copied().unwrap_or_default();
        (bucket.left(limit, now), limit.burst.max(1))
    }

    /// When every bucket is full again: until then the state has to be kept.
    #[must_use]
    pub fn full_at(&self) -> Timestamp {
        self.buckets.values().map(|bucket| bucket.full_at()).max().unwrap_or_default()
    }

    /// Buckets held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Nothing is used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn draw(&mut self, claims: &[Claim], now: Timestamp) -> Result<(), Exhausted> {
        self.find(claims, now)?;
        for claim in claims.iter().filter(|claim| claim.cost > 0) {
            let limit = self.limit(&claim.key);
            let bucket = self.buckets.entry(claim.key.clone()).or_default();
            *bucket = bucket.take(limit, claim.cost, now);
        }
        self.prune(now);
        Ok(())
    }

    fn find(&self, claims: &[Claim], now: Timestamp) -> Result<(), Exhausted> {
        let mut exhausted: Option<Exhausted> = None;
        for claim in claims {
            let bucket = self.buckets.get(&claim.key).copied().unwrap_or_default();
            // A claim of nothing needs one to be there all the same.
            let there = claim.cost.max(1).saturating_add(claim.keep);
            let until = bucket.available_at(self.limit(&claim.key), there, now);
            if until > now && exhausted.as_ref().is_none_or(|found| found.until < until) {
                exhausted =
                    Some(Exhausted { until, scope: scope(&claim.key), key: claim.key.clone() });
            }
        }
        exhausted.map_or(Ok(()), Err)
    }

    fn prune(&mut self, now: Timestamp) {
        if self.buckets.len() >= self.prune_at {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.prune_at = (self.buckets.len() * 2).max(PRUNE_FROM);
        }
    }

    fn limit(&self, key: &BucketKey) -> Limit {
        let limits = &self.limits;
        match key {
            BucketKey::Orders => limits.orders_per_account,
            BucketKey::Tenant(_) => limits.tenant(),
            BucketKey::RegisteredDomain(_) => limits.certificates_per_registered_domain,
            BucketKey::ExactSet(_) => limits.certificates_per_exact_set,
            BucketKey::Failures(_) => limits.failures_per_name,
            BucketKey::ConsecutiveFailures(_) => limits.consecutive_failures_per_name,
            BucketKey::Accounts => limits.accounts_per_address,
            BucketKey::Requests(kind) => limits.request(*kind),
            BucketKey::Line(of) => self.limit(of),
        }
    }
}
