//! Answers of the control plane, and what they mean for whoever waited.

use sealwax_protocol::{ChallengeToken, DomainName};

use super::challenge::{ChallengeReply, shared_key};
use super::{Filter, Flow};
use crate::callout_answer::{CalloutAnswer, Failure, read_answer};
use crate::challenge_answers::{KEY_AUTHORIZATION_BYTES_MAX, is_key_authorization};
use crate::config::Meanwhile;
use crate::host::{CalloutToken, ContextId, HeaderMap, Host};
use crate::lookups::{Lookup, Stage, Subject, Waiter};
use crate::metrics::Counter;
use crate::verdict::{Told, VERDICT_BYTES_MAX, Verdict, read_verdict};

/// The least time between two questions about the same domain, in milliseconds, whatever the
/// answer says.
const REST_MS_MIN: u64 = 100;

impl Filter {
    /// The answer to a callout is there to be read. One that nobody waits for any more is
    /// ignored.
    pub fn callout_answer<H: Host>(
        &mut self,
        host: &mut H,
        token: CalloutToken,
        headers: u32,
        body_bytes: u32,
    ) {
        self.read_clock(host);
        if self.usage_call.is_some_and(|call| call.token == token) {
            self.usage_answer(host, headers);
        } else if let Some(lookup) = self.lookups.take(token) {
            let took_ms = self.clock.now().since_ms(lookup.since);
            self.metrics.callout_took(host, took_ms);
            // The answer has to be read before the focus moves to a stream.
            let answer = read_answer(host, headers, body_bytes, VERDICT_BYTES_MAX);
            self.settle(host, lookup, answer);
            self.ask_for_waiting_challenges(host);
        }
        host.focus(self.root);
    }

    /// Deals with an answer or a failure, for the caches and for every waiter.
    pub(super) fn settle<H: Host>(
        &mut self,
        host: &mut H,
        lookup: Lookup,
        answer: Result<CalloutAnswer, Failure>,
    ) {
        match lookup.subject.clone() {
            Subject::Certificate(domain) => self.settle_certificate(host, lookup, &domain, answer),
            Subject::Challenge { token, host: host_name } => {
                self.settle_challenge(host, lookup, &token, &host_name, answer);
            }
        }
    }

    fn settle_certificate<H: Host>(
        &mut self,
        host: &mut H,
        lookup: Lookup,
        domain: &DomainName,
        answer: Result<CalloutAnswer, Failure>,
    ) {
        let cache = self.config.cache;
        let told = answer
            .and_then(|answer| read_verdict(&answer, domain, cache.default_ttl_s, cache.ttl_max_s));
        let now = self.clock.now();
        let told = match told {
            Ok(told) => {
                self.callout_succeeded();
                self.share_verdict(host, domain, told);
                told
            }
            Err(failure) => {
                self.callout_failed(host, failure);
                Told { verdict: Verdict::Unavailable, ttl_ms: u64::from(cache.failure_ttl_ms) }
            }
        };
        self.verdicts.put(lookup.key, told.verdict, now.after_ms(told.ttl_ms), now);
        let rests = told.verdict == Verdict::Pending
            && self.config.on_pending == Meanwhile::Wait
            && !lookup.waiters.is_empty();
        if rests {
            let until = now.after_ms(told.ttl_ms.max(REST_MS_MIN));
            self.lookups.insert(Lookup { stage: Stage::Resting { until }, since: now, ..lookup });
        } else {
            for waiter in lookup.waiters {
                self.release(host, waiter, told.verdict, domain);
            }
        }
    }

    fn settle_challenge<H: Host>(
        &mut self,
        host: &mut H,
        lookup: Lookup,
        token: &ChallengeToken,
        host_name: &str,
        answer: Result<CalloutAnswer, Failure>,
    ) {
        let read = answer.and_then(|answer| match answer.status {
            200 if is_key_authorization(token, &answer.body) => Ok(Some(answer)),
            200 if answer.body.len() > KEY_AUTHORIZATION_BYTES_MAX => Err(Failure::Oversized),
            200 => Err(Failure::BadBody),
            400 | 404 => Ok(None),
            status => Err(Failure::of_status(status)),
        });
        let reply = match &read {
            Ok(Some(answer)) => {
                self.callout_succeeded();
                let ttl_max_s = u64::from(self.config.challenge.ttl_s);
                let ttl_s = answer.max_age_s.unwrap_or(ttl_max_s).min(ttl_max_s);
                let expires = self.clock.now().after_ms(ttl_s * 1_000);
                self.challenges.put(lookup.key, &answer.body, expires);
                let key = shared_key(token, host_name);
                self.shared_challenges.put(host, &self.clock, &key, &answer.body, expires);
                ChallengeReply::KeyAuthorization(&answer.body)
            }
            // Not cached: the token may be registered a moment later.
            Ok(None) => {
                self.callout_succeeded();
                ChallengeReply::NotFound
            }
            Err(failure) => {
                self.callout_failed(host, *failure);
                ChallengeReply::Unavailable
            }
        };
        if !matches!(reply, ChallengeReply::KeyAuthorization(_)) {
            self.withdraw_challenge(host, token, host_name);
        }
        self.answer_challenges(host, reply, lookup.waiters);
    }

    /// Lets a request that waited for `domain` go its way. Its headers are read again, rather than
    /// kept: a thousand waiters with long paths would be a lot of memory.
    pub(super) fn release<H: Host>(
        &mut self,
        host: &mut H,
        waiter: Waiter,
        verdict: Verdict,
        domain: &DomainName,
    ) {
        if !host.focus(waiter.stream) {
            return;
        }
        let path = host.header(HeaderMap::Request, ":path").unwrap_or_default();
        let flow = self.decide(host, verdict, domain.as_str().as_bytes(), &path);
        if flow == Flow::Continue {
            host.resume();
        }
    }

    /// A request waited long enough.
    pub(super) fn release_overdue<H: Host>(
        &mut self,
        host: &mut H,
        stream: ContextId,
        subject: &Subject,
    ) {
        if !host.focus(stream) {
            return;
        }
        let flow = match subject {
            Subject::Certificate(_) => self.pass(host, Counter::WaitedOut),
            Subject::Challenge { .. } => self.answer_challenge(host, ChallengeReply::Unavailable),
        };
        if flow == Flow::Continue {
            host.resume();
        }
    }

    const fn callout_succeeded(&mut self) {
        self.metrics.count(Counter::CalloutOk);
        self.breaker.succeed();
    }

    fn share_verdict<H: Host>(&mut self, host: &mut H, domain: &DomainName, told: Told) {
        if told.ttl_ms > 0 {
            let expires = self.clock.now().after_ms(told.ttl_ms);
            let payload = [told.verdict.to_byte()];
            let key = domain.as_str().as_bytes();
            self.shared_verdicts.put(host, &self.clock, key, &payload, expires);
        }
    }

    fn usage_answer<H: Host>(&mut self, host: &mut H, headers: u32) {
        let Some(call) = self.usage_call.take() else { return };
        self.metrics.callout_took(host, self.clock.now().since_ms(call.since));
        // Only the status matters, so no body is too long.
        match read_answer(host, headers, 0, 0) {
            Ok(answer) if (200..300).contains(&answer.status) => {
                self.callout_succeeded();
                self.metrics.add(Counter::UsageReported, call.names);
            }
            Ok(answer) => {
                self.callout_failed(host, Failure::of_status(answer.status));
                self.metrics.add(Counter::UsageDropped, call.names);
            }
            Err(failure) => {
                self.callout_failed(host, failure);
                self.metrics.add(Counter::UsageDropped, call.names);
            }
        }
    }
}
