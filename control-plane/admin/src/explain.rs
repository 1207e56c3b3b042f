//! What happened to a domain, what is wrong, who must act, what to change, what happens next.

use sealwax_core::preflight::{Findings, Sighting};
use sealwax_core::store::LifecycleEvent;
use sealwax_core::{
    Cause, DomainRecord, DomainState, Failure, Timestamp, Trials, Venue, Who, departure,
};
use sealwax_workflow::Turn;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::advice::{Advice, forward, in_words};
use sealwax_platform::view::{DomainView, EventView};

/// From this many failures in a row on the schedule is daily.
const DAILY_FROM: u32 = 4;

/// The explanation of a domain's state, in words that can be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The domain as it is.
    pub record: DomainView,
    /// What its state means.
    pub summary: String,
    /// What is wrong, if something is.
    pub wrong: Option<String>,
    /// Who must act and what to change, if someone must.
    pub act: Option<String>,
    /// The exact record or setting to change.
    pub change: Option<String>,
    /// The whole of it in words for the customer, if it is the customer who must act.
    pub forward: Option<String>,
    /// What was seen of the domain before its last order, or instead of it, while something is
    /// wrong.
    pub preflight: Option<PreflightView>,
    /// Where attempts are made while it fails, if the issuer has a staging.
    pub trials: Option<String>,
    /// What happens next by itself.
    pub next: String,
    /// What happened, oldest first.
    pub timeline: Vec<Moment>,
}

/// What a look at the domain saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreflightView {
    /// RFC 3339.
    pub at: String,
    /// Everything seen, one thing each.
    pub seen: Vec<SightingView>,
}

/// One thing seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SightingView {
    /// What was looked at: `CNAME`, `A`, `AAAA`, `CAA` or `challenge path`.
    pub what: String,
    /// What was seen, the very answers.
    pub seen: String,
}

/// One step of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// RFC 3339.
    pub at: String,
    /// The event's kind.
    pub kind: String,
    /// The kind in words.
    pub what: String,
    /// What was seen.
    pub detail: String,
}

impl Explanation {
    /// Explains a record by its events, newest first as the store has them.
    #[must_use]
    pub fn of(record: &DomainRecord, events: &[LifecycleEvent], now: Timestamp) -> Self {
        Self {
            record: DomainView::from(record),
            summary: summary(record, now),
            wrong: trying(record, events).or_else(|| record.failure.as_ref().map(wrong)),
            act: record.failure.as_ref().map(act),
            change: None,
            forward: None,
            preflight: record.preflight.as_deref().map(seen),
            trials: record.trials.and_then(tried),
            next: next(record, now),
            timeline: events.iter().rev().map(moment).collect(),
        }
    }

    /// The same of a domain that waits for a CA in this process: an estimate, made now.
    #[must_use]
    pub fn waiting(self, turn: Option<Turn>) -> Self {
        match turn {
            Some(turn) => Self { next: its_turn(&turn), ..self },
            None => self,
        }
    }

    /// The same, with what the configuration lets us say exactly, and the certificate authority's
    /// name for itself in CAA records.
    #[must_use]
    pub fn advised(self, record: &DomainRecord, advice: &Advice, ca: Option<&str>) -> Self {
        let change = advice.change(record, ca);
        let forward = forward(record, advice.exact(record, ca).as_deref());
        Self { change, forward, ..self }
    }
}

fn summary(record: &DomainRecord, now: Timestamp) -> String {
    let domain = &record.domain;
    let served = match &record.certificate {
        Some(held) if held.valid_at(now) => {
            format!(" The certificate it has is served until {}.", held.not_after)
        }
        Some(held) => format!(" The certificate it had expired at {}.", held.not_after),
        None => " It has no certificate, so its handshakes fail.".to_owned(),
    };
    match record.state() {
        DomainState::Pending => format!("{domain} is registered and has no certificate yet."),
        DomainState::Issuing => format!("The first certificate of {domain} is being issued."),
        DomainState::Issued => format!("{domain} has a certificate.{served}"),
        DomainState::Deferred if record.failure.as_ref().is_some_and(Failure::is_postponed) => {
            format!("{domain} waits for its certificate authority.{served}")
        }
        DomainState::Deferred => {
            format!("The last attempt to issue for {domain} failed and is repeated.{served}")
        }
        DomainState::Refused => {
            format!("Issuing for {domain} failed, and someone must act.{served}")
        }
        DomainState::Parked => {
            format!("{domain} is parked: nothing is issued for it any more.{served}")
        }
    }
}

/// What the certificate authority finds fault with in the order that is being worked on.
fn trying(record: &DomainRecord, events: &[LifecycleEvent]) -> Option<String> {
    let newest = events.first().filter(|event| event.kind == "validation.retried")?;
    record.work.in_flight().then(|| newest.detail.clone())
}

fn wrong(failure: &Failure) -> String {
    if failure.is_postponed() {
        return failure.detail.clone();
    }
    let count = if failure.is_stall() { failure.stalls } else { failure.attempts };
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times in a row") };
    format!("{} ({times})", failure.detail)
}

