//! Budgets of whole accounts.

use crate::issuer::LimitScope;
use crate::timestamp::{Span, Timestamp};
use proptest::prelude::*;
use sealwax_protocol::DomainName;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_786_752_000_000);

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn need(domain: &DomainName, kind: OrderKind) -> Need<'_> {
    Need { domain, tenant: None, kind }
}

#[test]
fn orders_beyond_the_accounts_limit_wait_for_the_refill() {
    let mut budget = Budget::new(Limits::default());
    for number in 0..300 {
        // The burst of requests refills within this second.
        let now = START + Span::from_millis(number * 3);
        let domain = name(&format!("a.d{number}.com"));
        budget.reserve(&need(&domain, OrderKind::First), now).unwrap();
    }
    let domain = name("a.one-more.com");
    let now = START + Span::from_secs(1);
    let refused = budget.reserve(&need(&domain, OrderKind::First), now).unwrap_err();
    assert_eq!((refused.scope, &refused.key), (LimitScope::Account, &BucketKey::Orders));
    assert_eq!(refused.until, START + Span::from_secs(36), "one in 36 seconds");
    assert_eq!(refused.wait(now), Span::from_secs(35));
    budget.reserve(&need(&domain, OrderKind::First), refused.until).unwrap();
}

#[test]
fn a_refused_order_costs_nothing() {
    let mut budget = Budget::new(Limits::default());
    let domain = name("www.example.com");
    for _ in 0..5 {
        budget.reserve(&need(&domain, OrderKind::First), START).unwrap();
    }
    let before = budget.state(START);
    for _ in 0..100 {
        let refused = budget.reserve(&need(&domain, OrderKind::First), START).unwrap_err();
        assert_eq!(refused.scope, LimitScope::Name);
        assert_eq!(refused.wait(START).secs(), 33 * 3600 + 36 * 60);
    }
    assert_eq!(budget.state(START), before);
}

#[test]
fn a_registered_domain_is_shared_by_its_names_and_by_no_others() {
    let mut budget = Budget::new(Limits::default());
    for number in 0..50 {
        let domain = name(&format!("n{number}.example.co.uk"));
        budget.reserve(&need(&domain, OrderKind::First), START).unwrap();
    }
    let sibling = name("other.example.co.uk");
    let refused = budget.reserve(&need(&sibling, OrderKind::First), START).unwrap_err();
    assert_eq!(refused.scope, LimitScope::RegisteredDomain);
    assert_eq!(refused.key, BucketKey::RegisteredDomain("example.co.uk".to_owned()));
    budget.reserve(&need(&name("a.neighbour.co.uk"), OrderKind::First), START).unwrap();
}

#[test]
fn renewals_are_exempt_as_published() {
    let mut budget = Budget::new(Limits::default());
    let domain = name("www.example.com");
    for number in 0..300 {
        let other = name(&format!("a.d{number}.com"));
        budget
            .reserve(&need(&other, OrderKind::First), START + Span::from_millis(number * 3))
            .unwrap();
    }
    let now = START + Span::from_secs(1);
    // No room for new orders; renewals go on.
    assert!(budget.reserve(&need(&domain, OrderKind::First), now).is_err());
    for _ in 0..5 {
        budget.reserve(&need(&domain, OrderKind::Renewal), now).unwrap();
    }
    let refused = budget.reserve(&need(&domain, OrderKind::Renewal), now).unwrap_err();
    assert_eq!(refused.key, BucketKey::ExactSet("www.example.com".to_owned()));
    for _ in 0..50 {
        budget.reserve(&need(&domain, OrderKind::ReplacingRenewal), now).unwrap();
    }
}

#[test]
fn a_failure_at_an_edge_of_ours_is_counted_as_the_ca_does_and_starts_no_row() {
    let mut budget = Budget::new(Limits::default());
    let (name, now) = (DomainName::parse("a.example.com").unwrap(), Timestamp::from_secs(0));
    budget.failed_at_edge(&name, now);
    let left = |key| budget.left(&key, now);
    let (failures, of) = left(BucketKey::Failures(name.to_string()));
    assert_eq!(failures + 1, of);
    let (row, of) = left(BucketKey::ConsecutiveFailures(name.to_string()));
    assert_eq!(row, of);
}

