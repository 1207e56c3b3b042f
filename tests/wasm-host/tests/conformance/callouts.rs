//! Callouts: what is refused, how they end, and to whom.

use std::time::Duration;

use crate::support::{guest, said, settings, start};
use wasm_host::{CalloutEnd, Fault, Outcome, Program, Proxy, Request, Status, Violation};

/// A guest that calls `cluster` on each request, with a wire map that has `names` with the value
/// `x`, and says status, headers and body size of the answer.
fn caller(cluster: &str, names: &[&str], timeout_ms: u32) -> Program {
    let mut map = u32::try_from(names.len()).unwrap().to_le_bytes().to_vec();
    for name in names {
        map.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        map.extend(1_u32.to_le_bytes());
    }
    for name in names {
        map.extend(name.bytes().chain(*b"\0x\0"));
    }
    let escaped: String = map.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let map_at = 1024 + cluster.len();
    guest(
        &format!("{cluster}{escaped}"),
        &format!(
            r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (call $say (call $proxy_http_call
                    (i32.const 1024) (i32.const {}) (i32.const {map_at}) (i32.const {})
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const {timeout_ms}) (i32.const 300)))
                (i32.const 1))
            (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
                (call $say (local.get 0))
                (call $say (local.get 2))
                (call $say (local.get 3)))"#,
            cluster.len(),
            map.len(),
        ),
    )
}

const COMPLETE: [&str; 3] = [":method", ":path", ":authority"];

#[test]
fn an_incomplete_or_misdirected_callout_is_refused() {
    for (cluster, names) in [("up", &COMPLETE[..2]), ("up", &COMPLETE[1..]), ("nowhere", &COMPLETE)]
    {
        let mut proxy = start(&caller(cluster, names, 10));
        proxy.request(0, Request::get("a", "/"));
        assert_eq!(said(&proxy), ["2"], "{cluster} {names:?}");
        assert_eq!(proxy.callouts(), []);
    }
}

#[test]
fn an_answer_is_told_to_the_root_even_after_the_stream_ended() {
    let mut proxy = start(&caller("up", &COMPLETE, 10));
    let stream = proxy.request(0, Request::get("a", "/"));
    let callout = proxy.callouts().remove(0);
    assert_eq!((callout.header(":path").as_str(), callout.timeout_ms), ("x", 10));
    proxy.end(stream);
    assert!(proxy.end_callout(callout.id, CalloutEnd::response(200, "yes").with_header("a", "b")));
    assert!(!proxy.end_callout(callout.id, CalloutEnd::Reset), "once");
    assert_eq!(said(&proxy), ["0", "1", "2", "3"]);
}

#[test]
fn a_timeout_is_an_answer_at_its_time_and_a_reset_has_no_headers() {
    let mut proxy = start(&caller("up", &COMPLETE, 10));
    proxy.request(0, Request::get("a", "/"));
    proxy.advance(Duration::from_millis(9));
    assert_eq!(said(&proxy).len(), 1);
    proxy.advance(Duration::from_millis(1));
    assert_eq!(said(&proxy)[1..3], ["1", "1"], "root 1; :status");
    proxy.request(0, Request::get("a", "/"));
    let callout = proxy.callouts().remove(0);
    proxy.end_callout(callout.id, CalloutEnd::Reset);
    assert_eq!(said(&proxy)[5..], ["1", "0", "0"]);
}

#[test]
fn without_a_timeout_a_callout_is_reported_and_may_hang() {
    let mut proxy = start(&caller("up", &COMPLETE, 0));
    let stream = proxy.request(0, Request::get("a", "/"));
    assert_eq!(proxy.violations(), [Violation::NoTimeout]);
    proxy.advance(Duration::from_secs(3600));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    let callout = proxy.callouts().remove(0);
    assert!(proxy.lose_callout(callout.id) && proxy.callouts().is_empty());
}

#[test]
fn a_fault_fails_the_calls_it_names_and_no_others() {
    let fault = Fault {
        function: Some("proxy_http_call"),
        after: 1,
        times: 1,
        status: Status::InternalFailure,
    };
    let program = caller("up", &COMPLETE, 10);
    let mut proxy = Proxy::start(&program, settings().fault(fault)).unwrap();
    for _ in 0..3 {
        proxy.request(0, Request::get("a", "/"));
    }
    assert_eq!(said(&proxy), ["0", ":", "0"], "':' is 10: InternalFailure");
    assert_eq!(proxy.calls(0, "proxy_http_call"), 3);
    assert_eq!(proxy.callouts().len(), 2);
}
