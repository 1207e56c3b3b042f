//! The plugin configuration: parsed once, every error named by its key, all of them at once.

mod reader;

use serde_json::Value;

use reader::Section;
pub use reader::{ConfigError, ConfigErrors};

/// Longest configuration read, in bytes.
pub const CONFIG_BYTES_MAX: usize = 65_536;
/// Most exempt paths of each kind.
pub const EXEMPT_PATHS_MAX: usize = 64;
/// Longest exempt path, in bytes.
pub const EXEMPT_PATH_BYTES_MAX: usize = 1_024;
/// Longest cluster name or authority, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Which side of TLS the filter stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Clear text: certificate requests and redirects.
    Http,
    /// Behind TLS: HSTS, misdirected requests, usage reports.
    Https,
}

/// What a request does while something it would like to know is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Waits, up to [`Config::wait_max_ms`].
    Wait,
    /// Goes on to the origin.
    Pass,
}

/// What happens to requests for domains that the control plane does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownDomain {
    /// They go on to the origin.
    Pass,
    /// They are answered 404.
    NotFound,
}

/// Paths that are none of the filter's business, such as health checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    /// Whole paths, without query.
    pub exact: Vec<String>,
    /// Beginnings of paths.
    pub prefix: Vec<String>,
}

/// The redirect to HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Off: requests for domains that are ready go on to the origin too.
    pub enabled: bool,
    /// 301, 302, 307 or 308.
    pub status: u16,
    /// Where HTTPS is served; 443 is left out of the location.
    pub port: u16,
}

/// The `Strict-Transport-Security` header (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// Seconds.
    pub max_age_s: u32,
    /// For subdomains too.
    pub include_subdomains: bool,
    /// For browsers' preload lists, which ask for a year and for subdomains.
    pub preload: bool,
}

/// The cache of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Verdicts each worker keeps, at 24 bytes each.
    pub entries: u32,
    /// Verdicts all workers share.
    pub shared_slots: u32,
    /// Seconds a verdict is kept when the answer does not say.
    pub default_ttl_s: u32,
    /// Seconds a verdict is kept at most, whatever the answer says.
    pub ttl_max_s: u32,
    /// Milliseconds a domain is left alone after a failed callout.
    pub failure_ttl_ms: u32,
}

/// Answering ACME http-01 challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Answers each worker keeps.
    pub entries: u32,
    /// Answers all workers share.
    pub shared_slots: u32,
    /// Seconds an answer is kept when it does not say.
    pub ttl_s: u32,
    /// Challenge callouts of one worker in flight.
    pub callouts_max: u32,
    /// `retry-after` of a 503, in seconds.
    pub retry_after_s: u32,
}

/// Reports of the names in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Off: no reports.
    pub enabled: bool,
    /// Milliseconds between reports.
    pub interval_ms: u32,
    /// Names in one report; more are dropped and counted.
    pub names_max: u32,
}

/// The circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Milliseconds until a probe.
    pub open_ms: u32,
}

/// The whole configuration. docs/filter.md has the table, filter/config.schema.json the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster callouts go to.
    pub cluster: String,
    /// The `:authority` of callouts.
    pub authority: String,
    /// Which listener this filter stands on.
    pub listener: Listener,
    /// Milliseconds a callout may take.
    pub callout_timeout_ms: u32,
    /// Certificate callouts of one worker in flight.
    pub callouts_max: u32,
    /// Milliseconds between ticks: how finely deadlines and lifetimes are kept.
    pub tick_ms: u32,
    /// While the verdict is not known.
    pub on_miss: Meanwhile,
    /// While the certificate is being issued.
    pub on_pending: Meanwhile,
    /// Milliseconds one request waits in all.
    pub wait_max_ms: u32,
    /// Requests of one worker that may wait at once.
    pub waiters_max: u32,
    /// What unknown domains get.
    pub unknown_domain: UnknownDomain,
    /// Whether `x-forwarded-proto` is set by a proxy in front and can be believed.
    pub trust_forwarded_proto: bool,
    /// Paths left alone.
    pub exempt: Exempt,
    /// The redirect.
    pub redirect: Redirect,
    /// HSTS, if wanted.
    pub hsts: Option<Hsts>,
    /// Whether a request whose host is not the SNI's is answered 421.
    pub misdirected: bool,
    /// The cache of verdicts.
    pub cache: Cache,
    /// Challenges.
    pub challenge: Challenge,
    /// Usage reports.
    pub usage: Usage,
    /// The circuit breaker.
    pub breaker: BreakerConfig,
}

