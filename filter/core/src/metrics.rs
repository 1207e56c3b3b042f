//! Every metric the filter has, in one place.
//!
//! Counters are kept in the module and handed to the proxy on each tick: a hostcall per request
//! would cost more than the request's other work.

use crate::host::{Host, MetricKind};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A counter. Its name in the proxy has the prefix `wasmcustom.`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $name,)*
        }

        impl Counter {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counters! {
    /// Requests that went on to the origin, the domain being what it may be.
    Passed = "sealwax.requests.passed",
    /// Requests for exempt paths.
    Exempt = "sealwax.requests.exempt",
    /// Requests whose host is no domain name.
    NotAName = "sealwax.requests.not_a_name",
    /// Requests that a trusted proxy received over HTTPS.
    ForwardedHttps = "sealwax.requests.forwarded_https",
    /// Requests redirected to HTTPS.
    Redirected = "sealwax.requests.redirected",
    /// Requests answered 404 because the domain is unknown.
    NotFound = "sealwax.requests.not_found",
    /// Requests answered 421.
    Misdirected = "sealwax.requests.misdirected",
    /// Requests that went on because the control plane could not be asked.
    FailedOpen = "sealwax.requests.failed_open",
    /// Requests that waited and whose deadline came first.
    WaitedOut = "sealwax.requests.waited_out",
    /// Requests that would have waited, had there been room.
    Overflowed = "sealwax.requests.overflowed",
    /// Challenges answered.
    ChallengeAnswered = "sealwax.challenges.answered",
    /// Challenges with an unknown or malformed token.
    ChallengeUnknown = "sealwax.challenges.unknown",
    /// Challenges that could not be answered.
    ChallengeUnavailable = "sealwax.challenges.unavailable",
    /// Verdicts and challenge answers found in this worker.
    CacheHit = "sealwax.cache.hit",
    /// Verdicts and challenge answers found in another worker.
    CacheShared = "sealwax.cache.shared",
    /// Verdicts and challenge answers that had to be asked for.
    CacheMiss = "sealwax.cache.miss",
    /// Callouts answered.
    CalloutOk = "sealwax.callouts.ok",
    /// Callouts that could not be sent.
    CalloutNotSent = "sealwax.callouts.not_sent",
    /// Callouts reset.
    CalloutReset = "sealwax.callouts.reset",
    /// Callouts timed out.
    CalloutTimeout = "sealwax.callouts.timeout",
    /// Callouts that met 503.
    CalloutUnavailable = "sealwax.callouts.unavailable",
    /// Callouts with another status.
    CalloutStatus = "sealwax.callouts.bad_status",
    /// Callouts with an oversized or unreadable body.
    CalloutBody = "sealwax.callouts.bad_body",
    /// Callouts not made because the breaker was open.
    BreakerRefused = "sealwax.breaker.refused",
    /// Names reported to be in use.
    UsageReported = "sealwax.usage.reported",
    /// Names in use that were not reported.
    UsageDropped = "sealwax.usage.dropped",
}

/// The gauges, in the order of [`Metrics::tick`]'s `gauges`.
pub const GAUGES: [&str; 2] = ["sealwax.waiters", "sealwax.breaker.open"];
/// How long callouts take, in milliseconds.
pub const CALLOUT_MS: &str = "sealwax.callout_ms";

#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    id: Option<u32>,
    amount: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    id: Option<u32>,
    recorded: u64,
}

/// What was counted since the last tick.
#[derive(Clone, Debug)]
pub struct Metrics {
    counters: [Pending; Counter::ALL.len()],
    gauges: [Gauge; GAUGES.len()],
    callout_ms: Option<u32>,
}

impl Metrics {
    /// Registers every metric. One that the proxy refuses is not counted; nothing else changes.
    pub fn define<H: Host>(host: &mut H) -> Self {
        let mut metrics = Self {
            counters: [Pending::default(); Counter::ALL.len()],
            gauges: [Gauge::default(); GAUGES.len()],
            callout_ms: host.define_metric(MetricKind::Histogram, CALLOUT_MS),
        };
        for (pending, counter) in metrics.counters.iter_mut().zip(Counter::ALL) {
            pending.id = host.define_metric(MetricKind::Counter, counter.name());
        }
        for (gauge, name) in metrics.gauges.iter_mut().zip(GAUGES) {
            gauge.id = host.define_metric(MetricKind::Gauge, name);
        }
        metrics
    }

    /// Counts one.
    pub const fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several.
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is an enum's discriminant and the array has one element for each"
    )]
    pub const fn add(&mut self, counter: Counter, amount: u64) {
        let pending = &mut self.counters[counter as usize];
        pending.amount = pending.amount.saturating_add(amount);
    }

    /// Notes how long a callout took.
    pub fn callout_took<H: Host>(&self, host: &mut H, ms: u64) {
        if let Some(id) = self.callout_ms {
            host.record_metric(id, ms);
        }
    }

    /// Hands everything to the proxy. `gauges`: waiters, and 1 while the breaker is open.
    pub fn tick<H: Host>(&mut self, host: &mut H, gauges: [u64; GAUGES.len()]) {
        for pending in &mut self.counters {
            if let (Some(id), 1..) = (pending.id, pending.amount)
                && host.add_metric(id, pending.amount)
            {
                pending.amount = 0;
            }
        }
        for (gauge, value) in self.gauges.iter_mut().zip(gauges) {
            if let Some(id) = gauge.id
                && gauge.recorded != value
                && host.record_metric(id, value)
            {
                gauge.recorded = value;
            }
        }
    }
}
