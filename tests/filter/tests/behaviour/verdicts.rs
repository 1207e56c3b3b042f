//! What the control plane says of a domain, and for how long that is believed.

use sealwax_filter_tests::{pending, ready, unknown};
use serde_json::json;
use wasm_host::{CalloutEnd, Outcome, Request};

use crate::support::{answer, assert_sound, ms, only_callout, passes, redirect_of, start, teach};

const DOMAIN: &str = "a.example.com";

#[test]
fn the_canonical_domain_is_asked_for_by_post() {
    let mut proxy = start(json!({"callout_timeout_ms": 700, "authority": "plane"}));
    proxy.request(0, Request::get("A.Example.COM.:8080", "/x"));
    let callout = only_callout(&proxy);
    assert_eq!(callout.header(":method"), "POST");
    assert_eq!(callout.header(":path"), "/edge/v1/certificates/a.example.com");
    assert_eq!(callout.header(":authority"), "plane");
    assert_eq!(callout.header("x-sealwax-host"), "");
    assert_eq!((callout.timeout_ms, callout.body.len()), (700, 0));
}

#[test]
fn a_verdict_is_believed_for_as_long_as_the_answer_says() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 30));
    proxy.advance(ms(29_800));
    assert!(redirect_of(&mut proxy, Request::get(DOMAIN, "/")).is_some());
    proxy.advance(ms(400));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.outcome(stream), Outcome::Paused, "asked again");
    answer(&mut proxy, unknown(60));
    assert_eq!(proxy.outcome(stream), Outcome::Continued);
    assert_sound(&proxy);
}

#[test]
fn lifetimes_have_a_default_and_a_limit() {
    let mut proxy = start(json!({"cache": {"default_ttl_s": 5, "ttl_max_s": 20}}));
    teach(&mut proxy, DOMAIN, CalloutEnd::response(403, r#"{"state":"denied"}"#));
    proxy.advance(ms(4_800));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    assert_eq!(proxy.callouts(), []);
    proxy.advance(ms(400));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 86_400));
    proxy.advance(ms(19_800));
    assert!(redirect_of(&mut proxy, Request::get(DOMAIN, "/")).is_some());
    proxy.advance(ms(400));
    proxy.request(0, Request::get(DOMAIN, "/"));
    only_callout(&proxy);
    assert_sound(&proxy);
}

#[test]
fn negative_verdicts_are_kept_too() {
    for end in [
        unknown(60),
        CalloutEnd::response(403, r#"{"state":"denied"}"#),
        CalloutEnd::response(409, r#"{"state":"failed","retry_after":30}"#),
        pending(30),
    ] {
        let mut proxy = start(json!({"cache": {"default_ttl_s": 30}}));
        teach(&mut proxy, DOMAIN, end);
        assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
        assert_eq!(proxy.callouts(), []);
        assert_sound(&proxy);
    }
}

#[test]
fn a_verdict_that_may_not_be_kept_still_serves_who_waited() {
    let mut proxy = start(json!({}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, ready(DOMAIN, 0));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(308));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    assert_sound(&proxy);
}

#[test]
fn unknown_domains_pass_or_are_404() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, unknown(60));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    let mut proxy = start(json!({"unknown_domain": "not_found"}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, unknown(60));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(404), "who waited");
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(404), "and who came later");
    assert_sound(&proxy);
}

#[test]
fn what_is_no_domain_name_passes_without_a_question() {
    let mut proxy = start(json!({"unknown_domain": "not_found"}));
    let long = format!("{}.example.com", "a".repeat(64));
    for host in
        ["192.0.2.1", "[::1]:80", "localhost", "", "a_b.example", "-a.example", "a..b", &long]
    {
        assert!(passes(&mut proxy, Request::get(host, "/")), "{host}");
    }
    let no_host = Request::default().header(":method", "GET").header(":path", "/");
    assert!(passes(&mut proxy, no_host));
    let connect = Request::default().header(":method", "CONNECT").header(":authority", DOMAIN);
    assert!(passes(&mut proxy, connect));
    assert_eq!(proxy.callouts(), []);
    assert_sound(&proxy);
}

#[test]
fn a_small_cache_forgets_and_asks_again() {
    let mut proxy = start(json!({"cache": {"entries": 4, "shared_slots": 0}}));
    let names: Vec<_> = (0..5).map(|index| format!("n{index}.example.com")).collect();
    for name in &names {
        teach(&mut proxy, name, ready(name, 60));
    }
    proxy.request(0, Request::get(&names[0], "/"));
    let callout = only_callout(&proxy);
    assert!(callout.header(":path").ends_with("n0.example.com"));
    assert!(redirect_of(&mut proxy, Request::get(&names[4], "/")).is_some());
    assert_sound(&proxy);
}

#[test]
fn a_clock_set_back_does_not_keep_verdicts_alive() {
    let mut proxy = start(json!({"cache": {"shared_slots": 0}}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 2));
    let now_ns = proxy.now_ns();
    proxy.set_clock_ns(now_ns - 3_600_000_000_000);
    proxy.advance(std::time::Duration::from_secs(3_603));
    proxy.request(0, Request::get(DOMAIN, "/"));
    only_callout(&proxy);
    assert_sound(&proxy);
}
