//! The proxy the tests run the filter in.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use wasm_host::{CalloutEnd, CalloutRequest, Outcome, Program, Proxy, Request, Settings, StreamId};

/// The module, compiled once for all tests; a missing one fails each of them.
pub(crate) fn program() -> &'static Program {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    match PROGRAM.get_or_init(sealwax_filter_tests::program) {
        Ok(program) => program,
        Err(message) => panic!("{message}"),
    }
}

/// A proxy with one worker, configured with `more` besides the cluster.
pub(crate) fn start(more: Value) -> Proxy {
    start_with(sealwax_filter_tests::settings(&more))
}

pub(crate) fn start_with(settings: Settings) -> Proxy {
    Proxy::start(program(), settings).unwrap()
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The only callout in flight.
pub(crate) fn only_callout(proxy: &Proxy) -> CalloutRequest {
    let mut callouts = proxy.callouts();
    assert_eq!(callouts.len(), 1, "{callouts:?}");
    callouts.remove(0)
}

/// Ends the only callout in flight.
pub(crate) fn answer(proxy: &mut Proxy, end: CalloutEnd) -> CalloutRequest {
    let callout = only_callout(proxy);
    assert!(proxy.end_callout(callout.id, end));
    callout
}

/// Makes `domain` known to the first worker with `end`.
pub(crate) fn teach(proxy: &mut Proxy, domain: &str, end: CalloutEnd) {
    let stream = proxy.request(0, Request::get(domain, "/"));
    answer(proxy, end);
    proxy.end(stream);
}

/// Sends a request that is answered without a callout, and answers status and location.
pub(crate) fn redirect_of(proxy: &mut Proxy, request: Request) -> Option<(u32, Vec<u8>)> {
    let stream = proxy.request(0, request);
    let reply = proxy.reply(stream)?;
    let location = reply.header("location").unwrap_or_default().to_vec();
    Some((reply.status, location))
}

pub(crate) fn passes(proxy: &mut Proxy, request: Request) -> bool {
    let stream = proxy.request(0, request);
    proxy.outcome(stream) == Outcome::Continued
}

/// What every test ends with: nothing broke, nothing was done twice.
pub(crate) fn assert_sound(proxy: &Proxy) {
    assert_eq!(proxy.trap(0), None);
    assert_eq!(proxy.violations(), []);
}

pub(crate) fn outcomes(proxy: &mut Proxy, streams: &[StreamId]) -> Vec<Outcome> {
    streams.iter().map(|stream| proxy.outcome(*stream)).collect()
}
