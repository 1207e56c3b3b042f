//! The test kit against the real Envoy and Pebble, with nobody at the control plane's addresses.

use std::path::Path;

use anyhow::Result;
use sealwax_testkit::{
    Envoy, EnvoyPorts, EnvoySettings, Moto, Origin, PATIENCE, Pebble, PebbleSettings, Port,
    TcpProxy, TlsVisitor, filter_module, http, validate, wait_until,
};

/// A control plane's configuration, with nobody at its addresses.
fn absent(folder: &Path, origin: &Origin) -> Result<(EnvoySettings, [Port; 2])> {
    let (xds, edge) = (Port::free()?, Port::free()?);
    let config = folder.join("sealwax.toml");
    let listeners = [("xds", &xds), ("edge", &edge)];
    let toml = listeners.map(|(name, port)| format!("[{name}]\nlisten = \"{}\"\n", port.address()));
    std::fs::write(&config, toml.concat())?;
    let node_id = "edge-1".to_owned();
    Ok((EnvoySettings { node_id, config, origin: origin.address() }, [xds, edge]))
}

fn bootstrap() -> Result<String> {
    let filter = filter_module()?.display().to_string();
    Ok(Envoy::bootstrap_file()?.replace("target/sealwax_filter.wasm", &filter))
}

#[test]
fn envoy_accepts_the_bootstrap_that_users_read_with_the_built_filter() {
    validate(&bootstrap().unwrap()).unwrap();
}

#[test]
fn a_misspelt_key_of_the_filter_is_refused_by_name() {
    let yaml = bootstrap().unwrap();
    let misspelt = yaml.replace(r#""redirect""#, r#""redirekt""#);
    assert_ne!(yaml, misspelt);
    let refused = validate(&misspelt).unwrap_err().to_string();
    assert!(refused.contains("redirekt"), "{refused}");
}

#[test]
fn resumption_has_to_be_off_for_the_selector_to_load() {
    let yaml = bootstrap().unwrap();
    let resuming = yaml.replace("disable_stateful_session_resumption: true", "");
    assert_ne!(yaml, resuming);
    assert!(validate(&resuming).is_err());
}

#[tokio::test]
async fn envoy_without_a_control_plane_still_brings_requests_to_the_origin() {
    let origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (settings, _held) = absent(folder.path(), &origin).unwrap();
    let envoy = Envoy::start(EnvoyPorts::free().unwrap(), &settings).await.unwrap();

    let answer = http::get(envoy.http(), "blog.example.com", "/a?b=c").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "origin: blog.example.com/a?b=c\n");

    let tried = "cluster.sealwax_edge.upstream_cx_connect_fail";
    let asked = wait_until("the filter to have asked the control plane", PATIENCE, async || {
        envoy.stat(tried).await.ok().flatten().filter(|count| *count > 0)
    });
    asked.await.unwrap();
    assert_eq!(envoy.stat("sds.no.such").await.unwrap(), None);
}

#[tokio::test]
async fn two_envoys_run_side_by_side() {
    let origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (settings, _held) = absent(folder.path(), &origin).unwrap();
    let other = EnvoySettings { node_id: "edge-2".to_owned(), ..settings.clone() };
    let mut first = Envoy::start(EnvoyPorts::free().unwrap(), &settings).await.unwrap();
    let second = Envoy::start(EnvoyPorts::free().unwrap(), &other).await.unwrap();
    for envoy in [&first, &second] {
        assert_eq!(http::get(envoy.http(), "a.example.com", "/").await.unwrap().status, 200);
    }
    first.process().kill();
    assert!(http::get(first.http(), "a.example.com", "/").await.is_err());
    assert_eq!(http::get(second.http(), "a.example.com", "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn pebble_answers_and_forgets_everything_when_killed() {
    let mut pebble = Pebble::start(PebbleSettings::validating_at(9)).await.unwrap();
    assert_eq!((pebble.orders(), pebble.certificates()), (0, 0));
    let root = pebble.root_pem().to_owned();
    TlsVisitor::trusting(&root).unwrap();

    // Its own TLS certificate is verified against the test's PKI, not against what it issues.
    let pki = std::fs::read_to_string(pebble.tls_root_file()).unwrap();
    let visitor = TlsVisitor::trusting(&pki).unwrap();
    visitor.visit(pebble.address(), "localhost").await.unwrap();
    let stranger = TlsVisitor::trusting(&root).unwrap();
    let refused = stranger.visit(pebble.address(), "localhost").await.unwrap_err();
    assert!(format!("{refused:#}").contains("UnknownIssuer"), "{refused:#}");

    pebble.kill();
    assert!(visitor.visit(pebble.address(), "localhost").await.is_err());
    pebble.restart().await.unwrap();
    visitor.visit(pebble.address(), "localhost").await.unwrap();
    assert_ne!(pebble.root_pem(), root, "a new Pebble is a new certificate authority");
}

#[tokio::test]
async fn the_dns_server_can_be_told_to_fail_for_a_name() {
    let pebble = Pebble::start(PebbleSettings::validating_at(9)).await.unwrap();
    pebble.dns().forget("gone.example.com").await.unwrap();
}

#[tokio::test]
async fn a_proxy_passes_holds_and_cuts() {
    let origin = Origin::start().await.unwrap();
    let proxy = TcpProxy::start(origin.address()).await.unwrap();
    let get = || http::get(proxy.address(), "a.example.com", "/");
    assert_eq!(get().await.unwrap().status, 200);

    proxy.hold();
    let held = tokio::spawn(http::get(proxy.address(), "a.example.com", "/held"));
    wait_until("the held connection", PATIENCE, async || (proxy.accepted() == 2).then_some(()))
        .await
        .unwrap();
    assert!(!held.is_finished());
    proxy.pass();
    assert_eq!(held.await.unwrap().unwrap().text(), "origin: a.example.com/held\n");

    proxy.cut();
    assert!(get().await.is_err());
    proxy.pass();
    assert_eq!(get().await.unwrap().status, 200);
}

#[tokio::test]
async fn moto_answers() {
    let moto = Moto::start().await.unwrap();
    let answer = http::get(moto.address(), "localhost", "/moto-api/").await.unwrap();
    assert_eq!(answer.status, 200);
}
