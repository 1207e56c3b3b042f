//! Requests in clear text: is the domain's certificate ready, and if so, off to HTTPS.

use sealwax_protocol::DomainName;

use super::{Filter, Flow};
use crate::config::{Meanwhile, UnknownDomain};
use crate::fingerprint::Fingerprint;
use crate::host::{ContextId, HeaderMap, Host, Reply};
use crate::lookups::{Lookup, Stage, Subject, Waiter};
use crate::metrics::Counter;
use crate::verdict::Verdict;

/// Longest path put into a `location`, in bytes: more than Envoy's default limit of 60 KiB for all
/// headers of a request.
const PATH_BYTES_MAX: usize = 65_535;

impl Filter {
    pub(super) fn plain<H: Host>(&mut self, host: &mut H, stream: ContextId, path: &[u8]) -> Flow {
        if self.config.trust_forwarded_proto && forwarded_https(host) {
            return self.pass(host, Counter::ForwardedHttps);
        }
        let authority = host.header(HeaderMap::Request, ":authority").unwrap_or_default();
        let now = self.clock.now();
        // Only canonical names are ever cached, so a hit for the raw bytes needs no parsing.
        if let Some((verdict, _)) = self.verdicts.get(self.fingerprint(&authority), now) {
            self.metrics.count(Counter::CacheHit);
            if verdict != Verdict::Pending {
                return self.decide(host, verdict, &authority, path);
            }
        }
        let Ok(domain) = DomainName::parse_authority(&authority) else {
            return self.pass(host, Counter::NotAName);
        };
        let key = self.fingerprint(domain.as_str().as_bytes());
        let cached = self.verdicts.get(key, now);
        match cached.or_else(|| self.shared_verdict(host, key, &domain)) {
            Some((Verdict::Pending, until)) if self.config.on_pending == Meanwhile::Wait => {
                if self.lookups.has_room() && !self.lookups.contains(key) {
                    let subject = Subject::Certificate(domain);
                    let stage = Stage::Resting { until };
                    let waiters = Vec::new();
                    self.lookups.insert(Lookup { key, subject, stage, since: now, waiters });
                }
                self.wait(host, stream, key)
            }
            Some((verdict, _)) => self.decide(host, verdict, domain.as_str().as_bytes(), path),
            None => self.miss(host, stream, key, domain),
        }
    }

    /// Acts on a verdict. `host_name` is canonical.
    pub(super) fn decide<H: Host>(
        &mut self,
        host: &mut H,
        verdict: Verdict,
        host_name: &[u8],
        path: &[u8],
    ) -> Flow {
        match verdict {
            Verdict::Ready if self.config.redirect.enabled => self.redirect(host, host_name, path),
            Verdict::Unknown if self.config.unknown_domain == UnknownDomain::NotFound => {
                let headers: [(&str, &[u8]); 2] =
                    [("content-type", b"text/plain"), ("cache-control", b"no-store")];
                let reply = Reply { status: 404, headers: &headers, body: b"unknown host\n" };
                self.answer(host, &reply, Counter::NotFound)
            }
            Verdict::Unavailable => self.pass(host, Counter::FailedOpen),
            Verdict::Ready
            | Verdict::Pending
            | Verdict::Denied
            | Verdict::Unknown
            | Verdict::Failed => self.pass(host, Counter::Passed),
        }
    }

    fn redirect<H: Host>(&mut self, host: &mut H, host_name: &[u8], path: &[u8]) -> Flow {
        // The path goes into a header as it is; `*` and absolute forms have no place there, and
        // control characters would be a second header.
        let clean = path.first() == Some(&b'/')
            && path.len() <= PATH_BYTES_MAX
            && path.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        // A listener with TLS that was configured as one without would redirect to itself for
        // ever.
        if !clean || host.property("connection\0tls_version").is_some_and(|tls| !tls.is_empty()) {
            return self.pass(host, Counter::Passed);
        }
        let port = match self.config.redirect.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let parts: [&[u8]; 4] = [b"https://", host_name, port.as_bytes(), path];
        let location = parts.concat();
        let reply = Reply {
            status: self.config.redirect.status,
            headers: &[("location", location.as_slice())],
            body: b"",
        };
        self.answer(host, &reply, Counter::Redirected)
    }

    fn shared_verdict<H: Host>(
        &mut self,
        host: &mut H,
        key: Fingerprint,
        domain: &DomainName,
    ) -> Option<(Verdict, crate::clock::Instant)> {
        let (payload, expires) =
            self.shared_verdicts.get(host, &self.clock, domain.as_str().as_bytes())?;
        let [byte] = payload.as_slice() else { return None };
        let verdict = Verdict::from_byte(*byte)?;
        self.metrics.count(Counter::CacheShared);
        // Another worker may run another configuration: its lifetimes end no later than ours.
        let limit = self.clock.now().after_ms(u64::from(self.config.cache.ttl_max_s) * 1_000);
        let expires = expires.min(limit);
        self.verdicts.put(key, verdict, expires, self.clock.now());
        Some((verdict, expires))
    }

    fn miss<H: Host>(
        &mut self,
        host: &mut H,
        stream: ContextId,
        key: Fingerprint,
        domain: DomainName,
    ) -> Flow {
        self.metrics.count(Counter::CacheMiss);
        let known = self.lookups.contains(key);
        if !known && self.ask(host, key, Subject::Certificate(domain), Vec::new()).is_err() {
            return self.pass(host, Counter::FailedOpen);
        }
        match self.config.on_miss {
            Meanwhile::Wait => self.wait(host, stream, key),
            Meanwhile::Pass => self.pass(host, Counter::Passed),
        }
    }

    fn wait<H: Host>(&mut self, host: &mut H, stream: ContextId, key: Fingerprint) -> Flow {
        let deadline = self.clock.now().after_ms(u64::from(self.config.wait_max_ms));
        if self.lookups.join(key, Waiter { stream, deadline }) {
            Flow::Pause
        } else {
            self.pass(host, Counter::Overflowed)
        }
    }
}

/// A proxy chain may have appended to the header; one hop over HTTPS is enough for a redirect to
/// loop.
fn forwarded_https<H: Host>(host: &mut H) -> bool {
    let value = host.header(HeaderMap::Request, "x-forwarded-proto").unwrap_or_default();
    value.split(|&byte| byte == b',').any(|hop| hop.trim_ascii().eq_ignore_ascii_case(b"https"))
}
