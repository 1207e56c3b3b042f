use proptest::prelude::*;
use sealwax_protocol::{ChallengeToken, DomainName};

use super::validation::{AGAIN, FIRST_WAIT, LAST_LOOKS, WAIT_MAX};
use super::*;

mod age;
use crate::record::{Lease, Registration};

const ME: &str = "me";
const URL: &str = "https://ca/order/1";

fn record(work: Work) -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let mut record = DomainRecord::registered(domain, Registration::default(), at(0));
    record.work = work;
    record.lease = Some(Lease { holder: ME.to_owned(), id: 1, duration: Span::from_secs(30) });
    record
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn sight(status: OrderStatus, challenge: Option<(&str, bool)>) -> Sight {
    let challenge = challenge.map(|(token, processing)| OrderChallenge {
        token: ChallengeToken::parse(token).unwrap(),
        key_authorization: format!("{token}.thumb"),
        processing,
        error: None,
    });
    let order = OrderView {
        url: URL.into(),
        status,
        challenge,
        failure: None,
        retry_after: None,
        expires: None,
    };
    Sight { order: Some(order), ..Sight::default() }
}

fn ordered() -> Work {
    Work::Ordered { issuer: "ca".into(), order_url: URL.into() }
}

fn challenged(token: &str) -> Work {
    Work::Challenged { issuer: "ca".into(), order_url: URL.into(), token: token.into() }
}

fn trial(order: TrialOrder) -> Work {
    Work::Trial { issuer: "ca.staging".into(), order }
}

fn trial_placed() -> Work {
    trial(TrialOrder::Placed { order_url: URL.into() })
}

fn trial_challenged(token: &str) -> Work {
    trial(TrialOrder::Challenged { order_url: URL.into(), token: token.into() })
}

fn keyed_work() -> Work {
    let key = SealedKey::new(vec![1]);
    Work::Keyed { issuer: "ca".into(), order_url: URL.into(), token: None, key }
}

fn step(work: Work, sight: &Sight) -> Step {
    decide(&record(work), sight, ME, at(0))
}

#[test]
fn the_way_from_wanted_to_a_certificate() {
    let none = Sight::default();
    let wanted = || Work::Wanted { since: at(0) };
    assert_eq!(step(wanted(), &none), Step::Confirm);
    let permitted = Sight { permitted: true, ..Sight::default() };
    assert_eq!(step(wanted(), &permitted), Step::Look);
    let looked = Sight { looked: true, ..permitted };
    assert_eq!(step(wanted(), &looked), Step::Choose);
    assert_eq!(
        step(Work::Ordering { issuer: "ca".into() }, &none),
        Step::PlaceOrder { issuer: "ca".into() }
    );
    assert!(matches!(step(ordered(), &none), Step::Observe { wait: Span::ZERO, .. }));
    let pending = sight(OrderStatus::Pending, Some(("tok", false)));
    assert!(matches!(step(ordered(), &pending), Step::Publish(_)));
    assert!(matches!(step(challenged("tok"), &pending), Step::Answer { .. }));
    let ready = sight(OrderStatus::Ready, None);
    assert_eq!(step(challenged("tok"), &ready), Step::StoreKey);
    assert!(matches!(step(keyed_work(), &ready), Step::Finalize { .. }));
    let valid = sight(OrderStatus::Valid, None);
    assert!(matches!(step(keyed_work(), &valid), Step::Download { .. }));
}

#[test]
fn the_way_of_a_trial_ends_where_its_validation_succeeded() {
    let refused = |cause| {
        let mut seen = sight(OrderStatus::Invalid, None);
        let refusal = Refusal { cause, detail: "said".into() };
        seen.order.as_mut().unwrap().failure = Some(refusal.clone());
        (seen, refusal)
    };
    let (no_address, refusal) = refused(Cause::DnsNoRecord);
    let (expired, _) = refused(Cause::OrderLost);
    let pending = || sight(OrderStatus::Pending, Some(("tok", false)));
    let told = Sight { answered: true, ..pending() };
    let waited_for = Sight { looks: trial::LOOKS_MAX, ..told.clone() };
    let url = || URL.to_owned();
    let observe = |wait| TrialStep::Observe { order_url: url(), wait };
    let challenge = || pending().order.unwrap().challenge.unwrap();
    let skip = |detail: &str| TrialStep::Skip { detail: detail.into() };
    let table = [
        (trial(TrialOrder::Unplaced), Sight::default(), TrialStep::Place),
        (trial_placed(), Sight::default(), observe(Span::ZERO)),
        (trial_placed(), pending(), TrialStep::Publish(challenge())),
        (trial_challenged("other"), pending(), TrialStep::Publish(challenge())),
        (
            trial_challenged("tok"),
            pending(),
            TrialStep::Answer { order_url: url(), wait: Span::ZERO },
        ),
        (trial_challenged("tok"), told, observe(FIRST_WAIT)),
        (
            trial_challenged("tok"),
            waited_for,
            skip("the validation did not come to an end in time"),
        ),
        (
            trial_challenged("tok"),
            sight(OrderStatus::Ready, None),
            TrialStep::Pass { order_url: url() },
        ),
        (trial_challenged("tok"), expired, skip("said")),
        (
            trial_challenged("tok"),
            sight(OrderStatus::Valid, None),
            skip("the order was finalized, and not from here"),
        ),
    ];
    for (work, seen, expected) in table {
        let expected = Step::Try { issuer: "ca.staging".into(), step: expected };
        assert_eq!(step(work.clone(), &seen), expected, "{work:?} {seen:?}");
    }
    assert_eq!(step(trial_challenged("tok"), &no_address), Step::GiveUp(refusal));
}

