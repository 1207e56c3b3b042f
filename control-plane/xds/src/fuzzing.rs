//! The request handling under bytes of a fuzzer: requests as an edge might send them, broken ones
//! included, with answers, changes and time in between. What every response has to fulfil is
//! checked, and that nothing grows beyond its bound.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::edge::Figures;
use crate::sotw::{StateNames, state_response};
use crate::subscription::{Limits, Registry, Response, Sketch, Subscriptions};
use crate::wire::{DeltaRequest, StateRequest};
use crate::{Lookup, ServedCertificate, request};

/// Few, so that their bounds are reached.
const LIMITS: Limits = Limits {
    budget: 4,
    max_subscriptions: 24,
    max_wait: Duration::from_secs(5),
    retry_after: Duration::from_millis(500),
    eviction_grace: Duration::from_secs(1),
    removal_gap: Duration::from_secs(1),
};
/// Most responses taken at a time.
const RESPONSES: usize = 64;

/// The names the stream is subscribed to, as the index would know them.
#[derive(Debug, Default)]
struct Names(HashSet<DomainName>);

impl Registry for Names {
    fn added(&mut self, name: DomainName) -> DomainName {
        self.0.insert(name.clone());
        assert!(self.0.len() <= LIMITS.max_subscriptions, "more names than allowed");
        name
    }

    fn gone(&mut self, name: &DomainName) {
        assert!(self.0.remove(name), "{name} was not registered");
    }

    fn ended(&mut self, names: Box<dyn Iterator<Item = DomainName> + Send>) {
        for name in names {
            self.0.remove(&name);
        }
        assert!(self.0.is_empty(), "left over: {:?}", self.0);
    }
}

/// Plays a stream of which `input` is everything that happens.
///
/// # Panics
/// A rule is broken.
pub fn play(mut input: &[u8]) {
    Stream::new().play(&mut input);
}

struct Stream {
    subscriptions: Subscriptions<Names>,
    state_names: StateNames,
    now: Instant,
    first: bool,
    asked: HashSet<Bytes>,
    nonces: HashSet<Bytes>,
}

impl Stream {
    fn new() -> Self {
        let now = Instant::now();
        let sketch = Arc::new(Mutex::new(Sketch::new(LIMITS.budget)));
        let figures = Arc::<Figures>::default();
        Self {
            subscriptions: Subscriptions::new(1, LIMITS, Names::default(), sketch, figures, now),
            state_names: StateNames::default(),
            now,
            first: true,
            asked: HashSet::new(),
            nonces: HashSet::new(),
        }
    }

    fn play(&mut self, input: &mut &[u8]) {
        while let Some(step) = byte(input) {
            match step % 8 {
                0 => {
                    if let Ok(request) = DeltaRequest::decode(piece(input)) {
                        self.request(request);
                    }
                }
                1 => {
                    if let Ok(request) = StateRequest::decode(piece(input)) {
                        let change = self.state_names.change(request);
                        self.request(change);
                    }
                }
                2 => {
                    let subscribe = vec![Bytes::copy_from_slice(piece(input))];
                    self.request(DeltaRequest { subscribe, ..DeltaRequest::default() });
                }
                3 => self.answer(byte(input).unwrap_or(0)),
                4 => self.now += Duration::from_millis(40 * u64::from(byte(input).unwrap_or(0))),
                5 => self.change(piece(input)),
                6 => self.subscriptions.changed_all(),
                _ => self.respond(byte(input).unwrap_or(0)),
            }
            self.subscriptions.tick(self.now);
            self.subscriptions.compare_more();
            self.subscriptions.take_events();
        }
    }

    fn request(&mut self, request: DeltaRequest) {
        self.asked.extend(request.subscribe.iter().cloned());
        self.asked.extend(request.initial_versions.iter().map(|held| held.name.clone()));
        let first = std::mem::take(&mut self.first);
        let mut left = request::take(&mut self.subscriptions, request, first, self.now);
        while left.as_mut().is_some_and(|backlog| backlog.work(&mut self.subscriptions)) {}
    }

    fn answer(&mut self, choice: u8) {
        while let Some(question) = self.subscriptions.next_question() {
            let lookup = match choice % 4 {
                0 => Lookup::Absent,
                1 => Lookup::Pending,
                2 => Lookup::Unavailable,
                _ => ServedCertificate::new(&question.name, &[choice], b"key")
                    .map_or(Lookup::Absent, |served| Lookup::Ready(Arc::new(served))),
            };
            self.subscriptions.hold(question.key, self.now);
            self.subscriptions.answer(question.key, lookup, self.now);
        }
    }

