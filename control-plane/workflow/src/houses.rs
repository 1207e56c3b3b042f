//! How each CA is, as seen from this process: whether it answers, what it wants to be left alone
//! with, and whether it refuses the account.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use sealwax_core::budget::{Need, OrderKind, registered_domain};
use sealwax_core::health::{Breaker, Hold, Leave, Pass, Stop};
use sealwax_core::issuer::LimitScope;
use sealwax_core::{Cause, SealedKey, Span, Timestamp};

/// Time between two tries of a CA that refuses the account.
const STOPPED_REST: Span = Span::from_secs(600);
/// Registered domains held at a time, of one CA: those whose time is over are forgotten beyond it,
/// and what does not fit is refused by the CA itself.
const HELD_MAX: usize = 1024;

/// All CAs. Bounded by the configured issuers.
#[derive(Debug, Default)]
pub(crate) struct Houses(Mutex<HashMap<String, House>>);

#[derive(Debug, Default)]
struct House {
    breaker: Breaker,
    /// It is in trouble, and said for how long.
    pause: Hold,
    holds: BTreeMap<Held, Hold>,
    stop: Stop,
    /// What was kept of the account when it was refused.
    refused: Option<SealedKey>,
}

/// What a CA wants to be left alone with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    /// All new orders.
    All,
    /// New orders that are no renewals: those are exempt from what the account may order.
    Orders,
    /// The same of one registered domain.
    Registered(String),
}

/// What an order is to the limits of a CA.
#[derive(Clone, Debug)]
pub(crate) struct Sort {
    first: bool,
    registered: String,
}

/// Why a CA is not asked now.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    /// When it is worth looking again.
    pub(crate) until: Timestamp,
    pub(crate) cause: Cause,
    pub(crate) detail: String,
    /// It is the same for all orders, whatever they are.
    pub(crate) for_all: bool,
}

impl Sort {
    pub(crate) fn of(need: &Need<'_>) -> Self {
        let first = need.kind == OrderKind::First;
        Self { first, registered: registered_domain(need.domain).to_owned() }
    }

    fn holds(&self) -> Vec<Held> {
        let own = self.first.then(|| [Held::Orders, Held::Registered(self.registered.clone())]);
        std::iter::once(Held::All).chain(own.into_iter().flatten()).collect()
    }
}

impl Houses {
    fn with<T>(&self, issuer: &str, act: impl FnOnce(&mut House) -> T) -> T {
        let mut houses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(houses.entry(issuer.to_owned()).or_default())
    }

    /// Why such an order cannot be placed now, if it cannot; takes no leave.
    pub(crate) fn look(&self, issuer: &str, sort: &Sort, now: Timestamp) -> Option<Rest> {
        self.with(issuer, |house| house.rest(issuer, sort, now))
    }

    /// How many may ask a CA that all orders waited for: none before `Err`.
    pub(crate) fn leave(&self, issuer: &str, now: Timestamp) -> Result<Leave, Timestamp> {
        self.with(issuer, |house| {
            let held = house.holds.get_mut(&Held::All).and_then(|hold| hold.resting_until(now));
            let paused = house.pause.resting_until(now);
            let rests = house.stop.resting_until(now).into_iter().chain(held).chain(paused);
            if let Some(until) = rests.max() {
                return Err(until);
            }
            let leave = house.breaker.look(now)?;
            Ok(if house.stop.why().is_some() { Leave::Probe } else { leave })
        })
    }

    /// Leave to place such an order now.
    pub(crate) fn admit(&self, issuer: &str, sort: &Sort, now: Timestamp) -> Result<Pass, Rest> {
        self.with(issuer, |house| {
            if let Some(rest) = house.rest(issuer, sort, now) {
                return Err(rest);
            }
            let pass = house.breaker.admit(now).map_err(|until| away(issuer, until))?;
            let stopped = house.stop.admit(now);
            stopped.map(|()| pass).map_err(|until| house.stopped(until))
        })
    }

    /// It took the order.
    pub(crate) fn placed(&self, issuer: &str, pass: Pass, sort: &Sort, now: Timestamp) {
        self.with(issuer, |house| {
            house.breaker.succeeded(pass);
            house.stop.lift();
            house.pause.succeeded(now);
            for held in sort.holds() {
                if let Some(hold) = house.holds.get_mut(&held) {
                    hold.succeeded(now);
                }
            }
        });
    }

