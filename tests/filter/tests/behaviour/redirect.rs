//! Redirects to HTTPS, and when there is none.

use sealwax_filter_tests::ready;
use serde_json::json;
use wasm_host::Request;

use crate::support::{assert_sound, passes, redirect_of, start, teach};

const DOMAIN: &str = "a.example.com";

#[test]
fn path_and_query_are_kept_byte_for_byte() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for path in [
        b"/".as_slice(),
        b"/a%20b/../c?d=e&f#g",
        b"//other.example/x",
        b"/\xff\xfe?\x80",
        b"/?u=https://b.example/",
    ] {
        let location = [b"https://a.example.com".as_slice(), path].concat();
        assert_eq!(redirect_of(&mut proxy, Request::get(DOMAIN, path)), Some((308, location)));
    }
    assert_sound(&proxy);
}

#[test]
fn the_host_is_canonical_and_the_port_is_the_configured_one() {
    let mut proxy = start(json!({"redirect": {"port": 8443}}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for host in ["a.example.com", "A.EXAMPLE.com", "a.example.com.", "a.example.com:8080"] {
        let location = b"https://a.example.com:8443/x".to_vec();
        assert_eq!(redirect_of(&mut proxy, Request::get(host, "/x")), Some((308, location)));
    }
    assert_eq!(proxy.callouts(), [], "one domain, however it is spelt");
    assert_sound(&proxy);
}

#[test]
fn the_status_is_configurable_and_so_is_redirecting_at_all() {
    for status in [301, 302, 307, 308] {
        let mut proxy = start(json!({"redirect": {"status": status}}));
        teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
        let redirect = redirect_of(&mut proxy, Request::get(DOMAIN, "/").method("POST"));
        assert_eq!(redirect.map(|(status, _)| status), Some(status));
    }
    let mut proxy = start(json!({"redirect": {"enabled": false}}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    assert_sound(&proxy);
}

#[test]
fn exempt_paths_pass_without_a_question() {
    let mut proxy = start(json!({"exempt": {"exact": ["/healthz"], "prefix": ["/internal/"]}}));
    for path in ["/healthz", "/healthz?full=1", "/internal/", "/internal/x/y"] {
        assert!(passes(&mut proxy, Request::get(DOMAIN, path)), "{path}");
    }
    assert_eq!(proxy.callouts(), []);
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for path in ["/healthz/", "/healthzz", "/internal", "/HEALTHZ"] {
        assert!(redirect_of(&mut proxy, Request::get(DOMAIN, path)).is_some(), "{path}");
    }
    assert_sound(&proxy);
}

#[test]
fn forwarded_https_is_believed_only_when_configured() {
    let forwarded = |value: &str| Request::get(DOMAIN, "/").header("x-forwarded-proto", value);
    let mut trusting = start(json!({"trust_forwarded_proto": true}));
    teach(&mut trusting, DOMAIN, ready(DOMAIN, 60));
    for value in ["https", "HTTPS", "https,http", "http, https"] {
        assert!(passes(&mut trusting, forwarded(value)), "{value}");
    }
    for value in ["http", "", "httpsx", "x https"] {
        assert!(redirect_of(&mut trusting, forwarded(value)).is_some(), "{value}");
    }
    let mut wary = start(json!({}));
    teach(&mut wary, DOMAIN, ready(DOMAIN, 60));
    assert!(redirect_of(&mut wary, forwarded("https")).is_some());
    assert_sound(&trusting);
    assert_sound(&wary);
}

#[test]
fn a_connection_that_is_already_tls_is_never_redirected() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/").sni(DOMAIN)));
    assert_sound(&proxy);
}

#[test]
fn what_cannot_stand_in_a_location_passes() {
    let mut proxy = start(json!({}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let long = format!("/{}", "a".repeat(65_535));
    for path in ["*", "http://a.example.com/", "/a\r\nset-cookie: x", "/a b", "", &long] {
        assert!(passes(&mut proxy, Request::get(DOMAIN, path)), "{path:?}");
    }
    let longest = format!("/{}", "a".repeat(65_534));
    assert!(redirect_of(&mut proxy, Request::get(DOMAIN, &longest)).is_some());
    assert_sound(&proxy);
}
