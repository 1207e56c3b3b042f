use super::*;

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn open(now: Timestamp) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..FAILURES_MAX {
        let pass = breaker.admit(now).unwrap();
        breaker.failed(pass, now);
    }
    breaker
}

#[test]
fn a_ca_that_is_down_is_probed_by_one_and_ever_more_rarely() {
    let mut breaker = open(at(0));
    assert_eq!(breaker.look(at(1)), Err(at(2)));
    let (mut now, mut rests) = (at(2), Vec::new());
    for _ in 0..12 {
        assert_eq!(breaker.look(now), Ok(Leave::Probe));
        let probe = breaker.admit(now).unwrap();
        assert!(breaker.admit(now).is_err(), "the others wait for it");
        breaker.failed(probe, now);
        let until = breaker.look(now).unwrap_err();
        rests.push(until.since(now).secs());
        now = until;
    }
    assert_eq!(rests, [4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]);
    let probe = breaker.admit(now).unwrap();
    breaker.succeeded(probe);
    assert_eq!(breaker.look(now), Ok(Leave::All));
}

/// Many at once met the same blip: it is one blip.
#[test]
fn failures_that_began_before_it_opened_do_not_lengthen_the_rest() {
    let mut breaker = Breaker::default();
    let passes: Vec<_> = (0..60).map(|_| breaker.admit(at(0)).unwrap()).collect();
    for pass in &passes {
        breaker.failed(*pass, at(1));
    }
    assert_eq!(breaker.look(at(1)), Err(at(3)), "seconds, whatever their number");
    let probe = breaker.admit(at(3)).unwrap();
    for pass in passes {
        breaker.failed(pass, at(4));
    }
    assert!(breaker.look(at(4)).unwrap_err() <= at(6), "nor while the probe is under way");
    breaker.succeeded(probe);
    assert_eq!(breaker.look(at(4)), Ok(Leave::All));
}

#[test]
fn what_says_nothing_about_it_neither_opens_nor_closes_it() {
    let mut breaker = open(at(0));
    let probe = breaker.admit(at(2)).unwrap();
    breaker.void(probe);
    assert_eq!(breaker.look(at(2)), Ok(Leave::Probe), "the next one sees");
    let probe = breaker.admit(at(2)).unwrap();
    breaker.failed(probe, at(2));
    assert_eq!(breaker.look(at(2)), Err(at(6)), "one probe failed, not two");
    let mut well = Breaker::default();
    let pass = well.admit(at(0)).unwrap();
    well.void(pass);
    assert_eq!(well, Breaker::default());
}

#[test]
fn a_success_that_began_before_it_opened_does_not_close_it() {
    let mut breaker = Breaker::default();
    let old = breaker.admit(at(0)).unwrap();
    for _ in 0..FAILURES_MAX {
        let pass = breaker.admit(at(0)).unwrap();
        breaker.failed(pass, at(0));
    }
    breaker.succeeded(old);
    assert_eq!(breaker.look(at(0)), Err(at(2)));
}

#[test]
fn a_probe_that_never_comes_back_is_followed_by_another() {
    let mut breaker = open(at(0));
    let lost = breaker.admit(at(2)).unwrap();
    assert!(breaker.admit(at(61)).is_err());
    let second = breaker.admit(at(62)).unwrap();
    breaker.failed(lost, at(63));
    breaker.succeeded(second);
    assert_eq!(breaker.look(at(63)), Ok(Leave::All));
}

#[test]
fn a_hold_that_is_said_lasts_as_said_and_no_success_ends_it() {
    let mut hold = Hold::default();
    hold.said(at(500), at(0));
    hold.said(at(400), at(0));
    hold.succeeded(at(10));
    assert_eq!(hold.resting_until(at(499)), Some(at(500)));
    assert_eq!(hold.resting_until(at(500)), None);
}

#[test]
fn a_hold_that_is_not_said_is_short_and_grows_up_to_ten_minutes() {
    let mut hold = Hold::default();
    let (mut now, mut waits) = (at(0), Vec::new());
    for _ in 0..6 {
        hold.unsaid(now, 1000);
        hold.unsaid(now, 1000);
        let until = hold.resting_until(now).unwrap();
        waits.push(until.since(now).secs());
        now = until;
    }
    assert_eq!(waits, [60, 120, 240, 480, 600, 600], "twenty at once are one");
    hold.succeeded(now);
    hold.unsaid(now, 0);
    assert_eq!(hold.resting_until(now), Some(now + Span::from_secs(30)), "it starts anew");
}

#[test]
fn a_refused_account_is_news_once_and_asked_by_one_at_a_time() {
    let mut stop = Stop::default();
    assert_eq!(stop.admit(at(0)), Ok(()));
    assert!(stop.set("terms changed", Span::from_secs(600), at(0)));
    assert!(!stop.set("terms changed", Span::from_secs(600), at(0)));
    assert_eq!(stop.why(), Some("terms changed"));
    assert_eq!(stop.admit(at(5)), Err(at(600)));
    assert_eq!(stop.admit(at(600)), Ok(()));
    assert_eq!(stop.admit(at(601)), Err(at(660)), "the others wait for the one that asks");
    stop.lift();
    assert_eq!(stop.why(), None);
    assert_eq!(stop.admit(at(601)), Ok(()));
}

/// A day ahead, and then right: what rested for seconds or minutes does so, and not for a day.
#[test]
fn a_clock_that_is_set_back_makes_no_rest_longer() {
    let (ahead, right) = (at(100_000), at(100));
    let mut breaker = open(ahead);
    assert_eq!(breaker.look(right), Err(at(102)));
    assert_eq!(breaker.look(at(102)), Ok(Leave::Probe));
    let mut hold = Hold::default();
    hold.unsaid(ahead, 1000);
    assert_eq!(hold.resting_until(right), Some(at(160)));
    assert_eq!(hold.resting_until(at(160)), None);
    hold.said(at(100_050), ahead);
    assert_eq!(hold.resting_until(right), Some(at(150)));
    let mut stop = Stop::default();
    assert!(stop.set("terms changed", Span::from_secs(600), ahead));
    assert_eq!(stop.admit(right), Err(at(700)));
    assert_eq!(stop.admit(at(700)), Ok(()));
}
