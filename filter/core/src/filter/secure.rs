//! Requests over TLS: which names are in use, and whether a request came to the right one.

use sealwax_protocol::DomainName;

use super::{Filter, Flow};
use crate::host::{HeaderMap, Host, Reply};
use crate::metrics::Counter;
use crate::usage::Noted;

impl Filter {
    pub(super) fn secure<H: Host>(&mut self, host: &mut H) -> Flow {
        if !self.config.misdirected && !self.config.usage.enabled {
            return self.pass(host, Counter::Passed);
        }
        // Certificates are chosen by SNI, so it is the SNI that is in use, whatever the host
        // header says.
        let sni = host.property("connection\0requested_server_name").unwrap_or_default();
        if sni.is_empty() {
            return self.pass(host, Counter::Passed);
        }
        if self.config.usage.enabled {
            let key = self.fingerprint(&sni);
            let noted = self.usage.note(key, || DomainName::parse_bytes(&sni).ok());
            if noted == Noted::Dropped {
                self.metrics.count(Counter::UsageDropped);
            }
        }
        if self.config.misdirected && is_misdirected(host, &sni) {
            let headers: [(&str, &[u8]); 2] =
                [("content-type", b"text/plain"), ("cache-control", b"no-store")];
            let reply = Reply { status: 421, headers: &headers, body: b"misdirected request\n" };
            return self.answer(host, &reply, Counter::Misdirected);
        }
        self.pass(host, Counter::Passed)
    }
}

/// Each certificate covers the one name of its handshake (RFC 9110 section 15.5.20).
fn is_misdirected<H: Host>(host: &mut H, sni: &[u8]) -> bool {
    let authority = host.header(HeaderMap::Request, ":authority").unwrap_or_default();
    authority != sni
        && DomainName::parse_authority(&authority).ok() != DomainName::parse_bytes(sni).ok()
}
