//! One configured filter in one worker: every decision about every request.

mod answers;
mod callouts;
mod challenge;
mod plain;
mod secure;
mod tick;

use crate::breaker::Breaker;
use crate::challenge_answers::ChallengeAnswers;
use crate::clock::{Clock, Instant};
use crate::config::{CONFIG_BYTES_MAX, Config, ConfigErrors, Listener};
use crate::fingerprint::Fingerprint;
use crate::host::{CalloutToken, ContextId, HeaderMap, Host, LogLevel, Reply};
use crate::lookups::Lookups;
use crate::metrics::{Counter, Metrics};
use crate::shared_slots::SharedSlots;
use crate::usage::UsageNames;
use crate::verdict_cache::VerdictCache;
use sealwax_protocol::ChallengeToken;

/// What the proxy does with a request after the filter saw its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Goes on.
    Continue,
    /// Stops: it was answered, or it waits.
    Pause,
}

/// A configured filter.
#[derive(Debug)]
pub struct Filter {
    root: ContextId,
    config: Config,
    /// Keys the fingerprints of this worker.
    key: u64,
    clock: Clock,
    /// Whether ticks move the clock. Without them every request reads the time itself.
    ticking: bool,
    debug: bool,
    hsts: Option<String>,
    verdicts: VerdictCache,
    shared_verdicts: SharedSlots,
    challenges: ChallengeAnswers,
    shared_challenges: SharedSlots,
    lookups: Lookups,
    breaker: Breaker,
    usage: UsageNames,
    usage_next: Instant,
    usage_call: Option<UsageCall>,
    metrics: Metrics,
}

#[derive(Clone, Copy, Debug)]
struct UsageCall {
    token: CalloutToken,
    since: Instant,
    names: u64,
}

impl Filter {
    /// Reads the plugin's configuration and starts the filter of root context `root`.
    ///
    /// # Errors
    /// Everything wrong with the configuration; it is logged as well, since the proxy shows no
    /// more than "refused".
    pub fn configure<H: Host>(host: &mut H, root: ContextId) -> Result<Self, ConfigErrors> {
        let json = host.configuration(CONFIG_BYTES_MAX + 1).unwrap_or_default();
        let config = Config::parse(&json).inspect_err(|errors| {
            host.log(LogLevel::Error, &format!("sealwax: configuration refused: {errors}"));
        })?;
        Ok(Self::new(host, root, config))
    }

    fn new<H: Host>(host: &mut H, root: ContextId, config: Config) -> Self {
        let now_ns = host.now_ns().unwrap_or_default();
        let clock = Clock::new(now_ns);
        // Workers start within nanoseconds of each other, which is enough to tell their keys and
        // their reporting times apart.
        let key = now_ns ^ u64::from(root.0).rotate_left(48);
        let stagger_ms = now_ns % u64::from(config.usage.interval_ms);
        let plane = Fingerprint::of(0, &[config.cluster.as_bytes(), config.authority.as_bytes()]);
        let plane = plane.bucket(1 << 24);
        let usage_names = if config.usage.enabled { config.usage.names_max } else { 0 };
        Self {
            root,
            key,
            clock,
            ticking: host.set_tick_ms(config.tick_ms),
            debug: host.debug_wanted(),
            hsts: config.hsts.map(hsts_value),
            verdicts: VerdictCache::new(match config.listener {
                Listener::Http => count(config.cache.entries),
                Listener::Https => 0,
            }),
            shared_verdicts: SharedSlots::new(
                format!("sealwax.1.v.{plane:x}."),
                count(config.cache.shared_slots),
            ),
            challenges: ChallengeAnswers::new(count(config.challenge.entries)),
            shared_challenges: SharedSlots::new(
                format!("sealwax.1.c.{plane:x}."),
                count(config.challenge.shared_slots),
            ),
            lookups: Lookups::new(count(config.waiters_max)),
            breaker: Breaker::new(config.breaker.failures, u64::from(config.breaker.open_ms)),
            usage: UsageNames::new(count(usage_names)),
            usage_next: clock.now().after_ms(stagger_ms),
            usage_call: None,
            metrics: Metrics::define(host),
            config,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The root context this filter belongs to.
    #[must_use]
    pub const fn root(&self) -> ContextId {
        self.root
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub const fn waiters(&self) -> usize {
        self.lookups.waiters()
    }

    /// The headers of a request have come.
    pub fn request<H: Host>(&mut self, host: &mut H, stream: ContextId) -> Flow {
        if !self.ticking {
            self.read_clock(host);
        }
        let Some(path) = host.header(HeaderMap::Request, ":path") else {
            // CONNECT has none, and neither has a request whose headers are gone.
            return self.pass(host, Counter::Passed);
        };
        match ChallengeToken::from_path(&path) {
            Some(Ok(token)) => self.challenge(host, stream, &token),
            Some(Err(_)) => self.challenge_not_found(host),
            None if self.is_exempt(&path) => self.pass(host, Counter::Exempt),
            None => match self.config.listener {
                Listener::Http => self.plain(host, stream, &path),
                Listener::Https => self.secure(host),
            },
        }
    }

    /// The headers of a response have come, from the origin or from this filter.
    pub fn response<H: Host>(&self, host: &mut H) {
        if let Some(hsts) = &self.hsts {
            host.set_response_header("strict-transport-security", hsts.as_bytes());
        }
    }

    /// A stream is gone.
    pub fn forget(&mut self, stream: ContextId) {
        self.lookups.forget(stream);
    }

    fn is_exempt(&self, path: &[u8]) -> bool {
        let exempt = &self.config.exempt;
        if exempt.exact.is_empty() && exempt.prefix.is_empty() {
            return false;
        }
        let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
        exempt.exact.iter().any(|exact| exact.as_bytes() == path)
            || exempt.prefix.iter().any(|prefix| path.starts_with(prefix.as_bytes()))
    }

    fn pass<H: Host>(&mut self, host: &mut H, why: Counter) -> Flow {
        self.note(host, why);
        Flow::Continue
    }

    /// Answers the request in focus. A request that cannot be answered goes on: the caller sees
    /// to it that this is right.
    fn answer<H: Host>(&mut self, host: &mut H, reply: &Reply<'_>, why: Counter) -> Flow {
        self.note(host, why);
        if host.reply(reply) { Flow::Pause } else { Flow::Continue }
    }

    fn note<H: Host>(&mut self, host: &mut H, what: Counter) {
        self.metrics.count(what);
        if self.debug {
            host.log(LogLevel::Debug, what.name());
        }
    }

    fn read_clock<H: Host>(&mut self, host: &mut H) {
        if let Some(now_ns) = host.now_ns() {
            self.clock.read(now_ns);
        }
    }

    fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        Fingerprint::of(self.key, &[name])
    }
}

fn hsts_value(hsts: crate::config::Hsts) -> String {
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    format!("max-age={}{subdomains}{preload}", hsts.max_age_s)
}

fn count(configured: u32) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}
