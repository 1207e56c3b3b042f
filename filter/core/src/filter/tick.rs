//! What happens by time: deadlines, questions asked again, reports, metrics.

use super::Filter;
use crate::callout_answer::Failure;
use crate::host::Host;
use crate::lookups::Subject;
use crate::metrics::Counter;
use crate::verdict::Verdict;

/// How long after its timeout a callout is given up although the proxy has not answered, in
/// milliseconds. It always does; a filter that relied on it could leak one lookup at a time.
const LOST_AFTER_MS: u64 = 2_000;

impl Filter {
    /// A tick of [`Config::tick_ms`](crate::Config) has passed.
    pub fn tick<H: Host>(&mut self, host: &mut H) {
        self.clock.tick(host.now_ns(), u64::from(self.config.tick_ms));
        self.debug = host.debug_wanted();
        self.give_up_lost_callouts(host);
        while let Some((waiter, subject)) = self.lookups.take_overdue(self.clock.now()) {
            self.release_overdue(host, waiter.stream, &subject);
        }
        self.ask_after_rest(host);
        host.focus(self.root);
        self.report_usage(host);
        self.flush(host);
    }

    /// Hands counters to the proxy.
    pub fn flush<H: Host>(&mut self, host: &mut H) {
        let waiters = u64::try_from(self.lookups.waiters()).unwrap_or(u64::MAX);
        self.metrics.tick(host, [waiters, u64::from(self.breaker.is_open())]);
    }

    fn give_up_lost_callouts<H: Host>(&mut self, host: &mut H) {
        let now = self.clock.now();
        let patience_ms = u64::from(self.config.callout_timeout_ms) + LOST_AFTER_MS;
        while let Some(lookup) = self.lookups.take_lost(now, patience_ms) {
            self.settle(host, lookup, Err(Failure::Timeout));
        }
        if let Some(call) = self.usage_call.take_if(|call| now.since_ms(call.since) > patience_ms) {
            self.callout_failed(host, Failure::Timeout);
            self.metrics.add(Counter::UsageDropped, call.names);
        }
    }

    fn ask_after_rest<H: Host>(&mut self, host: &mut H) {
        while let Some(lookup) = self.lookups.take_rested(self.clock.now()) {
            host.focus(self.root);
            match lookup.subject {
                Subject::Certificate(domain) => {
                    let subject = Subject::Certificate(domain.clone());
                    let asked = self.ask(host, lookup.key, subject, lookup.waiters);
                    for waiter in asked.err().unwrap_or_default() {
                        self.release(host, waiter, Verdict::Unavailable, &domain);
                    }
                }
                Subject::Challenge { token, host: host_name } => {
                    self.look_for_challenge(host, lookup.key, token, host_name, lookup.waiters);
                }
            }
        }
    }
}
