//! Requests nobody should send, and a host nobody should be.

use sealwax_filter_tests::ready;
use serde_json::json;
use wasm_host::{Outcome, Request};

use crate::support::{answer, assert_sound, ms, only_callout, passes, redirect_of, start, teach};

const DOMAIN: &str = "a.example.com";

#[test]
fn bytes_that_are_no_text_pass_through() {
    let mut proxy = start(json!({"trust_forwarded_proto": true}));
    let request = Request::get(b"\xff\xfe.example", b"/\xff")
        .header("x-forwarded-proto", b"\xff")
        .header("\u{ff}", b"\x00\x01");
    assert!(passes(&mut proxy, request));
    assert_eq!(proxy.callouts(), []);
    assert_sound(&proxy);
}

#[test]
fn repeated_and_very_many_headers_change_nothing() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let mut request = Request::get(DOMAIN, "/");
    for index in 0..2_000 {
        request = request.header(&format!("x-{}", index % 1_100), "value");
    }
    let request = request.header(":authority", "b.example.com").header(":path", "/b");
    let location = b"https://a.example.com/".to_vec();
    assert_eq!(redirect_of(&mut proxy, request), Some((308, location)), "the first one counts");
    assert_sound(&proxy);
}

#[test]
fn requests_without_headers_pass() {
    let mut proxy = start(json!({}));
    assert!(passes(&mut proxy, Request::default()));
    assert!(passes(&mut proxy, Request::default().header(":path", "/")));
    assert!(passes(&mut proxy, Request::default().header(":authority", DOMAIN)));
    let mut https = start(json!({"listener": "https", "misdirected": true, "hsts": {}}));
    assert!(passes(&mut https, Request::default()));
    assert_sound(&proxy);
    assert_sound(&https);
}

#[test]
fn paths_of_60_kib_are_handled() {
    let mut proxy = start(json!({"exempt": {"prefix": ["/x"]}}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let long = "a".repeat(60 * 1_024 - 1);
    assert!(redirect_of(&mut proxy, Request::get(DOMAIN, format!("/{long}"))).is_some());
    let challenge = format!("/.well-known/acme-challenge/{long}");
    let stream = proxy.request(0, Request::get(DOMAIN, challenge));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(404));
    assert!(passes(&mut proxy, Request::get(&long, "/")));
    assert_sound(&proxy);
}

#[test]
fn bodies_and_uploads_wait_with_their_request() {
    let mut proxy = start(json!({}));
    let request = Request { has_body: true, ..Request::get(DOMAIN, "/").method("POST") };
    let stream = proxy.request(0, request);
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    assert_eq!(proxy.request_body(stream, b"x", true), Some(b"x".to_vec()), "not the filter's");
    answer(&mut proxy, ready(DOMAIN, 60));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(308));
    assert_sound(&proxy);
}

#[test]
fn responses_nobody_asked_for_and_ends_of_everything_are_survived() {
    let mut proxy = start(json!({}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert!(proxy.respond(stream, vec![]).is_empty(), "paused: no response yet");
    let callout = only_callout(&proxy);
    proxy.end(stream);
    proxy.end(stream);
    assert!(proxy.end_callout(callout.id, ready(DOMAIN, 60)));
    assert!(!proxy.end_callout(callout.id, ready(DOMAIN, 60)));
    proxy.advance(ms(10_000));
    assert_sound(&proxy);
}

#[test]
fn under_a_small_memory_limit_requests_still_pass() {
    let mut settings = sealwax_filter_tests::settings(&json!({"cache": {"entries": 4}}));
    settings.memory_bytes_max = 2 * 1_024 * 1_024;
    let mut proxy = crate::support::start_with(settings);
    let huge = vec![b'a'; 8 * 1_024 * 1_024];
    assert!(passes(&mut proxy, Request::get(DOMAIN, &huge)), "what does not fit is not read");
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    assert!(redirect_of(&mut proxy, Request::get(DOMAIN, "/")).is_some());
    assert_sound(&proxy);
}