fn act(failure: &Failure) -> String {
    let who = match failure.cause.who() {
        Who::Customer => "The owner of the domain must act",
        Who::Platform => "The platform must act",
        Who::Ca => "It is up to the certificate authority",
    };
    format!("{who}. {}", failure.cause.fix())
}

fn next(record: &DomainRecord, now: Timestamp) -> String {
    let state = record.state();
    if state == DomainState::Parked {
        return parked(record);
    }
    if record.work.in_flight() && record.resting_until().is_none() {
        return "The order is being worked on.".to_owned();
    }
    match record.scheduled_at() {
        Some(at) if at <= now && waits_for_room(record) => {
            "It waits for room in the certificate authority's limits, and is looked at within a \
             minute."
                .to_owned()
        }
        Some(at) if at <= now => "It is due and tried within seconds.".to_owned(),
        Some(at) if record.failure.is_some() => again(record, at),
        Some(at) => format!("It is renewed at {at}."),
        None if record.certificate.is_some() => {
            "Nothing: this certificate was brought along and is not renewed.".to_owned()
        }
        None => {
            "A certificate is issued when the first handshake or request asks for it.".to_owned()
        }
    }
}

/// No attempt failed: there was no room for one.
fn waits_for_room(record: &DomainRecord) -> bool {
    let failure = record.failure.as_ref();
    let limited = |failure: &Failure| failure.cause == Cause::CaRateLimited;
    failure.is_some_and(|failure| failure.is_postponed() && limited(failure))
}

fn its_turn(turn: &Turn) -> String {
    let Turn { about, ahead, detail } = turn;
    let before = match ahead {
        0 => "nobody goes before it".to_owned(),
        1 => "one name goes before it".to_owned(),
        ahead => format!("{ahead} names go before it"),
    };
    format!(
        "It waits for its turn ({detail}): {before}, and it is at about {about}, as far as can be \
         said now. A visit of it may go earlier."
    )
}

fn parked(record: &DomainRecord) -> String {
    let gone = departure::is_parked(record);
    let visit = if gone { " A visit is reason to ask the platform again." } else { "" };
    match record.erase_at {
        Some(at) => format!(
            "The platform is asked again at {at}, and its certificate and key are deleted when it \
             says over an hour that it is gone, unless it is registered again.{visit}"
        ),
        None => format!("Nothing, until it is registered again.{visit}"),
    }
}

/// When it is tried again, and why then.
fn again(record: &DomainRecord, at: Timestamp) -> String {
    let why = match &record.failure {
        Some(failure) if failure.cause == Cause::CaRateLimited => {
            ", when the certificate authority's limit allows it"
        }
        Some(failure) if failure.is_stall() => {
            ": an outage is asked about in seconds at first, and at least every ten minutes"
        }
        Some(failure) if failure.attempts >= DAILY_FROM => {
            ": after several failures in a row it is tried daily"
        }
        Some(_) => ": the wait grows with each failure, a minute, ten, a hundred, then a day",
        None => "",
    };
    let look = if record.preflight.is_some() {
        "; with --force it is ordered without a look at it first"
    } else if record.trials.is_some_and(|trials| trials.saved > 0) {
        "; with --force it is ordered without a trial"
    } else {
        ""
    };
    let domain = &record.domain;
    format!("It is tried again at {at}{why}. To try now: sealwax domain renew {domain}{look}.")
}

/// What trials came to. Nothing is said before there was one: the issuer may have no staging.
fn tried(trials: Trials) -> Option<String> {
    let saved = match trials.saved {
        0 => return None,
        1 => "1 production attempt saved".to_owned(),
        saved => format!("{saved} production attempts saved"),
    };
    let next = match trials.next {
        Venue::Staging => "the next attempt is made there too, and in production once one succeeds",
        Venue::Production => "the next attempt is made in production",
    };
    Some(format!("Tried in the certificate authority's staging: {saved}; {next}."))
}

fn seen(findings: &Findings) -> PreflightView {
    let one =
        |sighting: Sighting| SightingView { what: sighting.what.to_owned(), seen: sighting.seen };
    let seen = findings.sightings().into_iter().map(one).collect();
    PreflightView { at: findings.at.rfc3339(), seen }
}

fn moment(event: &LifecycleEvent) -> Moment {
    let EventView { at, kind, detail } = EventView::from(event);
    Moment { at, what: in_words(&kind).to_owned(), kind, detail }
}

#[cfg(test)]
mod tests {
    use sealwax_core::preflight::{Looked, Path};
    use sealwax_core::{Cause, Registration, Work};
    use sealwax_protocol::DomainName;

    use super::*;

    fn record() -> DomainRecord {
        let domain = DomainName::parse("a.example.com").unwrap();
        DomainRecord::registered(domain, Registration::default(), Timestamp::from_secs(0))
    }