    /// It did not take an order, for no reason of the order's own.
    pub(crate) fn failed(&self, issuer: &str, pass: Pass, now: Timestamp) {
        self.with(issuer, |house| house.breaker.failed(pass, now));
    }

    /// It is in trouble, and asks to be left alone until then.
    pub(crate) fn paused(&self, issuer: &str, until: Timestamp, now: Timestamp) {
        self.with(issuer, |house| house.pause.said(until, now));
    }

    /// Nobody asked after all, or the answer was about one order.
    pub(crate) fn void(&self, issuer: &str, pass: Pass) {
        self.with(issuer, |house| house.breaker.void(pass));
    }

    /// It refuses the account, or its configuration is wrong. True: that is news.
    pub(crate) fn stop(
        &self,
        issuer: &str,
        detail: &str,
        kept: Option<SealedKey>,
        now: Timestamp,
    ) -> bool {
        self.with(issuer, |house| {
            house.refused = kept;
            house.stop.set(detail, STOPPED_REST, now)
        })
    }

    /// It is left alone because it refuses an account: what was kept of that one.
    pub(crate) fn refused(&self, issuer: &str, now: Timestamp) -> Option<Option<SealedKey>> {
        self.with(issuer, |house| house.stop.resting_until(now).map(|_| house.refused.clone()))
    }

    /// The account works again.
    pub(crate) fn lift(&self, issuer: &str) {
        self.with(issuer, |house| house.stop.lift());
    }

    /// A limit of such orders is used up, until then if the CA said so.
    pub(crate) fn limited(
        &self,
        issuer: &str,
        scope: LimitScope,
        sort: &Sort,
        until: Option<Timestamp>,
        now: Timestamp,
        jitter_permille: u64,
    ) {
        let held = match scope {
            // The name's own schedule has it.
            LimitScope::Name => return,
            // One that should be exempt and is not: then all are.
            LimitScope::Account | LimitScope::RegisteredDomain if !sort.first => Held::All,
            LimitScope::Ca => Held::All,
            LimitScope::Account => Held::Orders,
            LimitScope::RegisteredDomain => Held::Registered(sort.registered.clone()),
        };
        self.with(issuer, |house| {
            if house.holds.len() >= HELD_MAX {
                house.holds.retain(|_, hold| hold.resting_until(now).is_some());
            }
            if house.holds.len() >= HELD_MAX && matches!(held, Held::Registered(_)) {
                return;
            }
            let hold = house.holds.entry(held).or_default();
            match until {
                Some(until) => hold.said(until, now),
                None => hold.unsaid(now, jitter_permille),
            }
        });
    }
}

impl House {
    fn rest(&mut self, issuer: &str, sort: &Sort, now: Timestamp) -> Option<Rest> {
        if let Some(until) = self.stop.resting_until(now) {
            return Some(self.stopped(until));
        }
        if let Some(until) = self.pause.resting_until(now) {
            let detail = format!("{issuer} is in trouble and asks to be left alone until {until}");
            return Some(Rest { until, cause: Cause::CaUnavailable, detail, for_all: true });
        }
        let held = sort.holds().into_iter().filter_map(|held| {
            let until = self.holds.get_mut(&held)?.resting_until(now)?;
            Some((until, held == Held::All))
        });
        if let Some((until, for_all)) = held.max() {
            let cause = Cause::CaRateLimited;
            let detail = format!("{issuer} said that a limit is used up and is left alone for now");
            return Some(Rest { until, cause, detail, for_all });
        }
        self.breaker.look(now).err().map(|until| away(issuer, until))
    }

    fn stopped(&self, until: Timestamp) -> Rest {
        let detail = self.stop.why().unwrap_or_default().to_owned();
        Rest { until, cause: Cause::CaAccount, detail, for_all: true }
    }
}

fn away(issuer: &str, until: Timestamp) -> Rest {
    let detail = format!("{issuer} did not answer lately and is asked by one domain at a time");
    Rest { until, cause: Cause::CaUnavailable, detail, for_all: true }
}

