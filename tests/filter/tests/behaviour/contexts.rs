//! Several configurations in one VM, and callbacks that should not come.

use sealwax_filter_tests::{ready, settings};
use serde_json::json;
use wasm_host::{HostError, Outcome, Request};

use crate::support::{answer, assert_sound, ms, only_callout, passes, start, start_with, teach};

const DOMAIN: &str = "a.example.com";

const HTTPS: &str = r#"{"cluster":"edge","listener":"https","misdirected":true}"#;

#[test]
fn two_listeners_in_one_vm_each_keep_to_their_own_configuration() {
    let mut proxy = start_with(settings(&json!({})).workers(2));
    let https = proxy.add_plugin(HTTPS).unwrap();
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for worker in 0..2 {
        let plain = proxy.request(worker, Request::get(DOMAIN, "/"));
        assert_eq!(proxy.reply(plain).map(|reply| reply.status), Some(308));
        let secure =
            proxy.request_to(&https, worker, Request::get("b.example.com", "/").sni(DOMAIN));
        assert_eq!(proxy.reply(secure).map(|reply| reply.status), Some(421));
        proxy.end(plain);
        proxy.end(secure);
    }
    assert_eq!(proxy.callouts(), []);
    assert_sound(&proxy);
}

#[test]
fn a_configuration_that_is_replaced_leaves_nothing_behind() {
    let mut proxy = start(json!({}));
    let old = proxy.add_plugin(r#"{"cluster":"edge","redirect":{"status":302}}"#).unwrap();
    let waiting = proxy.request_to(&old, 0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.outcome(waiting), Outcome::Paused);
    proxy.end(waiting);
    let cancelled = only_callout(&proxy).id;
    proxy.remove_plugin(&old);
    assert!(!proxy.end_callout(cancelled, ready(DOMAIN, 60)));
    proxy.advance(ms(10_000));
    let new = proxy.add_plugin(r#"{"cluster":"edge","redirect":{"status":307}}"#).unwrap();
    let stream = proxy.request_to(&new, 0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, ready(DOMAIN, 60));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(307));
    assert_sound(&proxy);
}

#[test]
fn many_configurations_after_each_other_do_not_grow_memory() {
    let mut proxy = start(json!({}));
    let mut renew = |times: u32| {
        for _ in 0..times {
            let plugin = proxy.add_plugin(HTTPS).unwrap();
            let stream = proxy.request_to(&plugin, 0, Request::get(DOMAIN, "/").sni(DOMAIN));
            proxy.end(stream);
            proxy.remove_plugin(&plugin);
        }
        proxy.memory_bytes(0)
    };
    let before = renew(20);
    assert_eq!(renew(200), before);
}

#[test]
fn a_refused_second_configuration_leaves_the_first_at_work() {
    let mut proxy = start(json!({}));
    assert_eq!(proxy.add_plugin("{}"), Err(HostError::Refused));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert!(proxy.reply(stream).is_some());
    assert_sound(&proxy);
}

#[test]
fn callbacks_for_contexts_that_are_not_there_do_nothing() {
    let mut proxy = start(json!({}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    let context = stream.context();
    proxy.end(stream);
    let callout = only_callout(&proxy);
    for gone in [context, 0, 999, u32::MAX] {
        for (callback, arguments) in [
            ("proxy_on_delete", vec![gone]),
            ("proxy_on_response_headers", vec![gone, 1, 1]),
            ("proxy_on_tick", vec![gone]),
            ("proxy_on_http_call_response", vec![gone, 77, 1, 1, 0]),
            ("proxy_on_http_call_response", vec![1, 77, 1, 1, 0]),
            ("proxy_on_context_create", vec![gone, 888]),
            ("proxy_on_delete", vec![gone]),
        ] {
            proxy.rogue_callback(0, callback, &arguments);
            assert_eq!(proxy.trap(0), None, "{callback} {arguments:?}");
        }
        assert_eq!(proxy.rogue_callback(0, "proxy_on_configure", &[gone, 5]), Some(0));
        assert_eq!(proxy.rogue_callback(0, "proxy_on_request_headers", &[gone, 1, 1]), Some(0));
    }
    proxy.end_callout(callout.id, ready(DOMAIN, 60));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert!(proxy.reply(stream).is_some(), "well as before");
    assert_eq!(proxy.trap(0), None);
}

#[test]
fn callbacks_that_come_twice_are_survived() {
    let mut proxy = start(json!({}));
    let root = proxy.root();
    proxy.rogue_callback(0, "proxy_on_context_create", &[root, 0]);
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    let context = stream.context();
    proxy.rogue_callback(0, "proxy_on_context_create", &[context, root]);
    proxy.rogue_callback(0, "proxy_on_request_headers", &[context, 4, 1]);
    answer(&mut proxy, ready(DOMAIN, 60));
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(308));
    proxy.rogue_callback(0, "proxy_on_delete", &[context]);
    proxy.rogue_callback(0, "proxy_on_delete", &[context]);
    assert!(!passes(&mut proxy, Request::get(DOMAIN, "/")));
    assert_eq!(proxy.trap(0), None);
}
