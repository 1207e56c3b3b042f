//! ACME http-01 challenges: always answered here, never by the origin.

use sealwax_protocol::{ChallengeToken, DomainName};

use super::{Filter, Flow, count};
use crate::fingerprint::Fingerprint;
use crate::host::{ContextId, HeaderMap, Host, Reply};
use crate::lookups::{Lookup, Stage, Subject, Waiter};
use crate::metrics::Counter;

/// Longest host repeated to the control plane, in bytes: a domain name with a port.
const HOST_BYTES_MAX: usize = 259;
/// Challenges that wait for a callout to end, for each that may be out: a CA that validates many
/// names at once is answered a little later, and a flood of made-up tokens takes few places.
const WAITING_PER_CALLOUT: usize = 8;

/// What a challenge is answered with.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChallengeReply<'a> {
    KeyAuthorization(&'a [u8]),
    NotFound,
    Unavailable,
    BadMethod,
}

/// What the other workers know of a challenge.
#[derive(Clone, Debug)]
enum Shared {
    Answer(Vec<u8>),
    AskedElsewhere,
    Nothing,
}

impl Filter {
    pub(super) fn challenge<H: Host>(
        &mut self,
        host: &mut H,
        stream: ContextId,
        token: &ChallengeToken,
    ) -> Flow {
        let method = host.header(HeaderMap::Request, ":method").unwrap_or_default();
        if method != b"GET" && method != b"HEAD" {
            return self.answer_challenge(host, ChallengeReply::BadMethod);
        }
        let host_name = challenged_host(host);
        let key = self.challenge_key(token, &host_name);
        if let Some(known) = self.challenges.get(key, self.clock.now()).map(<[u8]>::to_vec) {
            self.metrics.count(Counter::CacheHit);
            return self.answer_challenge(host, ChallengeReply::KeyAuthorization(&known));
        }
        if !self.lookups.contains(key) {
            match self.shared_challenge(host, key, token, &host_name) {
                Shared::Answer(known) => {
                    let reply = ChallengeReply::KeyAuthorization(&known);
                    return self.answer_challenge(host, reply);
                }
                Shared::AskedElsewhere if self.lookups.has_room() => {
                    self.rest_challenge(key, token.clone(), host_name, Vec::new());
                }
                Shared::AskedElsewhere => {}
                Shared::Nothing if self.waits_for_a_callout() => {
                    self.rest_challenge(key, token.clone(), host_name, Vec::new());
                }
                Shared::Nothing => {
                    self.metrics.count(Counter::CacheMiss);
                    let subject = Subject::Challenge { token: token.clone(), host: host_name };
                    if self.ask(host, key, subject, Vec::new()).is_err() {
                        return self.answer_challenge(host, ChallengeReply::Unavailable);
                    }
                }
            }
        }
        let deadline = self.clock.now().after_ms(u64::from(self.config.wait_max_ms));
        if self.lookups.join(key, Waiter { stream, deadline }) {
            return Flow::Pause;
        }
        self.answer_challenge(host, ChallengeReply::Unavailable)
    }

    /// A challenge another worker asked about has rested for a tick: is it answered?
    pub(super) fn look_for_challenge<H: Host>(
        &mut self,
        host: &mut H,
        key: Fingerprint,
        token: ChallengeToken,
        host_name: String,
        waiters: Vec<Waiter>,
    ) {
        let shared = self.shared_challenge(host, key, &token, &host_name);
        let (reply, waiters) = match &shared {
            Shared::Answer(known) => (ChallengeReply::KeyAuthorization(known), waiters),
            Shared::AskedElsewhere => return self.rest_challenge(key, token, host_name, waiters),
            Shared::Nothing if !self.challenge_callout_is_free() => {
                return self.rest_challenge(key, token, host_name, waiters);
            }
            Shared::Nothing => {
                let subject = Subject::Challenge { token, host: host_name };
                let unasked = self.ask(host, key, subject, waiters).err();
                (ChallengeReply::Unavailable, unasked.unwrap_or_default())
            }
        };
        self.answer_challenges(host, reply, waiters);
    }

    /// A callout has ended: challenges that waited for that are asked about.
    pub(super) fn ask_for_waiting_challenges<H: Host>(&mut self, host: &mut H) {
        while self.challenge_callout_is_free()
            && let Some(lookup) = self.lookups.take_rested_challenge(self.clock.now())
        {
            if let Subject::Challenge { token, host: host_name } = lookup.subject {
                host.focus(self.root);
                self.look_for_challenge(host, lookup.key, token, host_name, lookup.waiters);
            }
        }
    }

    pub(super) fn challenge_callout_is_free(&self) -> bool {
        self.lookups.challenges_asked() < count(self.config.challenge.callouts_max)
    }

    fn waits_for_a_callout(&self) -> bool {
        let waiting_max = count(self.config.challenge.callouts_max) * WAITING_PER_CALLOUT;
        !self.challenge_callout_is_free()
            && self.lookups.has_room()
            && self.lookups.challenges_resting() < waiting_max
    }