#[cfg(test)]
mod tests {
    use sealwax_protocol::DomainName;

    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn sort(name: &str, kind: OrderKind) -> Sort {
        let domain = DomainName::parse(name).unwrap();
        Sort::of(&Need { domain: &domain, tenant: None, kind })
    }

    fn first(name: &str) -> Sort {
        sort(name, OrderKind::First)
    }

    #[test]
    fn a_ca_in_trouble_that_says_for_how_long_is_no_limit() {
        let houses = Houses::default();
        houses.paused("ca", at(3_600), at(0));
        let rest = houses.look("ca", &first("a.one.com"), at(1)).unwrap();
        assert_eq!((rest.cause, rest.until), (Cause::CaUnavailable, at(3_600)));
        assert_eq!(houses.leave("ca", at(1)).err(), Some(at(3_600)));
        assert!(houses.look("ca", &first("a.one.com"), at(3_600)).is_none());
    }

    #[test]
    fn a_limit_holds_what_it_is_about_and_nothing_else() {
        let renewal = sort("a.one.com", OrderKind::Renewal);
        for (scope, of, same, other, renewed) in [
            (LimitScope::Name, "a.one.com", false, false, false),
            (LimitScope::RegisteredDomain, "a.one.com", true, false, false),
            (LimitScope::Account, "a.one.com", true, true, false),
            (LimitScope::Ca, "a.one.com", true, true, true),
        ] {
            let houses = Houses::default();
            houses.limited("ca", scope, &first(of), None, at(0), 0);
            let held = |sort: &Sort| houses.look("ca", sort, at(1)).is_some();
            assert_eq!(held(&first("b.one.com")), same, "{scope:?}");
            assert_eq!(held(&first("a.two.com")), other, "{scope:?}");
            assert_eq!(held(&renewal), renewed, "{scope:?}");
            assert!(houses.look("another", &first(of), at(1)).is_none());
        }
        let houses = Houses::default();
        houses.limited("ca", LimitScope::Account, &renewal, None, at(0), 0);
        assert!(houses.look("ca", &renewal, at(1)).is_some(), "it was not exempt after all");
    }

    #[test]
    fn an_order_that_is_placed_ends_no_hold_that_lasts() {
        let houses = Houses::default();
        let (one, renewal) = (first("a.one.com"), sort("b.two.com", OrderKind::Renewal));
        let old = houses.admit("ca", &one, at(0)).unwrap();
        houses.limited("ca", LimitScope::Account, &one, Some(at(7_200)), at(0), 0);
        let exempt = houses.admit("ca", &renewal, at(1)).unwrap();
        houses.placed("ca", old, &one, at(1));
        houses.placed("ca", exempt, &renewal, at(1));
        assert_eq!(houses.look("ca", &one, at(2)).unwrap().until, at(7_200));
    }

    #[test]
    fn who_waits_for_a_ca_that_refuses_the_account_is_let_in_one_by_one() {
        let houses = Houses::default();
        assert!(houses.stop("ca", "terms changed", None, at(0)));
        assert_eq!(houses.leave("ca", at(5)), Err(at(600)));
        assert_eq!(houses.leave("ca", at(600)), Ok(Leave::Probe));
        let pass = houses.admit("ca", &first("a.one.com"), at(600)).unwrap();
        let rest = houses.admit("ca", &first("a.two.com"), at(600)).unwrap_err();
        assert_eq!((rest.cause, rest.detail.as_str()), (Cause::CaAccount, "terms changed"));
        houses.placed("ca", pass, &first("a.one.com"), at(601));
        assert_eq!(houses.leave("ca", at(601)), Ok(Leave::All));
    }

    #[test]
    fn the_registered_domains_that_are_held_are_bounded() {
        let houses = Houses::default();
        for number in 0..2 * HELD_MAX {
            let sort = first(&format!("a.site{number}.com"));
            houses.limited("ca", LimitScope::RegisteredDomain, &sort, Some(at(100)), at(0), 0);
        }
        assert_eq!(houses.with("ca", |house| house.holds.len()), HELD_MAX);
        let late = first("a.late.com");
        houses.limited("ca", LimitScope::RegisteredDomain, &late, Some(at(300)), at(200), 0);
        assert!(houses.look("ca", &late, at(201)).is_some(), "what is over made room");
    }
}
