//! Memory stays where it is, whatever comes.

use sealwax_filter_tests::{ready, settings, unknown};
use serde_json::json;
use wasm_host::{CalloutEnd, Proxy, Request};

use crate::support::{assert_sound, ms, program, start};

/// Requests for hosts nobody saw before, each asked about and answered.
fn new_hosts(proxy: &mut Proxy, from: u32, to: u32) {
    for index in from..to {
        let host = format!("host-{index}.example.com");
        let stream = proxy.request(0, Request::get(&host, "/"));
        for callout in proxy.callouts() {
            let end = if index % 2 == 0 { ready(&host, 60) } else { unknown(60) };
            proxy.end_callout(callout.id, end);
        }
        proxy.end(stream);
        if index % 512 == 0 {
            proxy.advance(ms(200));
        }
    }
}

#[test]
fn a_flood_of_hosts_does_not_grow_memory() {
    let mut proxy = start(json!({}));
    new_hosts(&mut proxy, 0, 2_000);
    let before = proxy.memory_bytes(0);
    new_hosts(&mut proxy, 2_000, 12_000);
    assert_eq!(proxy.memory_bytes(0), before);
    assert_sound(&proxy);
}

#[test]
fn floods_of_tokens_names_in_use_and_waiters_do_not_grow_memory() {
    let settings = settings(&json!({"listener": "https", "usage": {"interval_ms": 1_000}}));
    let mut proxy = Proxy::start(program(), settings).unwrap();
    let mut flood = |from: u32, to: u32| {
        for index in from..to {
            let name = format!("name-{index}.example.com");
            let used = proxy.request(0, Request::get(&name, "/").sni(&name));
            let path = format!("/.well-known/acme-challenge/token-{index}");
            let challenge = proxy.request(0, Request::get(&name, path));
            if index % 64 == 0 {
                for callout in proxy.callouts() {
                    proxy.end_callout(callout.id, CalloutEnd::response(404, "{}"));
                }
                proxy.advance(ms(200));
            }
            proxy.end(used);
            proxy.end(challenge);
        }
        proxy.memory_bytes(0)
    };
    let before = flood(0, 4_000);
    assert_eq!(flood(4_000, 16_000), before);
    assert_sound(&proxy);
}

#[test]
fn the_cache_is_allocated_once_and_its_size_is_what_the_table_says() {
    let small = start(json!({"cache": {"entries": 4}})).memory_bytes(0);
    let large = start(json!({"cache": {"entries": 1_048_576}})).memory_bytes(0);
    let per_entry = (large - small) / 1_048_576;
    assert!((24..=25).contains(&per_entry), "{per_entry}");
}