    pub(super) fn answer_challenges<H: Host>(
        &mut self,
        host: &mut H,
        reply: ChallengeReply<'_>,
        waiters: Vec<Waiter>,
    ) {
        for waiter in waiters {
            if host.focus(waiter.stream) && self.answer_challenge(host, reply) == Flow::Continue {
                host.resume();
            }
        }
    }

    /// Tells the other workers that this one asks, so that vantage points that come at the same
    /// moment cost one callout too: the slot holds an empty answer for as long as a callout lasts.
    pub(super) fn announce_challenge<H: Host>(
        &mut self,
        host: &mut H,
        token: &ChallengeToken,
        host_name: &str,
    ) {
        let until = self.clock.now().after_ms(u64::from(self.config.callout_timeout_ms));
        self.shared_challenges.put(host, &self.clock, &shared_key(token, host_name), b"", until);
    }

    /// Takes that back.
    pub(super) fn withdraw_challenge<H: Host>(
        &mut self,
        host: &mut H,
        token: &ChallengeToken,
        host_name: &str,
    ) {
        let key = shared_key(token, host_name);
        self.shared_challenges.put(host, &self.clock, &key, b"", self.clock.now());
    }

    fn shared_challenge<H: Host>(
        &mut self,
        host: &mut H,
        key: Fingerprint,
        token: &ChallengeToken,
        host_name: &str,
    ) -> Shared {
        match self.shared_challenges.get(host, &self.clock, &shared_key(token, host_name)) {
            None => Shared::Nothing,
            Some((known, _)) if known.is_empty() => Shared::AskedElsewhere,
            Some((known, expires)) => {
                self.metrics.count(Counter::CacheShared);
                self.challenges.put(key, &known, expires);
                Shared::Answer(known)
            }
        }
    }

    fn rest_challenge(
        &mut self,
        key: Fingerprint,
        token: ChallengeToken,
        host_name: String,
        waiters: Vec<Waiter>,
    ) {
        let since = self.clock.now();
        let stage = Stage::Resting { until: since.after_ms(1) };
        let subject = Subject::Challenge { token, host: host_name };
        self.lookups.insert(Lookup { key, subject, stage, since, waiters });
    }

    pub(super) fn challenge_not_found<H: Host>(&mut self, host: &mut H) -> Flow {
        self.answer_challenge(host, ChallengeReply::NotFound)
    }

    /// Answers the challenge in focus. One that cannot be answered is reset: an origin that
    /// answers challenges could get certificates for names it does not own.
    pub(super) fn answer_challenge<H: Host>(
        &mut self,
        host: &mut H,
        reply: ChallengeReply<'_>,
    ) -> Flow {
        let retry_after = self.config.challenge.retry_after_s.to_string();
        let (status, extra, body, why): (_, Option<(&str, &[u8])>, &[u8], _) = match reply {
            ChallengeReply::KeyAuthorization(body) => (200, None, body, Counter::ChallengeAnswered),
            ChallengeReply::NotFound => (404, None, b"unknown token\n", Counter::ChallengeUnknown),
            ChallengeReply::Unavailable => (
                503,
                Some(("retry-after", retry_after.as_bytes())),
                b"try again later\n",
                Counter::ChallengeUnavailable,
            ),
            ChallengeReply::BadMethod => {
                (405, Some(("allow", b"GET, HEAD")), b"", Counter::ChallengeUnknown)
            }
        };
        let headers: [(&str, &[u8]); 3] = [
            ("content-type", b"text/plain"),
            ("cache-control", b"no-store"),
            extra.unwrap_or_default(),
        ];
        let headers = headers.get(..2 + usize::from(extra.is_some())).unwrap_or_default();
        let flow = self.answer(host, &Reply { status, headers, body }, why);
        if flow == Flow::Continue && host.abort() { Flow::Pause } else { flow }
    }

    pub(super) fn challenge_key(&self, token: &ChallengeToken, host_name: &str) -> Fingerprint {
        Fingerprint::of(self.key, &[token.as_str().as_bytes(), host_name.as_bytes()])
    }
}

/// The key of an answer in shared data. Token and host together: an answer for one host is not
/// one for another.
pub(super) fn shared_key(token: &ChallengeToken, host_name: &str) -> Vec<u8> {
    [token.as_str().as_bytes(), host_name.as_bytes()].join(&0)
}

/// What the control plane is told the challenge was asked under: the canonical name, or for a host
/// that is none (an address, say) the header as it came; nothing, if it cannot be repeated.
fn challenged_host<H: Host>(host: &mut H) -> String {
    let authority = host.header(HeaderMap::Request, ":authority").unwrap_or_default();
    if let Ok(domain) = DomainName::parse_authority(&authority) {
        return domain.into();
    }
    let repeatable =
        authority.len() <= HOST_BYTES_MAX && authority.iter().all(u8::is_ascii_graphic);
    String::from_utf8(authority).ok().filter(|_| repeatable).unwrap_or_default()
}
