//! Which names are in use: collected without growing, sent on a tick, lossy rather than slow.

use sealwax_protocol::DomainName;

use crate::fingerprint::Fingerprint;

/// Places looked at before a name is given up: the table is at most half full, so two in a
/// thousand names do not find a place even when it is as full as it gets.
const PROBES: usize = 8;

/// The names seen since the last report.
#[derive(Debug)]
pub struct UsageNames {
    names: Vec<DomainName>,
    names_max: usize,
    /// Fingerprints of `names`, open addressing, twice as many places as names.
    seen: Vec<Fingerprint>,
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the next report.
    Kept,
    /// There was no room.
    Dropped,
}

impl UsageNames {
    /// Room for `names_max` names.
    #[must_use]
    pub fn new(names_max: usize) -> Self {
        let seen = vec![Fingerprint::default(); names_max.saturating_mul(2).max(1)];
        Self { names: Vec::new(), names_max, seen }
    }

    /// Notes a name, the first time it is seen. `key` is its fingerprint.
    pub fn note(&mut self, key: Fingerprint, name: impl FnOnce() -> Option<DomainName>) -> Noted {
        let places = self.seen.len();
        let start = key.bucket(places);
        for probe in 0..PROBES.min(places) {
            let Some(place) = self.seen.get_mut((start + probe) % places) else { break };
            if *place == key {
                return Noted::Kept;
            }
            if *place == Fingerprint::default() {
                if self.names.len() >= self.names_max {
                    return Noted::Dropped;
                }
                // What is no name is remembered too, so that it is not read again.
                *place = key;
                self.names.extend(name());
                return Noted::Kept;
            }
        }
        Noted::Dropped
    }

    /// Whether there is anything to report.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many names wait to be reported.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// The body of the next report; starts the one after it.
    pub fn take_report(&mut self) -> Vec<u8> {
        let mut body = b"{\"names\":[".to_vec();
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            // A domain name has nothing in it that JSON would escape.
            body.push(b'"');
            body.extend_from_slice(name.as_str().as_bytes());
            body.push(b'"');
        }
        body.extend_from_slice(b"]}");
        self.names.clear();
        self.seen.fill(Fingerprint::default());
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwax_protocol::edge::UsageReport;

    fn note(names: &mut UsageNames, name: &str) -> Noted {
        let key = Fingerprint::of(1, &[name.as_bytes()]);
        names.note(key, || DomainName::parse(name).ok())
    }

    #[test]
    fn a_report_is_what_the_control_plane_reads() {
        let mut names = UsageNames::new(10);
        for name in ["a.example.com", "b.example.com", "a.example.com"] {
            assert_eq!(note(&mut names, name), Noted::Kept);
        }
        let report: UsageReport = serde_json::from_slice(&names.take_report()).unwrap();
        let read: Vec<_> = report.names().iter().map(DomainName::as_str).collect();
        assert_eq!(read, ["a.example.com", "b.example.com"]);
        assert!(names.is_empty());
        assert_eq!(note(&mut names, "a.example.com"), Noted::Kept);
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn under_pressure_names_are_dropped_not_kept() {
        let mut names = UsageNames::new(100);
        let dropped = (0..10_000)
            .filter(|index| note(&mut names, &format!("n{index}.example.com")) == Noted::Dropped)
            .count();
        assert_eq!(dropped + names.len(), 10_000);
        assert!((90..=100).contains(&names.len()), "{}", names.len());
    }
}
