//! Configurations the module takes, and how it refuses others.

use serde_json::json;
use wasm_host::{Fault, HostError, Proxy, Settings, Status};

use crate::support::{program, start};

#[test]
fn a_refused_configuration_stops_the_start() {
    for configuration in
        ["", "{", "{}", r#"{"cluster":""}"#, r#"{"cluster":"edge","x":1}"#, "\u{0}\u{1}"]
    {
        let refused = Proxy::start(program(), Settings::new(configuration)).err();
        assert_eq!(refused, Some(HostError::Refused), "{configuration:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_not_defaulted() {
    let settings = sealwax_filter_tests::settings(&json!({}))
        .fault(Fault::always("proxy_get_buffer_bytes", Status::InternalFailure));
    assert_eq!(Proxy::start(program(), settings).err(), Some(HostError::Refused));
}

#[test]
fn every_callback_it_exports_is_one_it_needs() {
    let mut callbacks: Vec<_> =
        program().exports().into_iter().filter(|name| name.starts_with("proxy_on_")).collect();
    callbacks.sort();
    assert_eq!(
        callbacks,
        [
            "proxy_on_configure",
            "proxy_on_context_create",
            "proxy_on_delete",
            "proxy_on_http_call_response",
            "proxy_on_request_headers",
            "proxy_on_response_headers",
            "proxy_on_tick",
        ]
    );
}

#[test]
fn a_quiet_start_logs_nothing() {
    assert!(start(json!({})).logs(0).is_empty());
}
