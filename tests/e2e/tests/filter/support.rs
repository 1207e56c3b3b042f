//! An Envoy whose filter or whose way to the control plane a test has changed.

use sealwax_testkit::{Envoy, EnvoyPorts, EnvoySettings, Line, PATIENCE, http, wait_until};

/// Another Envoy on the line, from what `sealwax envoy bootstrap` prints and `change` makes of it.
pub(crate) async fn envoy_with(
    line: &Line,
    workers: u8,
    change: impl FnOnce(String) -> String,
) -> Envoy {
    let settings = EnvoySettings {
        node_id: "edge-of-the-test".to_owned(),
        config: line.control_plane.config_file(),
        origin: line.origin.address(),
    };
    let ports = EnvoyPorts::free().unwrap();
    let yaml = change(Envoy::bootstrap(&ports, &settings).unwrap());
    Envoy::run_workers(&yaml, ports, workers).await.unwrap()
}

/// A text in which `place`, which is there exactly once, is `value`.
pub(crate) fn put(text: &str, place: &str, value: &str) -> String {
    assert_eq!(text.matches(place).count(), 1, "{place} in\n{text}");
    text.replacen(place, value, 1)
}

/// The bootstrap with more keys in the filter's configuration.
pub(crate) fn configure_filter(yaml: &str, more: &str) -> String {
    put(yaml, r#"{"cluster": "sealwax_edge","#, &format!(r#"{{"cluster": "sealwax_edge", {more},"#))
}

/// Gets `path` of `host` on new connections until each of Envoy's two workers has served one, and
/// returns every answer. The kernel chooses the worker, by the client's port.
pub(crate) async fn get_from_both_workers(
    envoy: &Envoy,
    host: &str,
    path: &str,
) -> Vec<http::Response> {
    let listener = format!("listener.{}", envoy.http().to_string().replace(':', "_"));
    let mut before = Vec::new();
    for worker in 0..2 {
        let name = format!("{listener}.worker_{worker}.downstream_cx_total");
        before.push((stat(envoy, &name).await, name));
    }
    let mut answers = Vec::new();
    let served = wait_until("both workers to serve", PATIENCE, async || {
        answers.push(http::get(envoy.http(), host, path).await.unwrap());
        for (connections, name) in &before {
            if stat(envoy, name).await == *connections {
                return None;
            }
        }
        Some(())
    });
    served.await.unwrap();
    answers
}

/// A statistic's value; 0 if Envoy does not keep it yet.
pub(crate) async fn stat(envoy: &Envoy, name: &str) -> u64 {
    envoy.stat(name).await.unwrap().unwrap_or(0)
}

/// Waits until one of the filter's counters has reached `least`: they are handed over once a tick.
pub(crate) async fn counted(envoy: &Envoy, name: &str, least: u64) -> u64 {
    let name = format!("wasmcustom.sealwax.{name}");
    let mut last = 0;
    let what = format!("{name} to be {least}");
    let reached = wait_until(&what, PATIENCE, async || {
        last = stat(envoy, &name).await;
        (last >= least).then_some(last)
    });
    let reached = reached.await;
    reached.unwrap_or_else(|error| panic!("{error:#}, it is {last}"))
}

/// How many callouts Envoy has made for the filter.
pub(crate) async fn callouts(envoy: &Envoy) -> u64 {
    stat(envoy, "cluster.sealwax_edge.upstream_rq_total").await
}
