//! Over what an Envoy reaches the control plane.

use std::path::Path;

use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, Envoy, EnvoyPorts, EnvoySettings, LoopbackPki, Origin,
    PATIENCE, Pebble, PebbleSettings, StoreSettings, TlsVisitor, http, sealwax_binary, wait_until,
};

use crate::support::is_refused;

/// Everything, with mutual TLS between Envoy and the control plane.
struct Secured {
    control_plane: ControlPlane,
    pebble: Pebble,
    origin: Origin,
    certs: tempfile::TempDir,
}

impl Secured {
    /// The CA validates at this port of some Envoy.
    async fn start(http_port: u16) -> Self {
        let certs = tempfile::tempdir().unwrap();
        make_certs(certs.path(), "edge-1", &[]).await;
        let pebble = Pebble::start(PebbleSettings::validating_at(http_port)).await.unwrap();
        let settings = ControlPlaneSettings {
            directory: pebble.directory(),
            ca_file: pebble.tls_root_file(),
            store: StoreSettings::Embedded,
            max_wait: "20s",
            more: String::new(),
        };
        let at = |file: &str| certs.path().join(file).display().to_string();
        let tls = format!(
            "tls_cert_file = {:?}\ntls_key_file = {:?}\nclient_ca_file = {:?}\n",
            at("control-plane.pem"),
            at("control-plane.key"),
            at("ca.pem"),
        );
        let secure = |config: String| {
            let config = config.replace("[edge]\n", &format!("{tls}[edge]\n"));
            config.replace("[admin]\n", &format!("{tls}[admin]\n"))
        };
        let control_plane = ControlPlane::start_changed(&settings, secure).await.unwrap();
        Self { control_plane, pebble, origin: Origin::start().await.unwrap(), certs }
    }

    /// An Envoy's bootstrap, with the certificate of `node_id`.
    fn bootstrap(&self, ports: &EnvoyPorts, node_id: &str) -> String {
        let settings = EnvoySettings {
            node_id: node_id.to_owned(),
            config: self.control_plane.config_file(),
            origin: self.origin.address(),
        };
        let certs = self.certs.path().to_str().unwrap();
        Envoy::bootstrap_with(ports, &settings, &["--certs", certs]).unwrap()
    }
}

async fn make_certs(folder: &Path, node_id: &str, more: &[&str]) {
    let output = tokio::process::Command::new(sealwax_binary().unwrap())
        .args(["envoy", "certs", "--edge", node_id, "--out"])
        .arg(folder)
        .args(more)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn over_mutual_tls_a_certificate_is_issued_and_served_and_a_wrong_identity_gets_nothing() {
    let ports = EnvoyPorts::free().unwrap();
    let line = Secured::start(ports.http().port()).await;
    let yaml = line.bootstrap(&ports, "edge-1");
    let envoy = Envoy::run(&yaml, ports).await.unwrap();
    let visitor = TlsVisitor::trusting(line.pebble.root_pem()).unwrap();
    let domain = "blog.example.com";
    line.control_plane.admin().register(domain).await.unwrap();
    // The challenge comes over the edge API, the certificate over xDS: both through TLS.
    let served = visitor.visit(envoy.https(), domain).await.unwrap();

    // The same certificate, another name.
    let ports = EnvoyPorts::free().unwrap();
    let yaml = line.bootstrap(&ports, "edge-1").replace("id: \"edge-1\"", "id: \"edge-2\"");
    let impostor = Envoy::run(&yaml, ports).await.unwrap();
    // Envoy says who it is with its first question, which a handshake has it ask.
    let (client, https) = (visitor.clone(), impostor.https());
    let parked = tokio::spawn(async move { client.visit(https, "blog.example.com").await });
    let refused = wait_until("the impostor to be refused", PATIENCE, async || {
        line.control_plane.log().contains("not who its certificate says").then_some(())
    });
    refused.await.unwrap();
    let metrics = http::get(line.control_plane.admin_address(), "localhost", "/metrics");
    assert!(metrics.await.unwrap().text().contains("\nsealwax_edges 1\n"));
    assert!(!parked.is_finished(), "it was given something");
    parked.abort();
    drop(impostor);

    // The control plane's certificate is replaced while it runs.
    let trusted = std::fs::read_to_string(line.certs.path().join("ca.pem")).unwrap();
    let private = TlsVisitor::trusting(&trusted).unwrap();
    let shown = async || {
        private.visit(line.control_plane.xds(), "sealwax-control-plane").await.unwrap().serial
    };
    let before = shown().await;
    make_certs(line.certs.path(), "edge-3", &["--renew"]).await;
    let reloaded = wait_until("the new certificate to be shown", PATIENCE, async || {
        (shown().await != before).then_some(())
    });
    reloaded.await.unwrap();
    let ports = EnvoyPorts::free().unwrap();
    let yaml = line.bootstrap(&ports, "edge-3");
    let third = Envoy::run(&yaml, ports).await.unwrap();
    assert_eq!(visitor.visit(third.https(), domain).await.unwrap(), served);
    assert_eq!(visitor.visit(envoy.https(), domain).await.unwrap(), served);

    let log = line.control_plane.log();
    let keys = ["ca.key", "control-plane.key", "edge-edge-1.key", "edge-edge-3.key"];
    for key in keys.map(|file| std::fs::read_to_string(line.certs.path().join(file)).unwrap()) {
        assert!(!log.contains(key.lines().nth(1).unwrap()), "a key is in the log");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn over_unix_sockets_an_envoy_is_served_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let root_pem = LoopbackPki::generate().unwrap().root_pem;
    let ca_file = folder.path().join("root.pem");
    std::fs::write(&ca_file, &root_pem).unwrap();
    let settings = ControlPlaneSettings {
        // No certificate is ordered: nobody listens there.
        directory: "https://localhost:9/dir".to_owned(),
        ca_file,
        store: StoreSettings::Embedded,
        max_wait: "10s",
        more: String::new(),
    };
    let on_sockets = |config: String| {
        ["xds", "edge"].into_iter().fold(config, |config, section| {
            let (before, after) = config.split_once(&format!("[{section}]\n")).unwrap();
            let (_, rest) = after.split_once('\n').unwrap();
            let socket = folder.path().join(section).display().to_string();
            format!("{before}[{section}]\nlisten = \"unix:{socket}\"\n{rest}")
        })
    };
    let control_plane = ControlPlane::start_changed(&settings, on_sockets).await.unwrap();
    let origin = Origin::start().await.unwrap();
    let settings = EnvoySettings {
        node_id: "edge-1".to_owned(),
        config: control_plane.config_file(),
        origin: origin.address(),
    };
    let envoy = Envoy::start(EnvoyPorts::free().unwrap(), &settings).await.unwrap();

    // xDS: an unknown name is refused at once, not after a wait for nobody.
    let visitor = TlsVisitor::trusting(&root_pem).unwrap();
    let attempt = visitor.handshake(envoy.https(), "nobody.example.com").await;
    assert!(is_refused(&attempt.outcome), "{:?}", attempt.outcome);
    // The edge API: a challenge it does not know.
    let path = "/.well-known/acme-challenge/Zm9yZ2VkLXRva2VuLW9mLWEtZ29vZC1sZW5ndGg";
    let answer = http::get(envoy.http(), "blog.example.com", path).await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.text());
}