    #[test]
    fn a_failure_is_explained_with_who_what_and_when() {
        let mut record = record();
        record.failure = Some(Failure {
            cause: Cause::DnsNoRecord,
            detail: "no A or AAAA record".to_owned(),
            attempts: 3,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: Some(Timestamp::from_secs(1_767_225_600)),
            refused: true,
        });
        let told = Explanation::of(&record, &[], Timestamp::from_secs(5));
        assert_eq!(told.wrong.as_deref(), Some("no A or AAAA record (3 times in a row)"));
        assert!(
            told.act.unwrap().starts_with("The owner of the domain must act. Add an A or AAAA")
        );
        assert!(told.next.starts_with("It is tried again at 2026-01-01T00:00:00Z: the wait grows"));
        assert!(told.next.ends_with("sealwax domain renew a.example.com."));
        assert!(told.summary.contains("someone must act. It has no certificate"));
    }

    #[test]
    fn what_was_seen_of_the_domain_is_told() {
        let mut record = record();
        assert_eq!(Explanation::of(&record, &[], Timestamp::from_secs(5)).preflight, None);
        let nothing = || "no such record".to_owned();
        record.preflight = Some(Box::new(Findings {
            at: Timestamp::from_secs(0),
            ipv4: Looked::Nothing { said: "NXDOMAIN".to_owned() },
            ipv6: Looked::Nothing { said: nothing() },
            aliases: Vec::new(),
            caa: Looked::Nothing { said: nothing() },
            path: Path::NotTried { why: "no address is known".to_owned() },
            also: Vec::new(),
            vantage_proven: false,
        }));
        let told = Explanation::of(&record, &[], Timestamp::from_secs(5)).preflight.unwrap();
        assert_eq!(told.at, "1970-01-01T00:00:00Z");
        let what: Vec<_> = told.seen.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(what, ["A", "AAAA", "CAA", "challenge path"]);
        assert_eq!(told.seen[0].seen, "none: NXDOMAIN");
    }

    #[test]
    fn trials_are_told_once_there_was_one() {
        let told = |next, saved| {
            let record = DomainRecord { trials: Some(Trials { next, saved }), ..record() };
            Explanation::of(&record, &[], Timestamp::from_secs(5)).trials
        };
        assert_eq!(told(Venue::Staging, 0), None);
        let once = told(Venue::Staging, 1).unwrap();
        assert!(once.contains("staging: 1 production attempt saved; the next"), "{once}");
        let passed = told(Venue::Production, 3).unwrap();
        assert!(
            passed
                .ends_with("3 production attempts saved; the next attempt is made in production.")
        );
    }

    #[test]
    fn every_state_says_what_happens_next() {
        let now = Timestamp::from_secs(5);
        let next = |work: Work| Explanation::of(&DomainRecord { work, ..record() }, &[], now).next;
        assert!(next(Work::Idle).contains("first handshake"));
        assert!(next(Work::Parked).contains("registered again"));
        assert!(next(Work::Wanted { since: now }).contains("within seconds"));
        assert!(next(Work::Ordering { issuer: "ca".to_owned() }).contains("worked on"));
    }

    #[test]
    fn an_order_that_rests_is_not_said_to_be_worked_on() {
        let mut record = record();
        record.work = Work::Ordering { issuer: "ca".to_owned() };
        record.failure = Some(Failure {
            cause: Cause::CaUnavailable,
            detail: "no answer".to_owned(),
            attempts: 1,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: Some(Timestamp::from_secs(60)),
            refused: false,
        });
        let told = Explanation::of(&record, &[], Timestamp::from_secs(5));
        assert!(
            told.next.starts_with("It is tried again at 1970-01-01T00:01:00Z"),
            "{}",
            told.next
        );
    }

    #[test]
    fn a_turn_is_an_estimate_and_no_failure() {
        let mut record = record();
        record.failure = Some(Failure {
            cause: Cause::CaRateLimited,
            detail: "ca: no room now for new orders of the account".to_owned(),
            attempts: 0,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: Some(Timestamp::from_secs(60)),
            refused: false,
        });
        let told = Explanation::of(&record, &[], Timestamp::from_secs(500));
        assert!(told.next.contains("looked at within a minute"), "{}", told.next);
        assert_eq!(told.wrong.as_deref(), Some("ca: no room now for new orders of the account"));
        assert!(told.summary.contains("waits for its certificate authority"), "{}", told.summary);
        let about = Timestamp::from_secs(1_767_225_600);
        let detail = "ca: no room now for new orders of the account".to_owned();
        let told = told.waiting(Some(Turn { about, ahead: 17, detail }));
        assert!(
            told.next.contains("17 names go before it, and it is at about 2026-01-01T00:00:00Z")
        );
    }

    #[test]
    fn the_timeline_is_oldest_first() {
        let event = |secs: i64, kind: &str| LifecycleEvent {
            at: Timestamp::from_secs(secs),
            kind: kind.to_owned(),
            detail: String::new(),
        };
        let newest_first = [event(2, "certificate.issued"), event(1, "domain.registered")];
        let told = Explanation::of(&record(), &newest_first, Timestamp::from_secs(5));
        let kinds: Vec<_> = told.timeline.iter().map(|moment| moment.what.as_str()).collect();
        assert_eq!(kinds, ["registered", "the first certificate was issued"]);
    }
}