    fn change(&mut self, name: &[u8]) {
        if let Ok(name) = DomainName::parse_bytes(name) {
            self.subscriptions.changed(&name);
            self.subscriptions.used(&name);
        }
    }

    /// Takes what there is to send, and answers it or not.
    fn respond(&mut self, choice: u8) {
        for _ in 0..RESPONSES {
            let Some(response) = self.subscriptions.next_response(self.now) else { return };
            self.check(&response);
            match choice % 3 {
                0 => self.subscriptions.ack(&response.nonce, self.now),
                1 => self.subscriptions.nack(&response.nonce, "refused"),
                _ => {}
            }
            let removed = response.removed.clone();
            // Whether this can be said in the other protocol or not, it must not fail.
            drop(state_response(response));
            if choice & 64 != 0 {
                for name in removed {
                    self.subscriptions.unsubscribe(&name);
                }
            }
        }
    }

    fn check(&mut self, response: &Response) {
        assert!(self.nonces.insert(response.nonce.clone()), "a nonce came twice");
        let mut names = HashSet::new();
        for resource in &response.resources {
            let name = name_of(resource);
            assert!(self.asked.contains(&name), "{name:?} was not asked for");
            assert!(names.insert(name), "a name came twice in one response");
        }
        for name in &response.removed {
            assert!(std::str::from_utf8(name).is_ok(), "{name:?} would end the stream");
            assert!(self.asked.contains(name), "{name:?} was not asked for");
            assert!(names.insert(name.clone()), "a name came twice in one response");
        }
        assert!(!names.is_empty(), "an empty response");
    }
}

/// The resource's own name.
fn name_of(resource: &Bytes) -> Bytes {
    #[derive(Clone, PartialEq, Message)]
    struct Named {
        #[prost(bytes = "bytes", tag = "3")]
        name: Bytes,
    }
    Named::decode(resource.clone()).map(|named| named.name).unwrap_or_default()
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

/// A byte that says how many follow, and those.
fn piece<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let len = usize::from(byte(input).unwrap_or(0));
    let (piece, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
    *input = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{NameVersion, RpcStatus};

    /// Steps that make sense, to be cut, mixed and mangled.
    fn steps() -> Vec<Vec<u8>> {
        let names = ["a.example.com", "A.example.com", "b.example.com.", "*", "", "10.0.0.1"];
        let bytes = |name: &str| Bytes::copy_from_slice(name.as_bytes());
        let mut requests = vec![DeltaRequest {
            subscribe: names.map(bytes).to_vec(),
            initial_versions: vec![NameVersion {
                name: bytes("c.example.com"),
                version: bytes("0123456789abcdef"),
            }],
            ..DeltaRequest::default()
        }];
        for name in names {
            requests.push(DeltaRequest { subscribe: vec![bytes(name)], ..Default::default() });
            requests.push(DeltaRequest { unsubscribe: vec![bytes(name)], ..Default::default() });
        }
        for nonce in 1..9 {
            let error = RpcStatus { code: 13, message: bytes("no") };
            let response_nonce = Bytes::from(format!("1.{nonce}"));
            requests.push(DeltaRequest {
                response_nonce,
                error_detail: (nonce % 2 == 0).then_some(error),
                ..DeltaRequest::default()
            });
        }
        let with_len = |step: u8, piece: Vec<u8>| {
            [vec![step, u8::try_from(piece.len()).unwrap()], piece].concat()
        };
        let mut steps: Vec<_> =
            requests.iter().map(|request| with_len(0, request.encode_to_vec())).collect();
        let state = StateRequest { names: names.map(bytes).to_vec(), ..Default::default() };
        steps.push(with_len(1, state.encode_to_vec()));
        for number in 0..40_u8 {
            steps.push(with_len(2, format!("{number}.example.com").into_bytes()));
            steps.push(vec![3 + number % 2, number * 6]);
            steps.push(vec![7, number * 6]);
        }
        steps.push(with_len(5, b"a.example.com".to_vec()));
        steps.push(vec![6]);
        steps
    }

    #[test]
    fn no_bytes_break_a_rule_of_the_responses() {
        let steps = steps();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            random ^= random >> 12;
            random ^= random << 25;
            random ^= random >> 27;
            usize::try_from(random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
        };
        for round in 0..3000 {
            let mut input = Vec::new();
            for _ in 0..60 {
                input.extend_from_slice(&steps[below(steps.len())]);
            }
            // Every other stream is mangled.
            for _ in 0..(round % 2) * 12 {
                let at = below(input.len());
                input[at] = u8::try_from(below(256)).unwrap();
            }
            play(&input);
        }
    }
}