#[test]
fn an_operators_word_ends_a_trial() {
    let mut record = record(trial_placed());
    record.preflight_waived = true;
    let step = decide(&record, &Sight::default(), ME, at(0));
    assert!(matches!(step, Step::Try { step: TrialStep::Skip { .. }, .. }), "{step:?}");
}

#[test]
fn an_order_that_is_ready_at_once_needs_no_challenge() {
    assert_eq!(step(ordered(), &sight(OrderStatus::Ready, None)), Step::StoreKey);
}

#[test]
fn a_challenge_is_answered_once_per_run_and_never_while_it_is_processed() {
    let processing = sight(OrderStatus::Pending, Some(("tok", true)));
    assert!(matches!(step(challenged("tok"), &processing), Step::Observe { .. }));
    let answered = Sight { answered: true, ..sight(OrderStatus::Pending, Some(("tok", false))) };
    assert!(matches!(step(challenged("tok"), &answered), Step::Observe { .. }));
}

#[test]
fn a_challenge_that_is_left_open_with_an_error_is_answered_again_ever_later_and_then_failed() {
    let refusal = Refusal { cause: Cause::ConnectionFailed, detail: "timeout".into() };
    let mut seen = Sight { answered: true, ..sight(OrderStatus::Pending, Some(("tok", false))) };
    let open = seen.order.as_mut().and_then(|order| order.challenge.as_mut()).unwrap();
    open.error = Some(refusal.clone());
    for wait in AGAIN {
        let again = step(challenged("tok"), &seen);
        assert!(matches!(again, Step::Answer { wait: said, .. } if said == wait), "{again:?}");
        let again = step(trial_challenged("tok"), &seen);
        let Step::Try { step: TrialStep::Answer { wait: said, .. }, .. } = again else {
            panic!("{again:?}")
        };
        assert_eq!(said, wait);
        seen.answered_again += 1;
    }
    assert!(matches!(step(challenged("tok"), &seen), Step::Observe { .. }), "one more look");
    seen.looks = LAST_LOOKS;
    assert_eq!(step(challenged("tok"), &seen), Step::GiveUp(refusal));
    // A CA that tries again by itself is let.
    let busy = seen.order.as_mut().and_then(|order| order.challenge.as_mut()).unwrap();
    busy.processing = true;
    assert!(matches!(step(challenged("tok"), &seen), Step::Observe { .. }));
}

#[test]
fn an_order_is_never_looked_at_without_a_pause() {
    for said in [Span::ZERO, Span::from_millis(1)] {
        let mut seen = sight(OrderStatus::Processing, None);
        seen.order.as_mut().unwrap().retry_after = Some(said);
        for looks in 0..50 {
            seen.looks = looks;
            let Step::Observe { wait, .. } = step(keyed_work(), &seen) else { panic!() };
            assert!(wait >= FIRST_WAIT, "{wait:?}");
        }
    }
}

#[test]
fn another_token_than_the_stored_one_is_published_first() {
    let other = sight(OrderStatus::Pending, Some(("other", false)));
    assert!(matches!(step(challenged("tok"), &other), Step::Publish(_)));
}

#[test]
fn nothing_is_finalized_twice_in_a_run() {
    let ready = sight(OrderStatus::Ready, None);
    let sent = Sight { finalized: true, ..ready };
    assert!(matches!(step(keyed_work(), &sent), Step::Observe { .. }));
}

#[test]
fn an_order_finalized_without_our_key_is_given_up() {
    for status in [OrderStatus::Processing, OrderStatus::Valid] {
        assert!(matches!(step(ordered(), &sight(status, None)), Step::GiveUp(_)));
    }
}

#[test]
fn an_invalid_order_is_given_up_with_the_cas_reason() {
    let mut invalid = sight(OrderStatus::Invalid, None);
    let refusal = Refusal { cause: Cause::CaaForbids, detail: "CAA".into() };
    if let Some(order) = &mut invalid.order {
        order.failure = Some(refusal.clone());
    }
    assert_eq!(step(challenged("tok"), &invalid), Step::GiveUp(refusal));
}

