//! Questions to name servers, each with a deadline, the answers bounded.

use std::net::{IpAddr, SocketAddr};

use futures::future::join_all;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::CAA;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use sealwax_core::preflight::{CaaRecord, CaaSet, Looked, NO_ANSWER_IN_TIME};
use tokio::time::{Duration, Instant, timeout_at};

/// Records kept of one answer: they become part of the domain's record.
const RECORDS_MAX: usize = 16;
/// Longest text kept of a CAA record's value, in bytes.
const VALUE_BYTES_MAX: usize = 256;
/// Longest CAA tag there is (RFC 8659 section 4.1).
const TAG_BYTES_MAX: usize = 15;
/// Names that are asked for CAA records. A longer climb is not made: nothing is known then.
const CLIMB_MAX: usize = 16;
/// How long one name server may take; the look's own deadline is often sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Name servers that resolve.
pub(crate) struct Dns {
    resolver: TokioResolver,
}

/// Addresses, and the names that led to them.
pub(crate) struct Addresses {
    pub(crate) found: Looked<Vec<IpAddr>>,
    pub(crate) aliases: Vec<String>,
}

impl Dns {
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let mut builder = if servers.is_empty() {
            Resolver::builder_tokio()?
        } else {
            let servers = servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = ANSWER_WITHIN;
        options.attempts = 1;
        // What was mended a minute ago counts, and this machine's own names do not.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.edns0 = true;
        options.try_tcp_on_error = true;
        Ok(Self { resolver: builder.build()? })
    }

    pub(crate) async fn ipv4(&self, name: &str, deadline: Instant) -> Addresses {
        self.addresses(name, RecordType::A, deadline).await
    }

    pub(crate) async fn ipv6(&self, name: &str, deadline: Instant) -> Addresses {
        self.addresses(name, RecordType::AAAA, deadline).await
    }

    /// The CAA records that count: of the closest name that has any (RFC 8659 section 3).
    pub(crate) async fn caa(&self, name: &str, deadline: Instant) -> Looked<CaaSet> {
        let mut names: Vec<&str> = Vec::new();
        let mut rest = Some(name);
        while let Some(climbed) = rest {
            names.push(climbed);
            rest = climbed.split_once('.').map(|(_, parent)| parent);
        }
        if names.len() > CLIMB_MAX {
            return Looked::Unknown { detail: "the name has too many labels".to_owned() };
        }
        let asked = names.iter().map(|name| self.ask(name, RecordType::CAA, deadline));
        let answers = join_all(asked).await;
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                // Whatever is above it, it is not known what counts.
                Looked::Unknown { detail } => {
                    return Looked::Unknown { detail: format!("at {name}: {detail}") };
                }
                Looked::Nothing { .. } => {}
                Looked::Found(lookup) => {
                    let records = caa_records(&lookup);
                    if records.len() > RECORDS_MAX {
                        let detail = format!("{name} has more than {RECORDS_MAX} CAA records");
                        return Looked::Unknown { detail };
                    }
                    if !records.is_empty() {
                        let stands_at = alias_target(&lookup, name);
                        return Looked::Found(CaaSet { at: name.to_owned(), stands_at, records });
                    }
                }
            }
        }
        Looked::Nothing { said: "no such record".to_owned() }
    }

    async fn addresses(&self, name: &str, kind: RecordType, deadline: Instant) -> Addresses {
        let lookup = match self.ask(name, kind, deadline).await {
            Looked::Found(lookup) => lookup,
            Looked::Nothing { said } => {
                return Addresses { found: Looked::Nothing { said }, aliases: Vec::new() };
            }
            Looked::Unknown { detail } => {
                return Addresses { found: Looked::Unknown { detail }, aliases: Vec::new() };
            }
        };
        let mut ips = Vec::new();
        let mut aliases = Vec::new();
        for record in lookup.answers() {
            // Whatever else is in an answer is of no use here.
            if let RData::A(address) = &record.data {
                ips.push(IpAddr::V4(address.0));
            } else if let RData::AAAA(address) = &record.data {
                ips.push(IpAddr::V6(address.0));
            } else if let RData::CNAME(target) = &record.data {
                aliases.push(bare(&target.0));
            }
        }
        ips.truncate(RECORDS_MAX);
        aliases.truncate(RECORDS_MAX);
        let found = if ips.is_empty() {
            Looked::Nothing { said: "no such record".to_owned() }
        } else {
            Looked::Found(ips)
        };
        Addresses { found, aliases }
    }

    async fn ask(&self, name: &str, kind: RecordType, deadline: Instant) -> Looked<Lookup> {
        let unknown = |detail: String| Looked::Unknown { detail };
        // Fully qualified: the system's search domains are not the CA's.
        let Ok(name) = Name::from_ascii(format!("{name}.")) else {
            return unknown("the name cannot be asked for".to_owned());
        };
        let asked = timeout_at(deadline, self.resolver.lookup(name, kind));
        let Ok(answered) = asked.await else {
            return unknown(NO_ANSWER_IN_TIME.to_owned());
        };
        match answered {
            Ok(lookup) => Looked::Found(lookup),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let code = none.response_code;
                let said = if code == ResponseCode::NXDomain {
                    "NXDOMAIN"
                } else if code == ResponseCode::NoError {
                    "no such record"
                } else {
                    return unknown(format!("the name servers answered {code}"));
                };
                Looked::Nothing { said: said.to_owned() }
            }
            Err(error) => unknown(sealwax_core::failure::bounded_detail(&error.to_string())),
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn caa_records(lookup: &Lookup) -> Vec<CaaRecord> {
    let caa = |data: &RData| if let RData::CAA(caa) = data { Some(caa_record(caa)) } else { None };
    lookup.answers().iter().filter_map(|record| caa(&record.data)).collect()
}

/// Whose the CAA records are, if it is not the name that was asked for but what its CNAME leads to.
fn alias_target(lookup: &Lookup, name: &str) -> Option<String> {
    let caa = lookup.answers().iter().find(|record| matches!(record.data, RData::CAA(_)))?;
    let owner = bare(&caa.name);
    (!owner.eq_ignore_ascii_case(name)).then_some(owner)
}

/// Cut and cleaned: it is shown to people, and a cut value names nobody.
fn caa_record(caa: &CAA) -> CaaRecord {
    let tag = caa.tag.to_ascii_lowercase();
    CaaRecord {
        critical: caa.issuer_critical,
        tag: cut(tag.as_bytes(), TAG_BYTES_MAX),
        value: cut(&caa.value, VALUE_BYTES_MAX),
    }
}

fn cut(bytes: &[u8], most: usize) -> String {
    let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
    let mut text: String = bytes.iter().take(most).map(shown).collect();
    if bytes.len() > most {
        text.push('?');
    }
    text
}

fn bare(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}
