//! The HTTPS listener: HSTS, misdirected requests, names in use.

use serde_json::{Value, json};
use wasm_host::{CalloutEnd, Outcome, Proxy, Request};

use crate::support::{answer, assert_sound, ms, only_callout, passes, start};

const DOMAIN: &str = "a.example.com";

fn https(more: &Value) -> Proxy {
    let mut all = json!({"listener": "https"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    start(all)
}

fn hsts_of(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<String> {
    let named = headers.iter().filter(|(name, _)| name == b"strict-transport-security");
    named.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect()
}

#[test]
fn hsts_says_what_is_configured_once() {
    for (hsts, value) in [
        (json!({}), "max-age=31536000"),
        (json!({"max_age_s": 0}), "max-age=0"),
        (json!({"max_age_s": 60, "include_subdomains": true}), "max-age=60; includeSubDomains"),
        (
            json!({"include_subdomains": true, "preload": true}),
            "max-age=31536000; includeSubDomains; preload",
        ),
    ] {
        let mut proxy = https(&json!({ "hsts": hsts }));
        let stream = proxy.request(0, Request::get(DOMAIN, "/").sni(DOMAIN));
        let origin = vec![
            (b":status".to_vec(), b"200".to_vec()),
            (b"strict-transport-security".to_vec(), b"max-age=1".to_vec()),
        ];
        assert_eq!(hsts_of(&proxy.respond(stream, origin)), [value]);
        assert_sound(&proxy);
    }
    let mut proxy = https(&json!({}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/").sni(DOMAIN));
    let headers = proxy.respond(stream, vec![(b":status".to_vec(), b"200".to_vec())]);
    assert!(hsts_of(&headers).is_empty());
}

#[test]
fn a_request_for_another_name_than_the_handshakes_is_421() {
    let mut proxy = https(&json!({"misdirected": true, "hsts": {}}));
    for host in ["b.example.com", "example.com", "192.0.2.1", ""] {
        let stream = proxy.request(0, Request::get(host, "/").sni(DOMAIN));
        let reply = proxy.reply(stream).unwrap();
        assert_eq!(reply.status, 421, "{host}");
        assert_eq!(hsts_of(&reply.headers).len(), 1, "local replies have the header too");
    }
    for host in [DOMAIN, "A.Example.com", "a.example.com:443", "a.example.com."] {
        assert!(passes(&mut proxy, Request::get(host, "/").sni(DOMAIN)), "{host}");
    }
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/").sni("A.EXAMPLE.COM")));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")), "no SNI, nothing to compare");
    let mut lax = https(&json!({}));
    assert!(passes(&mut lax, Request::get("b.example.com", "/").sni(DOMAIN)));
    assert_sound(&proxy);
}

#[test]
fn nothing_is_asked_and_nothing_redirected() {
    let mut proxy = https(&json!({}));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/").sni(DOMAIN)));
    assert_eq!(proxy.callouts(), []);
}

#[test]
fn names_in_use_are_reported_in_batches_on_a_tick() {
    let mut proxy = https(&json!({"usage": {"interval_ms": 1_000}}));
    proxy.advance(ms(1_000));
    for name in [DOMAIN, "b.example.com", DOMAIN, "C.example.com"] {
        assert!(passes(&mut proxy, Request::get("whatever.example", "/").sni(name)));
    }
    assert_eq!(proxy.callouts(), [], "not on the request");
    proxy.advance(ms(200));
    let callout = answer(&mut proxy, CalloutEnd::response(204, ""));
    assert_eq!(callout.header(":method"), "POST");
    assert_eq!(callout.header(":path"), "/edge/v1/usage");
    assert_eq!(callout.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&callout.body).unwrap();
    assert_eq!(body, json!({"names": [DOMAIN, "b.example.com", "c.example.com"]}));
    proxy.advance(ms(5_000));
    assert_eq!(proxy.callouts(), [], "nothing new, nothing to say");
    assert_eq!(proxy.metric("sealwax.usage.reported"), Some(3));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/").sni(DOMAIN)));
    proxy.advance(ms(200));
    only_callout(&proxy);
    assert_sound(&proxy);
}

#[test]
fn reports_are_lossy_under_pressure_and_the_loss_is_counted() {
    let mut proxy = https(&json!({"usage": {"interval_ms": 1_000, "names_max": 10}}));
    for index in 0..100 {
        let name = format!("n{index}.example.com");
        assert!(passes(&mut proxy, Request::get(&name, "/").sni(&name)));
    }
    proxy.advance(ms(1_000));
    let callout = answer(&mut proxy, CalloutEnd::unavailable());
    let body: Value = serde_json::from_slice(&callout.body).unwrap();
    let reported = body["names"].as_array().unwrap().len();
    assert!((1..=10).contains(&reported), "{reported}");
    proxy.advance(ms(200));
    assert_eq!(proxy.metric("sealwax.usage.dropped"), Some(100), "the report was lost as well");
    assert_eq!(proxy.metric("sealwax.usage.reported"), Some(0));
    assert_sound(&proxy);
}

#[test]
fn one_report_at_a_time_and_none_while_the_breaker_is_open() {
    let mut proxy = https(&json!({"usage": {"interval_ms": 500}, "callout_timeout_ms": 5_000,
            "breaker": {"failures": 1, "open_ms": 10_000}}));
    let used = |proxy: &mut Proxy, name: &str| {
        assert!(passes(proxy, Request::get(name, "/").sni(name)));
    };
    used(&mut proxy, DOMAIN);
    proxy.advance(ms(1_000));
    used(&mut proxy, "b.example.com");
    proxy.advance(ms(2_000));
    answer(&mut proxy, CalloutEnd::Reset);
    proxy.advance(ms(5_000));
    assert_eq!(proxy.callouts(), [], "open");
    proxy.advance(ms(6_000));
    let callout = only_callout(&proxy);
    assert_eq!(callout.body, br#"{"names":["b.example.com"]}"#, "kept meanwhile");
    assert_sound(&proxy);
}

#[test]
fn what_is_no_name_is_not_reported() {
    let mut proxy = https(&json!({"usage": {"interval_ms": 500}}));
    for name in ["", "192.0.2.1", "localhost", "\u{fc}.example"] {
        assert!(passes(&mut proxy, Request::get(DOMAIN, "/").sni(name)), "{name}");
    }
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    proxy.advance(ms(2_000));
    assert_eq!(proxy.callouts(), []);
    let mut off = https(&json!({"usage": {"enabled": false}}));
    let stream = off.request(0, Request::get(DOMAIN, "/").sni(DOMAIN));
    off.advance(ms(60_000));
    assert_eq!((off.outcome(stream), off.callouts()), (Outcome::Continued, Vec::new()));
    assert_sound(&off);
}
