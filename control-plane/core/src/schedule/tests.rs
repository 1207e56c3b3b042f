use proptest::prelude::*;

use super::*;

const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);
/// 2026-01-01.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// `classic`, `tlsserver` and `shortlived`, in hours.
const LIVES: [u64; 3] = [90 * 24, 45 * 24, 160];

fn place(number: u32) -> Place {
    Place::of(&DomainName::parse(&format!("shop{number}.example.com")).unwrap())
}

/// When a name that is certified at `at` is certified next: the CA dates an hour back.
fn next(at: Timestamp, life: Span, place: Place) -> Timestamp {
    let not_before = at - HOUR;
    renew_at(not_before, not_before + life, place)
}

/// Renewals in each of `parts` equal parts of the time from `from` on that is one cycle long.
fn counts(times: &[Timestamp], from: Timestamp, cycle: Span, parts: u64) -> Vec<usize> {
    let mut counts = vec![0; usize::try_from(parts).unwrap()];
    for time in times.iter().filter(|time| **time >= from) {
        let part = time.since(from).millis() * parts / cycle.millis();
        if let Some(count) = usize::try_from(part).ok().and_then(|part| counts.get_mut(part)) {
            *count += 1;
        }
    }
    counts
}

#[test]
fn ninety_forty_five_and_six_day_certificates_are_renewed_in_time() {
    for (hours, from, to) in [(90 * 24, 720, 1440), (45 * 24, 360, 720), (160, 53, 80)] {
        for number in 0..500 {
            let life = HOUR.scale(hours, 1);
            let wait = renew_at(START, START + life, place(number)).since(START);
            assert!((from..=to).contains(&(wait.secs() / 3600)), "{hours} h: {wait:?}");
        }
    }
}

#[test]
fn a_name_in_its_place_is_renewed_once_a_cycle_and_no_more() {
    for hours in LIVES {
        let life = HOUR.scale(hours, 1);
        for number in 0..200 {
            let mut at = START;
            for _ in 0..RENEWALS_TO_PLACE {
                at = next(at, life, place(number));
            }
            let cycle = next(at, life, place(number)).since(at);
            let share = if hours < 240 { life.scale(14, 30) } else { life.scale(19, 30) };
            assert!(cycle.millis().abs_diff(share.millis()) <= 2, "{hours} h: {cycle:?}");
            // Minutes late, as orders are: the place is kept all the same.
            let late = next(at + Span::from_secs(600), life, place(number));
            assert!(late.since(at).millis().abs_diff(cycle.millis()) <= 2);
        }
    }
}

#[test]
fn what_was_issued_together_is_spread_evenly_within_a_life_and_a_half() {
    for hours in LIVES {
        let life = HOUR.scale(hours, 1);
        let cycle = if hours < 240 { life.scale(14, 30) } else { life.scale(19, 30) };
        let mut times = Vec::new();
        for number in 0..4_000 {
            let mut at = START;
            while at < START + life.scale(4, 1) {
                at = next(at, life, place(number));
                times.push(at);
            }
        }
        let counts = counts(&times, START + life.scale(3, 2), cycle, 20);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 140 && *most < 260, "{hours} h: {counts:?}");
    }
}

#[test]
fn an_outage_is_forgotten_at_the_next_renewal() {
    let life = DAY.scale(90, 1);
    for number in 0..200 {
        let mut at = START;
        for _ in 0..RENEWALS_TO_PLACE {
            at = next(at, life, place(number));
        }
        let on_time = next(at, life, place(number));
        let two_days_late = next(at + DAY.scale(2, 1), life, place(number));
        assert_eq!(two_days_late.secs(), on_time.secs());
    }
}

#[test]
fn an_emergency_begins_at_a_twentieth() {
    let start = Timestamp::from_secs(0);
    let end = Timestamp::from_secs(2_000);
    assert!(!is_emergency(start, end, Timestamp::from_secs(1_900)));
    assert!(is_emergency(start, end, Timestamp::from_secs(1_901)));
}

proptest! {
    #[test]
    fn renewal_lies_between_a_third_and_two_thirds_of_any_life(
        start in 0_u64..4_000_000_000, life in 0_u64..400_000_000, place in any::<u32>()
    ) {
        let start = Timestamp::from_millis(start);
        let life = Span::from_secs(life);
        let at = renew_at(start, start + life, Place(place));
        prop_assert!(at >= start + life.scale(1, 3));
        prop_assert!(at <= start + life.scale(2, 3));
    }
}