/// Seconds in a year: the preload lists' least `max-age`.
const YEAR_S: u32 = 31_536_000;

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every key that is missing, unknown, of the wrong type, out of range, or at odds with
    /// another.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if json.len() > CONFIG_BYTES_MAX {
            errors.add("", format!("longer than {CONFIG_BYTES_MAX} bytes"));
            return Err(errors);
        }
        let value = serde_json::from_slice::<Value>(json).unwrap_or_else(|error| {
            let hint = "give it as a google.protobuf.StringValue with JSON in it";
            errors.add("", format!("not JSON: {error}; {hint}"));
            Value::Null
        });
        let Value::Object(map) = value else {
            if errors.is_empty() {
                errors.add("", "not a JSON object".to_owned());
            }
            return Err(errors);
        };
        let mut root = Section::new("", map, &mut errors);
        let config = Self::read(&mut root);
        drop(root);
        config.check(&mut errors);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    fn read(root: &mut Section<'_>) -> Self {
        const MEANWHILE: [(&str, Meanwhile); 2] =
            [("wait", Meanwhile::Wait), ("pass", Meanwhile::Pass)];
        let listener = root.choice(
            "listener",
            &[("http", Listener::Http), ("https", Listener::Https)],
            Listener::Http,
        );
        Self {
            cluster: root.text("cluster", None, NAME_BYTES_MAX),
            authority: root.text("authority", Some("sealwax"), NAME_BYTES_MAX),
            listener,
            callout_timeout_ms: root.number("callout_timeout_ms", 1_000, 10..=30_000),
            callouts_max: root.number("callouts_max", 64, 1..=1_024),
            tick_ms: root.number("tick_ms", 200, 20..=10_000),
            on_miss: root.choice("on_miss", &MEANWHILE, Meanwhile::Wait),
            on_pending: root.choice("on_pending", &MEANWHILE, Meanwhile::Pass),
            wait_max_ms: root.number("wait_max_ms", 2_000, 1..=60_000),
            waiters_max: root.number("waiters_max", 1_024, 1..=65_536),
            unknown_domain: root.choice(
                "unknown_domain",
                &[("pass", UnknownDomain::Pass), ("not_found", UnknownDomain::NotFound)],
                UnknownDomain::Pass,
            ),
            trust_forwarded_proto: root.flag("trust_forwarded_proto", false),
            exempt: read_exempt(root.section("exempt")),
            redirect: read_redirect(root.section("redirect")),
            hsts: root.present("hsts").then(|| read_hsts(root.section("hsts"))),
            misdirected: root.flag("misdirected", false),
            cache: read_cache(root.section("cache")),
            challenge: read_challenge(root.section("challenge")),
            usage: read_usage(root.section("usage"), listener),
            breaker: read_breaker(root.section("breaker")),
        }
    }

    /// What no single key can be blamed for.
    fn check(&self, errors: &mut ConfigErrors) {
        if self.listener == Listener::Http {
            let mut https_only = |key: &str, set: bool| {
                if set {
                    errors.add(key, "only with \"listener\": \"https\"".to_owned());
                }
            };
            https_only("hsts", self.hsts.is_some());
            https_only("misdirected", self.misdirected);
            https_only("usage.enabled", self.usage.enabled);
        }
        if self.cache.default_ttl_s > self.cache.ttl_max_s {
            errors.add("cache.default_ttl_s", "greater than cache.ttl_max_s".to_owned());
        }
        if let Some(hsts) = self.hsts
            && hsts.preload
            && (hsts.max_age_s < YEAR_S || !hsts.include_subdomains)
        {
            errors.add(
                "hsts.preload",
                format!("asks for max_age_s of at least {YEAR_S} and include_subdomains"),
            );
        }
    }
}

fn read_exempt(mut section: Section<'_>) -> Exempt {
    Exempt { exact: section.paths("exact"), prefix: section.paths("prefix") }
}

fn read_redirect(mut section: Section<'_>) -> Redirect {
    Redirect {
        enabled: section.flag("enabled", true),
        status: section.one_of("status", 308, &[301, 302, 307, 308]),
        port: section.number("port", 443, 1..=u16::MAX),
    }
}

fn read_hsts(mut section: Section<'_>) -> Hsts {
    Hsts {
        max_age_s: section.number("max_age_s", YEAR_S, 0..=2 * YEAR_S),
        include_subdomains: section.flag("include_subdomains", false),
        preload: section.flag("preload", false),
    }
}

fn read_cache(mut section: Section<'_>) -> Cache {
    Cache {
        entries: section.number("entries", 16_384, 4..=1_048_576),
        shared_slots: section.number("shared_slots", 4_096, 0..=65_536),
        default_ttl_s: section.number("default_ttl_s", 10, 1..=86_400),
        ttl_max_s: section.number("ttl_max_s", 3_600, 1..=86_400),
        failure_ttl_ms: section.number("failure_ttl_ms", 1_000, 0..=60_000),
    }
}

fn read_challenge(mut section: Section<'_>) -> Challenge {
    Challenge {
        entries: section.number("entries", 64, 1..=4_096),
        shared_slots: section.number("shared_slots", 64, 0..=4_096),
        ttl_s: section.number("ttl_s", 60, 1..=600),
        callouts_max: section.number("callouts_max", 32, 1..=1_024),
        retry_after_s: section.number("retry_after_s", 5, 1..=3_600),
    }
}

fn read_usage(mut section: Section<'_>, listener: Listener) -> Usage {
    Usage {
        enabled: section.flag("enabled", listener == Listener::Https),
        interval_ms: section.number("interval_ms", 10_000, 100..=600_000),
        names_max: section.number("names_max", 1_000, 1..=1_000),
    }
}

fn read_breaker(mut section: Section<'_>) -> BreakerConfig {
    BreakerConfig {
        failures: section.number("failures", 5, 1..=1_000),
        open_ms: section.number("open_ms", 2_000, 100..=60_000),
    }
}

#[cfg(test)]
mod tests;