#[test]
fn failures_hold_a_name_back_and_a_success_ends_their_row() {
    let mut budget = Budget::new(Limits::default());
    let domain = name("broken.example.com");
    for _ in 0..5 {
        budget.reserve(&need(&domain, OrderKind::Renewal), START).ok();
        budget.failed(&domain, START);
    }
    let refused = budget.reserve(&need(&domain, OrderKind::First), START).unwrap_err();
    assert_eq!(refused.scope, LimitScope::Name);
    let fresh = name("fine.example.com");
    budget.reserve(&need(&fresh, OrderKind::First), START).unwrap();

    let limits = Limits {
        consecutive_failures_per_name: Limit { burst: 2, interval: Span::from_secs(86_400) },
        ..Limits::default()
    };
    let mut budget = Budget::new(limits);
    budget.failed(&domain, START);
    budget.failed(&domain, START);
    let refused = budget.reserve(&need(&domain, OrderKind::First), START).unwrap_err();
    assert_eq!(refused.key, BucketKey::ConsecutiveFailures("broken.example.com".to_owned()));
    assert_eq!(refused.wait(START), Span::from_secs(86_400));
    budget.succeeded(&domain);
    budget.reserve(&need(&domain, OrderKind::First), START).unwrap();
}

#[test]
fn a_tenant_cannot_use_up_more_than_its_share() {
    let limits = Limits { tenant_share_permille: 100, ..Limits::default() };
    let mut budget = Budget::new(limits);
    let order = |tenant: &str, number: u64, budget: &mut Budget| {
        let domain = name(&format!("a.{tenant}-{number}.com"));
        let need = Need { domain: &domain, tenant: Some(tenant), kind: OrderKind::First };
        budget.reserve(&need, START)
    };
    for number in 0..30 {
        order("greedy", number, &mut budget).unwrap();
    }
    let refused = order("greedy", 31, &mut budget).unwrap_err();
    assert_eq!(refused.key, BucketKey::Tenant("greedy".to_owned()));
    order("modest", 1, &mut budget).unwrap();
}

#[test]
fn names_that_failed_find_room_only_while_half_is_left() {
    let limits =
        Limits { orders_per_account: Limit::per(10, Span::from_secs(600)), ..Limits::default() };
    let mut budget = Budget::new(limits);
    let domain = name("www.example.com");
    let need = need(&domain, OrderKind::First);
    let account = [Part::Account];
    let rooms = |budget: &Budget| {
        [Headroom::None, Headroom::Tenth, Headroom::Half].map(|all| budget.room(all, START))
    };
    assert_eq!(rooms(&budget), [10, 9, 5]);
    for _ in 0..9 {
        budget.reserve_of(&need, &account, Headroom::None, START).unwrap();
    }
    assert_eq!(rooms(&budget), [1, 0, 0]);
    let before = budget.state(START);
    let half = budget.look_of(&need, &account, Headroom::Half, START).unwrap_err();
    assert_eq!(half.wait(START), Span::from_secs(300), "six tokens: five stay");
    assert_eq!(budget.look_of(&need, &account, Headroom::None, START), Ok(()));
    assert_eq!(budget.state(START), before, "who looks takes nothing");
}

/// Earlier versions kept lines in the documents, with turns hours away.
#[test]
fn a_line_that_an_earlier_version_kept_is_left_out() {
    let kept = r#"[["orders",1786752036000],[{"line":"orders"},1786795200000],
        [{"line":{"line":"orders"}},1786795200000]]"#;
    let state: BudgetState = serde_json::from_str(kept).unwrap();
    let budget = Budget::restore(Limits::default(), state);
    assert_eq!((budget.len(), budget.room(Headroom::None, START)), (1, 299));
}

#[test]
fn the_cas_word_goes_before_our_count() {
    let domain = name("www.example.com");
    let until = START + Span::from_secs(5000);
    for scope in
        [LimitScope::Name, LimitScope::RegisteredDomain, LimitScope::Account, LimitScope::Ca]
    {
        let mut budget = Budget::new(Limits::default());
        budget.correct(scope, &domain, until);
        let refused = budget.reserve(&need(&domain, OrderKind::First), START).unwrap_err();
        assert_eq!((refused.until, refused.scope), (until, scope));
        budget.reserve(&need(&domain, OrderKind::First), until).unwrap();
    }
}

#[test]
fn what_was_reserved_for_nothing_is_given_back() {
    let mut budget = Budget::new(Limits::default());
    let domain = name("www.example.com");
    for _ in 0..100 {
        budget.reserve(&need(&domain, OrderKind::First), START).unwrap();
        budget.give_back(&need(&domain, OrderKind::First));
    }
    assert_eq!(budget.state(START), BudgetState::default());
}

