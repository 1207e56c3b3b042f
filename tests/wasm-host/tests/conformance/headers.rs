//! Header maps: what they hold, and when they are there.

use crate::support::{guest, said, start};
use wasm_host::{Outcome, Request, Violation};

/// Logs the value of `:path` (NUL-free) after reading it through the host.
const SAY_PATH: &str = r#"
    (func $say_path
        (local $status i32)
        (local.set $status (call $proxy_get_header_map_value
            (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 256) (i32.const 260)))
        (if (i32.eqz (local.get $status))
            (then (call $say_at (i32.load (i32.const 256)) (i32.load (i32.const 260))))
            (else (call $say (local.get $status)))))"#;

#[test]
fn names_match_whatever_their_case_and_the_first_of_repeated_values_is_read() {
    let program = guest(
        ":PATH",
        &format!(
            r#"{SAY_PATH}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (call $say_path) (i32.const 0))"#
        ),
    );
    let mut proxy = start(&program);
    proxy.request(0, Request::get("a.example", "/one").header(":path", "/two"));
    assert_eq!(said(&proxy), ["/one"]);
    assert_eq!(proxy.violations(), []);
}

#[test]
fn request_headers_are_gone_once_the_request_went_on() {
    let program = guest(
        ":path",
        &format!(
            r#"{SAY_PATH}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (i32.const 0))
            (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
                (call $say_path) (i32.const 0))"#
        ),
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a.example", "/"));
    proxy.respond(stream, vec![(b":status".to_vec(), b"200".to_vec())]);
    assert_eq!(said(&proxy), ["2"], "BadArgument");
    let function = "proxy_get_header_map_value";
    assert_eq!(proxy.violations(), [Violation::OutOfPhase { function, what: 0 }]);
}

#[test]
fn request_headers_stay_while_the_request_is_paused_and_in_the_log_phase() {
    let program = guest(
        ":path",
        &format!(
            r#"{SAY_PATH}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))
                (i32.const 1))
            (func (export "proxy_on_tick") (param i32)
                (drop (call $proxy_set_effective_context (i32.const 2)))
                (call $say_path))
            (func (export "proxy_on_log") (param i32) (call $say_path))"#
        ),
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a.example", "/kept"));
    proxy.advance(std::time::Duration::from_millis(10));
    proxy.end(stream);
    assert_eq!(said(&proxy), ["/kept", "/kept"]);
    assert_eq!(proxy.violations(), []);
}

#[test]
fn replacing_a_header_leaves_one_and_a_missing_one_may_be_removed() {
    let program = guest(
        "x-anew-value",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $proxy_replace_header_map_value (i32.const 0)
                (i32.const 1024) (i32.const 3) (i32.const 1027) (i32.const 9)))
            (call $say (call $proxy_remove_header_map_value (i32.const 0)
                (i32.const 1027) (i32.const 9)))
            (call $say (call $proxy_add_header_map_value (i32.const 0)
                (i32.const 1024) (i32.const 3) (i32.const 1027) (i32.const 3)))
            (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    let request =
        Request::get("a", "/").header("x-a", "1").header("x-b", "\u{ff}").header("x-a", "2");
    let stream = proxy.request(0, request);
    assert_eq!(said(&proxy), ["0", "0", "0"]);
    let headers = proxy.request_headers(stream);
    let values = |name: &[u8]| {
        let named = headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone());
        named.collect::<Vec<_>>()
    };
    assert_eq!(values(b"x-a"), [b"new-value".to_vec(), b"new".to_vec()]);
    assert_eq!(values(b"x-b"), ["\u{ff}".as_bytes().to_vec()]);
}

#[test]
fn all_of_an_absent_map_is_nothing_and_no_error() {
    let program = guest(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (i32.store (i32.const 256) (i32.const 7))
            (call $say (call $proxy_get_header_map_pairs
                (i32.const 2) (i32.const 256) (i32.const 260)))
            (call $say (i32.load (i32.const 256)))
            (call $say (i32.load (i32.const 260)))
            (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a", "/"));
    assert_eq!(said(&proxy), ["0", "0", "0"]);
    assert_eq!(proxy.outcome(stream), Outcome::Continued);
}
