//! Every hostcall failing, with every status, in every scenario: nothing traps, every stream ends.

use sealwax_filter_tests::{key_authorization, pending, ready, settings};
use serde_json::json;
use wasm_host::{
    CalloutEnd, Fault, HOSTCALLS, HostError, Outcome, Proxy, Request, Status, StreamId,
};

use crate::support::{ms, program};

const DOMAIN: &str = "a.example.com";

/// Everything the filter does, once.
fn scenario(proxy: &mut Proxy) -> Vec<StreamId> {
    let mut streams = Vec::new();
    let challenge = Request::get(DOMAIN, "/.well-known/acme-challenge/t");
    for (request, end) in [
        (challenge.clone(), key_authorization("t")),
        (challenge, CalloutEnd::Reset),
        (Request::get(DOMAIN, "/"), pending(1)),
        (Request::get(DOMAIN, "/").sni(DOMAIN), ready(DOMAIN, 60)),
        (Request::get("b.example.com", "/"), CalloutEnd::timeout()),
        (Request::get(DOMAIN, "/again"), ready(DOMAIN, 60)),
    ] {
        let stream = proxy.request(0, request);
        proxy.respond(stream, vec![(b":status".to_vec(), b"200".to_vec())]);
        for callout in proxy.callouts() {
            proxy.end_callout(callout.id, end.clone());
        }
        streams.push(stream);
        proxy.advance(ms(700));
    }
    proxy.advance(ms(60_000));
    streams
}

fn run(fault: &Fault, from_start: bool, listener: &str) {
    let more = json!({"listener": listener, "on_pending": "wait", "trust_forwarded_proto": true});
    let settings = settings(&more).workers(2);
    let settings = if from_start { settings.fault(fault.clone()) } else { settings };
    let mut proxy = match Proxy::start(program(), settings) {
        Ok(proxy) => proxy,
        Err(error) => {
            assert_eq!(error, HostError::Refused, "{fault:?}");
            return;
        }
    };
    if !from_start {
        proxy.inject(fault);
    }
    let streams = scenario(&mut proxy);
    assert_eq!(proxy.trap(0), None, "{fault:?}");
    // A stream cannot leave if leaving itself is what fails, or if there is no time.
    let stuck = [
        "proxy_continue_stream",
        "proxy_set_effective_context",
        "proxy_send_local_response",
        "proxy_close_stream",
        "proxy_set_tick_period_milliseconds",
    ];
    let may_hang = fault.function.is_none_or(|name| stuck.contains(&name));
    for stream in &streams {
        let hangs = proxy.outcome(*stream) == Outcome::Paused;
        assert!(!hangs || may_hang, "{fault:?}");
        proxy.end(*stream);
    }
    proxy.heal();
    scenario(&mut proxy);
    assert_eq!(proxy.trap(0), None, "healed after {fault:?}");
}

#[test]
fn any_hostcall_may_fail_with_any_status_at_any_time() {
    for (function, _) in HOSTCALLS {
        for status in Status::ALL {
            for from_start in [true, false] {
                run(&Fault::always(function, status), from_start, "http");
            }
        }
    }
}

#[test]
fn on_the_https_listener_too() {
    for (function, _) in HOSTCALLS {
        for status in [Status::Ok, Status::BadArgument, Status::InternalFailure] {
            run(&Fault::always(function, status), false, "https");
        }
    }
}

#[test]
fn every_hostcall_may_fail_at_once_and_each_call_alone() {
    for status in Status::ALL {
        run(&Fault { function: None, after: 0, times: u64::MAX, status }, false, "http");
    }
    for after in 0..150 {
        run(
            &Fault { function: None, after, times: 1, status: Status::InternalFailure },
            false,
            "http",
        );
    }
}

#[test]
fn a_challenge_that_cannot_be_answered_is_reset_and_never_reaches_the_origin() {
    let mut proxy = Proxy::start(program(), settings(&json!({}))).unwrap();
    proxy.inject(&Fault::always("proxy_send_local_response", Status::InternalFailure));
    let malformed = proxy.request(0, Request::get(DOMAIN, "/.well-known/acme-challenge/a.b"));
    let waiting = proxy.request(0, Request::get(DOMAIN, "/.well-known/acme-challenge/t"));
    let callout = proxy.callouts().remove(0);
    proxy.end_callout(callout.id, key_authorization("t"));
    assert_eq!(proxy.outcome(malformed), Outcome::Reset);
    assert_eq!(proxy.outcome(waiting), Outcome::Reset);
    assert_eq!(proxy.trap(0), None);
}

#[test]
fn without_ticks_verdicts_still_end() {
    let settings = settings(&json!({"cache": {"shared_slots": 0}}))
        .fault(Fault::always("proxy_set_tick_period_milliseconds", Status::InternalFailure));
    let mut proxy = Proxy::start(program(), settings).unwrap();
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    let callout = proxy.callouts().remove(0);
    proxy.end_callout(callout.id, ready(DOMAIN, 5));
    assert!(proxy.reply(stream).is_some());
    proxy.advance(ms(5_001));
    proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.callouts().len(), 1);
}
