//! Several workers: what they share, how they fail, what they may use.

use std::time::Duration;

use crate::support::{guest, said, settings, start};
use wasm_host::{FailurePolicy, HostError, Outcome, Proxy, Request};

/// Traps on its first request, passes later ones by.
const TRAPS: &str = r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    unreachable)"#;

#[test]
fn a_trap_is_answered_by_the_failure_policy() {
    let program = guest("", TRAPS);
    for (policy, outcome) in [
        (FailurePolicy::Closed, Outcome::Refused),
        (FailurePolicy::Open, Outcome::Continued),
        (FailurePolicy::Reload, Outcome::Refused),
    ] {
        let mut proxy =
            Proxy::start(&program, settings().workers(2).failure_policy(policy)).unwrap();
        for _ in 0..2 {
            let stream = proxy.request(0, Request::get("a", "/"));
            assert_eq!(proxy.outcome(stream), outcome, "{policy:?}");
        }
        assert!(matches!(proxy.trap(0), Some(HostError::Trap { .. })));
        assert_eq!(proxy.trap(1), None, "the other worker lives");
    }
}

#[test]
fn a_reload_comes_with_the_next_request_after_the_backoff() {
    // Traps on its second request.
    let program = guest(
        "",
        r#"(global $requests (mut i32) (i32.const 0))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (global.get $requests) (then unreachable))
            (global.set $requests (i32.const 1))
            (i32.const 1))"#,
    );
    let mut proxy =
        Proxy::start(&program, settings().failure_policy(FailurePolicy::Reload)).unwrap();
    let paused = proxy.request(0, Request::get("a", "/"));
    assert_eq!(proxy.outcome(paused), Outcome::Paused);
    for (wait_ms, outcome) in
        [(0, Outcome::Refused), (1_000, Outcome::Refused), (1, Outcome::Paused)]
    {
        proxy.advance(Duration::from_millis(wait_ms));
        let stream = proxy.request(0, Request::get("a", "/"));
        assert_eq!(proxy.outcome(stream), outcome, "after {wait_ms} ms more");
    }
    assert_eq!(proxy.trap(0), None);
}

#[test]
fn shared_data_is_compared_and_swapped_between_workers() {
    let program = guest(
        "keyvalue",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $proxy_get_shared_data (i32.const 1024) (i32.const 3)
                (i32.const 256) (i32.const 260) (i32.const 264)))
            (call $say (call $proxy_set_shared_data (i32.const 1024) (i32.const 3)
                (i32.const 1027) (i32.const 5) (i32.load (i32.const 264))))
            (call $say (call $proxy_set_shared_data (i32.const 1024) (i32.const 3)
                (i32.const 1027) (i32.const 5) (i32.const 999)))
            (i32.const 0))"#,
    );
    let mut proxy = Proxy::start(&program, settings().workers(2)).unwrap();
    proxy.request(0, Request::get("a", "/"));
    assert_eq!(said(&proxy), ["1", "0", "8"], "NotFound; any cas makes it; CasMismatch");
    proxy.request(1, Request::get("a", "/"));
    assert_eq!(proxy.logs(1)[0].1, "0", "seen by the other worker");
    assert_eq!(proxy.shared_data(b"key"), Some(b"value".to_vec()));
}

#[test]
fn only_the_last_consumer_hears_of_a_queue_and_an_empty_one_says_so() {
    let program = guest(
        "q",
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $proxy_register_shared_queue (i32.const 1024) (i32.const 1) (i32.const 256))
            (i32.eqz))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $proxy_enqueue_shared_queue
                (i32.load (i32.const 256)) (i32.const 1024) (i32.const 1)))
            (i32.const 0))
        (func (export "proxy_on_queue_ready") (param i32 i32)
            (call $say (call $proxy_dequeue_shared_queue
                (local.get 1) (i32.const 264) (i32.const 268)))
            (call $say (call $proxy_dequeue_shared_queue
                (local.get 1) (i32.const 264) (i32.const 268))))"#,
    );
    let mut proxy = Proxy::start(&program, settings().workers(2)).unwrap();
    proxy.request(0, Request::get("a", "/"));
    assert_eq!(said(&proxy), ["0"]);
    let other: Vec<_> = proxy.logs(1).into_iter().map(|(_, line)| line).collect();
    assert_eq!(other, ["0", "7"]);
}

#[test]
fn metrics_keep_to_their_kind() {
    let program = guest(
        "metric",
        r#"(func $define (param $kind i32) (param $bytes i32)
            (call $say (call $proxy_define_metric
                (local.get $kind) (i32.const 1024) (local.get $bytes) (i32.const 256))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $define (i32.const 0) (i32.const 6))
            (call $say (call $proxy_increment_metric (i32.load (i32.const 256)) (i64.const 3)))
            (call $say (call $proxy_increment_metric (i32.load (i32.const 256)) (i64.const 0)))
            (call $define (i32.const 2) (i32.const 3))
            (call $say (call $proxy_record_metric (i32.load (i32.const 256)) (i64.const 9)))
            (call $say (call $proxy_get_metric (i32.load (i32.const 256)) (i32.const 264)))
            (call $say (call $proxy_get_metric (i32.const 4000) (i32.const 264)))
            (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    proxy.request(0, Request::get("a", "/"));
    assert_eq!(said(&proxy), ["0", "0", "2", "0", "0", "2", "1"]);
    assert_eq!((proxy.metric("metric"), proxy.samples("met")), (Some(3), 1));
}

#[test]
fn fuel_and_memory_are_bounded_and_fuel_is_the_same_every_time() {
    let program = guest(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (loop $forever (br $forever)) (i32.const 0))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (call $say (i32.eq (memory.grow (i32.const 100)) (i32.const -1))) (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    proxy.request(0, Request::get("a", "/"));
    assert!(matches!(proxy.trap(0), Some(HostError::Trap { cause, .. }) if cause.contains("fuel")));

    let grows = guest(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (i32.eq (memory.grow (i32.const 100)) (i32.const -1))) (i32.const 0))"#,
    );
    let mut limited = settings();
    limited.memory_bytes_max = 5 * 65_536;
    let mut proxy = Proxy::start(&grows, limited).unwrap();
    proxy.request(0, Request::get("a", "/"));
    let fuel = proxy.fuel(0);
    proxy.request(0, Request::get("a", "/"));
    assert_eq!(said(&proxy), ["1", "1"]);
    assert_eq!((proxy.fuel(0), proxy.memory_bytes(0)), (fuel, 4 * 65_536));
}

#[test]
fn a_refused_configuration_and_an_unknown_import_do_not_start() {
    let refuses = guest(
        "",
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $say (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 99)
                (i32.const 256) (i32.const 260)))
            (i32.ne (i32.load (i32.const 260)) (i32.const 13)))"#,
    );
    assert_eq!(Proxy::start(&refuses, settings()).err(), Some(HostError::Refused));
    let wat = r#"(module (import "env" "proxy_no_such_call" (func)))"#;
    let unknown = wasm_host::Program::new(&wat::parse_str(wat).unwrap()).unwrap();
    assert!(matches!(Proxy::start(&unknown, settings()).err(), Some(HostError::Link(_))));
}

#[test]
fn a_pointer_outside_memory_is_a_trap() {
    let program = guest(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $proxy_log (i32.const 2) (i32.const -8) (i32.const 16))) (i32.const 0))"#,
    );
    let mut proxy = start(&program);
    proxy.request(0, Request::get("a", "/"));
    assert!(proxy.trap(0).is_some());
}
