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
    match count {
        // Nothing was tried: the platform's word, or a state of the CA's.
        0 => failure.detail.clone(),
        1 => format!("{} (once)", failure.detail),
        _ => format!("{} ({count} times in a row)", failure.detail),
    }
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
mod tests;