#[test]
fn a_budget_survives_being_kept_and_drops_what_is_full() {
    let mut budget = Budget::new(Limits::default());
    let domain = name("www.example.com");
    for _ in 0..5 {
        budget.reserve(&need(&domain, OrderKind::First), START).unwrap();
    }
    let text = serde_json::to_string(&budget.state(START)).unwrap();
    let mut again = Budget::restore(Limits::default(), serde_json::from_str(&text).unwrap());
    assert!(again.reserve(&need(&domain, OrderKind::First), START).is_err());
    assert_eq!(again.len(), Budget::keys(&need(&domain, OrderKind::First)).len() - 2);
    let later = START + Span::from_secs(8 * 86_400);
    assert_eq!(again.state(later), BudgetState::default());
}

#[test]
fn full_buckets_are_not_held_for_ever() {
    let mut budget = Budget::new(Limits::default());
    let mut now = START;
    for number in 0..5000 {
        now = now + Span::from_secs(3600);
        let domain = name(&format!("a.d{number}.com"));
        budget.reserve(&need(&domain, OrderKind::First), now).unwrap();
    }
    // The exact set's token takes 33.6 hours, the registered domain's less.
    assert!(budget.len() < 1200, "{} buckets", budget.len());
}

#[test]
fn requests_and_accounts_have_budgets_of_their_own() {
    let mut budget = Budget::new(Limits::default());
    assert!(budget.is_empty());
    for _ in 0..10 {
        budget.reserve_request(RequestKind::NewNonce, START).unwrap();
        budget.reserve_account(START).unwrap();
    }
    let refused = budget.reserve_request(RequestKind::NewNonce, START).unwrap_err();
    assert_eq!((refused.scope, refused.wait(START)), (LimitScope::Ca, Span::from_millis(50)));
    assert_eq!(budget.reserve_account(START).unwrap_err().wait(START), Span::from_secs(1080));
    budget.reserve_request(RequestKind::RenewalInfo, START).unwrap();
}

#[test]
fn the_defaults_can_be_overridden_one_by_one() {
    let text =
        r#"{"orders_per_account":{"burst":1500,"interval":7200},"tenant_share_permille":250}"#;
    let limits: Limits = serde_json::from_str(text).unwrap();
    assert_eq!(limits.orders_per_account, Limit::per(1500, Span::from_secs(3 * 3600)));
    assert_eq!(limits.certificates_per_exact_set, Limits::default().certificates_per_exact_set);
    assert!(serde_json::from_str::<Limits>(r#"{"orders":{}}"#).is_err());
}

proptest! {
    /// Whatever is asked for and when, no period sees more orders than the limit allows: a
    /// bucket's worth and what refills in the meantime.
    #[test]
    fn no_period_sees_more_than_published(
        asks in prop::collection::vec((0u64..20_000, 0u8..12, 0u8..3), 1..400),
    ) {
        let mut budget = Budget::new(Limits {
            orders_per_account: Limit::per(10, Span::from_secs(600)),
            ..Limits::default()
        });
        let (mut now, mut placed) = (START, Vec::new());
        for (pause, which, kind) in asks {
            now = now + Span::from_millis(pause);
            let domain = name(&format!("www.site{which}.com"));
            let kind = [OrderKind::First, OrderKind::Renewal, OrderKind::ReplacingRenewal][usize::from(kind)];
            if budget.reserve(&need(&domain, kind), now).is_ok() {
                placed.push((now, which, kind));
            }
        }
        let limits = [
            (10, 60_000, None),
            (5, 7 * 86_400_000 / 5, Some(true)),
            (50, 7 * 86_400_000 / 50, Some(false)),
        ];
        for (index, (start, which, _)) in placed.iter().enumerate() {
            for (burst, interval, by_name) in limits {
                let mut count = 0;
                for (end, other, kind) in &placed[index..] {
                    let counted = match by_name {
                        None => *kind == OrderKind::First,
                        Some(true) => other == which && *kind != OrderKind::ReplacingRenewal,
                        Some(false) => other == which && *kind == OrderKind::First,
                    };
                    count += u64::from(counted);
                    let refilled = end.since(*start).millis() / interval;
                    prop_assert!(count <= burst + refilled);
                }
            }
        }
    }
}
