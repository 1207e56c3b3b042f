//! Pausing, resuming, answering: deferred, and once.

use std::time::Duration;

use crate::support::{guest, said, start};
use wasm_host::{Outcome, Request, Violation};

/// Answers the stream in focus: 204, no headers.
const REPLY: &str = r#"
    (func $reply (result i32) (call $proxy_send_local_response
        (i32.const 204) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const -1)))"#;

#[test]
fn a_reply_takes_the_response_path_after_the_callback() {
    let program = guest(
        "x-ayes",
        &format!(
            r#"{REPLY}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $reply))
                (call $say (i32.const 1))
                (i32.const 0))
            (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
                (call $say (i32.const 2))
                (drop (call $proxy_add_header_map_value (i32.const 2)
                    (i32.const 1024) (i32.const 3) (i32.const 1027) (i32.const 3)))
                (i32.const 0))"#
        ),
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a", "/"));
    let reply = proxy.reply(stream).expect("the reply stands although the callback continued");
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("x-a"), Some(b"yes".as_slice()));
    assert_eq!(said(&proxy), ["1", "2"]);
    assert_eq!(proxy.violations(), []);
}

#[test]
fn resuming_twice_or_after_a_reply_is_reported() {
    let program = guest(
        "",
        &format!(
            r#"{REPLY}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))
                (i32.const 1))
            (func (export "proxy_on_tick") (param i32)
                (drop (call $proxy_set_effective_context (i32.const 2)))
                (drop (call $proxy_continue_stream (i32.const 0)))
                (drop (call $proxy_continue_stream (i32.const 0)))
                (drop (call $proxy_set_effective_context (i32.const 3)))
                (drop (call $reply))
                (drop (call $proxy_continue_stream (i32.const 0)))
                (drop (call $reply)))"#
        ),
    );
    let mut proxy = start(&program);
    let (first, second) =
        (proxy.request(0, Request::get("a", "/")), proxy.request(0, Request::get("a", "/")));
    assert_eq!(proxy.outcome(first), Outcome::Paused);
    proxy.advance(Duration::from_millis(10));
    assert_eq!(proxy.outcome(first), Outcome::Continued);
    assert_eq!(proxy.reply(second).map(|reply| reply.status), Some(204));
    assert_eq!(
        proxy.violations(),
        [Violation::ResumedTwice, Violation::ResumedAfterReply, Violation::RepliedTwice]
    );
}

#[test]
fn on_a_root_both_are_ok_and_do_nothing() {
    let program = guest(
        "",
        &format!(
            r#"{REPLY}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))
                (i32.const 1))
            (func (export "proxy_on_tick") (param i32)
                (call $say (call $proxy_continue_stream (i32.const 0)))
                (call $say (call $reply)))"#
        ),
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a", "/"));
    proxy.advance(Duration::from_millis(10));
    assert_eq!(said(&proxy), ["0", "0"]);
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    assert_eq!(
        proxy.violations(),
        [
            Violation::RootInFocus("proxy_continue_stream"),
            Violation::RootInFocus("proxy_send_local_response")
        ]
    );
}

#[test]
fn a_dead_context_cannot_be_put_into_focus() {
    let program = guest(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))
            (i32.const 1))
        (func (export "proxy_on_tick") (param i32)
            (call $say (call $proxy_set_effective_context (i32.const 2))))"#,
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a", "/"));
    proxy.end(stream);
    proxy.advance(Duration::from_millis(10));
    assert_eq!(said(&proxy), ["2"], "BadArgument");
    assert_eq!(proxy.outcome(stream), Outcome::Reset);
}

#[test]
fn a_stream_ends_with_done_log_delete_in_this_order() {
    let program = guest(
        "",
        r#"(func (export "proxy_on_context_create") (param i32 i32) (call $say (local.get 0)))
        (func (export "proxy_on_done") (param i32) (result i32) (call $say (i32.const 4)) (i32.const 1))
        (func (export "proxy_on_log") (param i32) (call $say (i32.const 5)))
        (func (export "proxy_on_delete") (param i32) (call $say (i32.const 6)))"#,
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request::get("a", "/"));
    proxy.end(stream);
    proxy.end(stream);
    assert_eq!(said(&proxy), ["1", "2", "4", "5", "6"]);
}

#[test]
fn a_body_can_be_read_in_pieces_and_replaced() {
    let program = guest(
        "new",
        r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 1) (i32.const 99)
                (i32.const 256) (i32.const 260)))
            (call $say_at (i32.load (i32.const 256)) (i32.load (i32.const 260)))
            (call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 1) (i32.const -1)
                (i32.const 256) (i32.const 260)))
            (call $say (call $proxy_get_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 1)
                (i32.const 256) (i32.const 260)))
            (drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99)
                (i32.const 1024) (i32.const 3)))
            (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    let stream = proxy.request(0, Request { has_body: true, ..Request::get("a", "/") });
    assert_eq!(proxy.request_body(stream, b"old", true), Some(b"new".to_vec()));
    assert_eq!(said(&proxy), ["0", "ld", "2", "1"], "clamped; overflow; another phase");
}
