//! The CA as a fleet sees it.

use std::collections::BTreeMap;

use sealwax_core::issuer::IssueError;
use sealwax_core::{Span, Timestamp};

use crate::fleet::registered;
use crate::moment::START;
use crate::published::{Count, Ordered, Refused, Standing};
use crate::scenario::Scenario;

/// Let's Encrypt dates certificates an hour back.
pub(crate) const BACKDATED: Span = Span::from_secs(3_600);

/// Answers, or does not; counts; issues.
pub(crate) struct Ca<'a> {
    scenario: &'a Scenario,
    count: Count,
    /// Names this account had a certificate for.
    known: Vec<bool>,
    /// Orders and requests that were over a limit, by limit.
    pub(crate) violations: BTreeMap<&'static str, u64>,
}

impl<'a> Ca<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let names = usize::try_from(scenario.names()).unwrap_or_default();
        let mut known = vec![false; names];
        let held = usize::try_from(scenario.domains).unwrap_or_default();
        known.iter_mut().take(held).for_each(|known| *known = true);
        let count = Count::new(scenario.published, START);
        Self { scenario, count, known, violations: BTreeMap::new() }
    }

    /// Takes an order. It is exempt from limits if it replaces a certificate whose window, by the
    /// CA's own word, has begun: here, one that is revoked.
    pub(crate) fn place_order(
        &mut self,
        name: u32,
        replaces: bool,
        now: Timestamp,
        waited: Span,
    ) -> Result<Standing, IssueError> {
        if !self.is_up(now + waited) {
            let detail = String::new();
            return Err(IssueError::Retry { after: None, detail });
        }
        let standing = match (self.knows(name), replaces) {
            (true, true) => Standing::Replaces,
            (true, false) => Standing::SameNames,
            (false, _) => Standing::New,
        };
        let ordered = Ordered { name, registered: registered(name), standing };
        match self.count.order(ordered, now) {
            Ok(()) => Ok(standing),
            Err(refused) => Err(self.over(refused)),
        }
    }

    /// A request for something that belongs to an order.
    pub(crate) fn request(&mut self, now: Timestamp, waited: Span) -> Result<(), IssueError> {
        if !self.is_up(now + waited) {
            return Err(IssueError::Retry { after: None, detail: String::new() });
        }
        let counted = self.count.request(now);
        counted.map_err(|refused| self.over(refused))
    }

    /// Fetches the challenge.
    pub(crate) fn validate(&mut self, name: u32, broken: bool, now: Timestamp) -> bool {
        if broken {
            self.count.failed(name, now);
        } else {
            self.count.succeeded(name);
        }
        !broken
    }

    /// From when to when a certificate issued now is valid.
    pub(crate) fn issue(
        &mut self,
        name: u32,
        standing: Standing,
        now: Timestamp,
    ) -> (Timestamp, Timestamp) {
        self.count.issued(Ordered { name, registered: registered(name), standing }, now);
        let known = usize::try_from(name).ok().and_then(|name| self.known.get_mut(name));
        if let Some(known) = known {
            *known = true;
        }
        let not_before = now - BACKDATED;
        (not_before, not_before + self.scenario.life_at(now.since(START)))
    }

    pub(crate) fn account_used_permille(&self, now: Timestamp) -> u32 {
        self.count.account_used_permille(now)
    }

    fn is_up(&self, at: Timestamp) -> bool {
        self.scenario.is_up_at(at.since(START))
    }

    fn knows(&self, name: u32) -> bool {
        usize::try_from(name).ok().and_then(|name| self.known.get(name)).copied().unwrap_or(false)
    }

    fn over(&mut self, refused: Refused) -> IssueError {
        *self.violations.entry(refused.limit).or_default() += 1;
        let detail = refused.limit.to_owned();
        IssueError::RateLimited { until: refused.until, scope: refused.scope, detail }
    }
}
