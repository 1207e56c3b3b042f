//! What was seen of a domain from here.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::caa::{CaaRecord, CaaSet};
use crate::timestamp::Timestamp;

/// What was seen. Whoever looks bounds every list and text in it: it becomes part of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// When.
    pub at: Timestamp,
    /// A records.
    pub ipv4: Looked<Vec<Address>>,
    /// AAAA records.
    pub ipv6: Looked<Vec<Address>>,
    /// The names that CNAME records lead to, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The CAA records that count.
    pub caa: Looked<CaaSet>,
    /// What the path of challenges answered, at the address a CA takes first.
    pub path: Path,
    /// What it answered at the other addresses: a CA, and anybody, may come by each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Place>,
    /// The same look reached an edge through another domain lately: what it does not reach is not
    /// there. Until then this place may simply not see the edges.
    pub vantage_proven: bool,
}

/// An answer, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked<T> {
    /// It is there.
    Found(T),
    /// It is not there, by a word of the name servers'.
    Nothing {
        /// Their word: `NXDOMAIN` or `no such record`.
        said: String,
    },
    /// Nobody knows.
    Unknown {
        /// What was seen instead of an answer.
        detail: String,
    },
}

/// An address of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// It is one of our edges'; `None`: nobody told us which these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
}

/// What the path of challenges answered at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The address.
    pub ip: IpAddr,
    /// What it answered.
    pub path: Path,
}

/// What the path of challenges answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// One of our edges answered, with a control plane behind it.
    Answered {
        /// Where from.
        from: IpAddr,
        /// Redirects followed.
        redirects: u32,
    },
    /// Another server answered, or an edge did not know the answer.
    Elsewhere {
        /// Where from.
        from: IpAddr,
        /// What it answered.
        detail: String,
        /// It kept the answer from this look, as a firewall or a content delivery network does
        /// with machines it does not know: what it tells a CA is not known.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
    },
    /// Nobody answered.
    Unreachable {
        /// What was seen.
        detail: String,
    },
    /// There was nothing to connect to.
    NotTried {
        /// Why.
        why: String,
    },
}

/// What is said of a question that nobody answered, as against one that was answered by an error.
pub const NO_ANSWER_IN_TIME: &str = "the name servers did not answer in time";

/// One thing seen, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What was looked at.
    pub what: &'static str,
    /// What was seen.
    pub seen: String,
}

impl<T> Looked<T> {
    /// What is there.
    pub const fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Nothing { .. } | Self::Unknown { .. } => None,
        }
    }

    fn words(&self, found: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Found(what) => found(what),
            Self::Nothing { said } => format!("none: {said}"),
            Self::Unknown { detail } => format!("not known: {detail}"),
        }
    }
}

impl Findings {
    /// Every address found.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        // IPv6 first, as a CA does.
        [&self.ipv6, &self.ipv4].into_iter().filter_map(Looked::found).flatten()
    }

    /// Every address is one of our edges', and there is one: what is wrong there is ours.
    pub fn all_ours(&self) -> bool {
        let mut addresses = self.addresses().peekable();
        addresses.peek().is_some() && addresses.all(|address| address.ours == Some(true))
    }

    /// All of it, for people.
    #[must_use]
    pub fn sightings(&self) -> Vec<Sighting> {
        let addresses = |found: &Vec<Address>| {
            found.iter().map(Address::to_string).collect::<Vec<_>>().join(", ")
        };
        let mut seen = Vec::new();
        if !self.aliases.is_empty() {
            seen.push(Sighting { what: "CNAME", seen: self.aliases.join(", ") });
        }
        seen.push(Sighting { what: "A", seen: self.ipv4.words(addresses) });
        seen.push(Sighting { what: "AAAA", seen: self.ipv6.words(addresses) });
        seen.push(Sighting { what: "CAA", seen: self.caa.words(CaaSet::to_string) });
        seen.push(Sighting { what: "challenge path", seen: self.path.to_string() });
        for Place { ip, path } in &self.also {
            seen.push(Sighting { what: "challenge path", seen: format!("at {ip}: {path}") });
        }
        seen
    }

    /// All of it, on one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let one = |sighting: Sighting| format!("{} {}", sighting.what, sighting.seen);
        self.sightings().into_iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = match self.ours {
            Some(true) => " (an edge)",
            Some(false) => " (not an edge)",
            None => "",
        };
        write!(f, "{}{whose}", self.ip)
    }
}

impl std::fmt::Display for CaaSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = |CaaRecord { critical, tag, value }: &CaaRecord| {
            format!("{} {tag} \"{value}\"", if *critical { 128 } else { 0 })
        };
        let records: Vec<_> = self.records.iter().map(one).collect();
        match &self.stands_at {
            None => write!(f, "at {}: {}", self.at, records.join(", ")),
            Some(target) => {
                write!(f, "at {target}, whose alias {} is: {}", self.at, records.join(", "))
            }
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { from, redirects: 0 } => write!(f, "answered by an edge at {from}"),
            Self::Answered { from, redirects } => {
                write!(f, "answered by an edge at {from} after {redirects} redirects")
            }
            Self::Elsewhere { from, detail, withheld: false } => {
                write!(f, "{from} answered {detail}")
            }
            Self::Elsewhere { from, detail, withheld: true } => {
                write!(f, "not known: {from} answers this look with {detail}")
            }
            Self::Unreachable { detail } => write!(f, "no answer: {detail}"),
            Self::NotTried { why } => write!(f, "not tried: {why}"),
        }
    }
}