#[test]
fn the_ca_sets_the_pace_and_otherwise_waits_grow_to_a_bound() {
    let mut paced = sight(OrderStatus::Processing, None);
    if let Some(order) = &mut paced.order {
        order.retry_after = Some(Span::from_secs(3));
    }
    let wait = |sight: &Sight| {
        let Step::Observe { wait, .. } = step(keyed_work(), sight) else { panic!("no look") };
        wait
    };
    assert_eq!(wait(&paced), Span::from_secs(3));
    let unpaced = |looks| Sight { looks, ..sight(OrderStatus::Processing, None) };
    assert_eq!(wait(&unpaced(0)), FIRST_WAIT);
    assert!(wait(&unpaced(1)) > FIRST_WAIT);
    assert_eq!(wait(&unpaced(u32::MAX)), WAIT_MAX);
}

#[test]
fn work_under_anothers_lease_must_be_claimed_first() {
    let foreign = decide(&record(ordered()), &Sight::default(), "you", at(0));
    assert_eq!(foreign, Step::Claim);
}

#[test]
fn deferred_work_rests_until_its_time() {
    let mut waiting = record(ordered());
    waiting.lease = None;
    waiting.failure = Some(crate::failure::Failure {
        cause: Cause::CaUnavailable,
        detail: String::new(),
        attempts: 1,
        stalls: 0,
        outage: crate::failure::Outage::default(),
        next_attempt_at: Some(at(60)),
        refused: false,
    });
    let early = decide(&waiting, &Sight::default(), ME, at(59));
    assert_eq!(early, Step::Rest(Some(at(60))));
    assert_eq!(decide(&waiting, &Sight::default(), ME, at(60)), Step::Claim);
}

fn any_work() -> impl Strategy<Value = Work> {
    prop_oneof![
        Just(Work::Idle),
        Just(Work::Parked),
        Just(Work::Wanted { since: at(0) }),
        Just(Work::Ordering { issuer: "ca".into() }),
        Just(ordered()),
        Just(challenged("tok")),
        Just(trial(TrialOrder::Unplaced)),
        Just(trial_placed()),
        Just(trial_challenged("tok")),
        Just(keyed_work()),
    ]
}

fn any_sight() -> impl Strategy<Value = Sight> {
    let status = prop_oneof![
        Just(OrderStatus::Pending),
        Just(OrderStatus::Ready),
        Just(OrderStatus::Processing),
        Just(OrderStatus::Valid),
        Just(OrderStatus::Invalid),
    ];
    let challenge = proptest::option::of((prop_oneof![Just("tok"), Just("other")], any::<bool>()));
    (proptest::option::of((status, challenge)), any::<(bool, bool, u32)>()).prop_map(
        |(order, (answered, finalized, looks))| {
            let order = order.and_then(|(status, challenge)| sight(status, challenge).order);
            Sight { order, answered, finalized, looks, ..Sight::default() }
        },
    )
}

proptest! {
    #[test]
    fn no_certificate_is_downloaded_or_finalized_without_a_stored_key(
        work in any_work(), sight in any_sight()
    ) {
        let step = decide(&record(work.clone()), &sight, ME, at(0));
        if matches!(step, Step::Finalize { .. } | Step::Download { .. }) {
            let keyed = matches!(work, Work::Keyed { .. });
            prop_assert!(keyed);
        }
    }

    #[test]
    fn the_ca_is_never_told_to_fetch_what_is_not_stored(
        work in any_work(), sight in any_sight()
    ) {
        let step = decide(&record(work.clone()), &sight, ME, at(0));
        let tried = matches!(&step, Step::Try { step: TrialStep::Answer { .. }, .. });
        if tried || matches!(step, Step::Answer { .. }) {
            let token = sight.order.and_then(|order| order.challenge).map(|found| found.token);
            prop_assert_eq!(work.token(), token.as_ref().map(ChallengeToken::as_str));
        }
    }

    #[test]
    fn deciding_twice_is_deciding_once(work in any_work(), sight in any_sight()) {
        let record = record(work);
        prop_assert_eq!(
            decide(&record, &sight, ME, at(0)), decide(&record, &sight, ME, at(0))
        );
    }
}

#[test]
fn what_another_replica_holds_while_it_asks_is_left_to_it() {
    let wanted = record(Work::Wanted { since: at(0) });
    assert_eq!(decide(&wanted, &Sight::default(), ME, at(0)), Step::Confirm);
    assert_eq!(decide(&wanted, &Sight::default(), "you", at(0)), Step::Claim);
    let free = DomainRecord { lease: None, ..wanted };
    assert_eq!(decide(&free, &Sight::default(), "you", at(0)), Step::Confirm);
}
