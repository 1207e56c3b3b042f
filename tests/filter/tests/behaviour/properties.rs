//! Random requests, events and outcomes: never a trap, never twice, every stream ends.

use proptest::collection::vec;
use proptest::prelude::*;
use sealwax_filter_tests::{key_authorization, pending, ready, settings, unknown};
use serde_json::json;
use wasm_host::{CalloutEnd, Outcome, Proxy, Request, StreamId};

use crate::support::{ms, program};

#[derive(Clone, Debug)]
enum Event {
    Request { worker: usize, host: Vec<u8>, path: Vec<u8>, more: Vec<(String, Vec<u8>)> },
    Answer { pick: usize, how: u8, noise: Vec<u8> },
    End { pick: usize },
    Respond { pick: usize },
    Advance { ms: u64 },
}

fn host() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..5_u8).prop_map(|index| format!("h{index}.example.com").into_bytes()),
        1 => (0..5_u8).prop_map(|index| format!("H{index}.Example.com.:8080").into_bytes()),
        1 => vec(any::<u8>(), 0..40),
        1 => Just(b"[::1]:80".to_vec()),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(b"/x?y".to_vec()),
        3 => (0..4_u8).prop_map(|t| format!("/.well-known/acme-challenge/t{t}").into_bytes()),
        1 => vec(any::<u8>(), 0..60).prop_map(|tail| {
            [b"/.well-known/acme-challenge/".as_slice(), &tail].concat()
        }),
        1 => vec(any::<u8>(), 0..60),
        1 => Just(b"/healthz".to_vec()),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let more = vec(("[a-z:-]{1,20}", vec(any::<u8>(), 0..20)), 0..4);
    prop_oneof![
        5 => (0..2_usize, host(), path(), more)
            .prop_map(|(worker, host, path, more)| Event::Request { worker, host, path, more }),
        4 => (any::<usize>(), 0..12_u8, vec(any::<u8>(), 0..60))
            .prop_map(|(pick, how, noise)| Event::Answer { pick, how, noise }),
        2 => any::<usize>().prop_map(|pick| Event::End { pick }),
        1 => any::<usize>().prop_map(|pick| Event::Respond { pick }),
        3 => prop_oneof![0..300_u64, 0..5_000_u64].prop_map(|ms| Event::Advance { ms }),
    ]
}

fn answer(proxy: &mut Proxy, pick: usize, how: u8, noise: Vec<u8>) {
    let callouts = proxy.callouts();
    let Some(callout) = callouts.get(pick % callouts.len().max(1)) else { return };
    let path = callout.header(":path");
    let subject = path.rsplit('/').next().unwrap_or_default();
    let end = match how {
        0 | 1 => ready(subject, 2),
        2 => pending(1),
        3 => unknown(1),
        4 | 5 => key_authorization(subject),
        6 => CalloutEnd::Reset,
        7 => CalloutEnd::timeout(),
        8 => CalloutEnd::unavailable(),
        9 => CalloutEnd::response(404, noise),
        10 => CalloutEnd::Response { headers: vec![(b":status".to_vec(), noise)], body: vec![] },
        _ => {
            proxy.lose_callout(callout.id);
            return;
        }
    };
    proxy.end_callout(callout.id, end);
}

fn is_challenge(path: &[u8]) -> bool {
    path.starts_with(b"/.well-known/acme-challenge/")
}

fn run(more: &serde_json::Value, events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut proxy = Proxy::start(program(), settings(more).workers(2)).unwrap();
    let mut streams: Vec<(StreamId, bool)> = Vec::new();
    for event in events {
        match event {
            Event::Request { worker, host, path, more } => {
                let challenge = is_challenge(&path);
                let mut request = Request::get(host, path);
                for (name, value) in more {
                    request = request.header(&name, value);
                }
                streams.push((proxy.request(worker, request), challenge));
            }
            Event::Answer { pick, how, noise } => answer(&mut proxy, pick, how, noise),
            Event::End { pick } if !streams.is_empty() => {
                let (stream, _) = streams.swap_remove(pick % streams.len());
                proxy.end(stream);
            }
            Event::Respond { pick } if !streams.is_empty() => {
                let (stream, _) = streams[pick % streams.len()];
                proxy.respond(stream, vec![(b":status".to_vec(), b"200".to_vec())]);
            }
            Event::End { .. } | Event::Respond { .. } => {}
            Event::Advance { ms: by } => proxy.advance(ms(by)),
        }
    }
    proxy.advance(ms(70_000));
    for worker in 0..2 {
        prop_assert_eq!(proxy.trap(worker), None);
    }
    prop_assert_eq!(proxy.violations(), []);
    for (stream, challenge) in streams {
        let outcome = proxy.outcome(stream);
        prop_assert_ne!(&outcome, &Outcome::Paused, "every stream ends");
        if challenge {
            let replied = matches!(&outcome, Outcome::Replied(_));
            prop_assert!(replied, "a challenge reached the origin: {:?}", outcome);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_end_once_whatever_happens(events in vec(event(), 1..60)) {
        run(&json!({"breaker": {"failures": 3, "open_ms": 500}}), events)?;
    }

    #[test]
    fn waiting_for_certificates_and_small_limits_change_nothing(events in vec(event(), 1..60)) {
        let more = json!({
            "on_pending": "wait", "wait_max_ms": 1_500, "waiters_max": 3, "callouts_max": 2,
            "unknown_domain": "not_found", "exempt": {"exact": ["/healthz"]},
            "trust_forwarded_proto": true, "cache": {"entries": 4, "shared_slots": 2},
            "challenge": {"callouts_max": 2, "entries": 1, "shared_slots": 1},
        });
        run(&more, events)?;
    }

    #[test]
    fn the_https_listener_holds_as_well(events in vec(event(), 1..40)) {
        let more = json!({
            "listener": "https", "hsts": {}, "misdirected": true, "usage": {"interval_ms": 300},
        });
        run(&more, events)?;
    }
}
