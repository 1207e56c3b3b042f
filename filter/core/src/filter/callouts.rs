//! Asking the control plane.

use sealwax_protocol::edge::{HOST_HEADER, USAGE_PATH, certificate_path, challenge_path};

use super::{Filter, UsageCall, count};
use crate::callout_answer::Failure;
use crate::fingerprint::Fingerprint;
use crate::host::{Callout, CalloutToken, Host, LogLevel};
use crate::lookups::{Lookup, Stage, Subject, Waiter};
use crate::metrics::Counter;

impl Filter {
    /// Asks about `subject` for those who already wait, if any. They come back if nothing was
    /// asked: because there are too many callouts, the breaker is open, or the proxy refused.
    pub(super) fn ask<H: Host>(
        &mut self,
        host: &mut H,
        key: Fingerprint,
        subject: Subject,
        waiters: Vec<Waiter>,
    ) -> Result<(), Vec<Waiter>> {
        let free = match subject {
            Subject::Certificate(_) => {
                self.lookups.certificates_asked() < count(self.config.callouts_max)
            }
            Subject::Challenge { .. } => self.challenge_callout_is_free(),
        };
        if !free {
            self.metrics.count(Counter::Overflowed);
            return Err(waiters);
        }
        self.read_clock(host);
        let now = self.clock.now();
        if !self.breaker.admit(now) {
            self.metrics.count(Counter::BreakerRefused);
            return Err(waiters);
        }
        let token = match &subject {
            Subject::Certificate(domain) => {
                self.call(host, "POST", &certificate_path(domain), None, b"")
            }
            Subject::Challenge { token, host: host_name } => {
                self.call(host, "GET", &challenge_path(token), Some(host_name), b"")
            }
        };
        let Some(token) = token else {
            self.callout_failed(host, Failure::NotSent);
            return Err(waiters);
        };
        if let Subject::Challenge { token, host: host_name } = &subject {
            self.announce_challenge(host, token, host_name);
        }
        let stage = Stage::Asked(token);
        self.lookups.insert(Lookup { key, subject, stage, since: now, waiters });
        Ok(())
    }

    /// Sends the names in use.
    pub(super) fn report_usage<H: Host>(&mut self, host: &mut H) {
        let now = self.clock.now();
        if self.usage.is_empty() || self.usage_call.is_some() || now < self.usage_next {
            return;
        }
        self.usage_next = now.after_ms(u64::from(self.config.usage.interval_ms));
        // While the breaker refuses, names wait here; what finds no room is counted as dropped.
        if !self.breaker.admit(now) {
            return;
        }
        let names = u64::try_from(self.usage.len()).unwrap_or(u64::MAX);
        let body = self.usage.take_report();
        match self.call(host, "POST", USAGE_PATH, None, &body) {
            Some(token) => self.usage_call = Some(UsageCall { token, since: now, names }),
            None => {
                self.callout_failed(host, Failure::NotSent);
                self.metrics.add(Counter::UsageDropped, names);
            }
        }
    }

    fn call<H: Host>(
        &self,
        host: &mut H,
        method: &str,
        path: &str,
        challenged: Option<&str>,
        body: &[u8],
    ) -> Option<CalloutToken> {
        let mut headers: Vec<(&str, &[u8])> = vec![
            (":method", method.as_bytes()),
            (":path", path.as_bytes()),
            (":authority", self.config.authority.as_bytes()),
        ];
        if let Some(challenged) = challenged.filter(|challenged| !challenged.is_empty()) {
            headers.push((HOST_HEADER, challenged.as_bytes()));
        }
        if !body.is_empty() {
            headers.push(("content-type", b"application/json"));
        }
        host.call(&Callout {
            cluster: &self.config.cluster,
            headers: &headers,
            body,
            timeout_ms: self.config.callout_timeout_ms,
        })
    }

    pub(super) fn callout_failed<H: Host>(&mut self, host: &mut H, failure: Failure) {
        self.metrics.count(match failure {
            Failure::NotSent => Counter::CalloutNotSent,
            Failure::Reset => Counter::CalloutReset,
            Failure::Timeout => Counter::CalloutTimeout,
            Failure::Unavailable => Counter::CalloutUnavailable,
            Failure::Status => Counter::CalloutStatus,
            Failure::Oversized | Failure::BadBody => Counter::CalloutBody,
        });
        if self.breaker.fail(self.clock.now()) {
            let line = format!("sealwax: control plane not answering ({failure:?}), pausing");
            host.log(LogLevel::Warn, &line);
        }
    }
}
