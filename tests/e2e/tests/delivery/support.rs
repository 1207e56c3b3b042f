//! The xDS server in this process, and Envoys of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sealwax_protocol::DomainName;
use sealwax_testkit::{
    Envoy, EnvoyPorts, EnvoySettings, Origin, PATIENCE, Served, TlsVisitor, wait_until,
};
use sealwax_xds::{CertificateSource, EdgeView, Lookup, ServedCertificate, XdsConfig, XdsServer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A chain and a key, PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    fn new() -> Self {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Delivery root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let root_pem = root.self_signed(&key).unwrap().pem();
        Self { root_pem, issuer: Issuer::new(root, key) }
    }

    pub(crate) fn pair(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let chain = leaf.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { chain, key: key.serialize_pem() }
    }
}

/// A certificate that an edge refused: its name, and the edge's own words.
type Refusal = (String, String);

/// Certificates by name, good or bad; right below a wildcard's domain, whatever is asked for.
#[derive(Default)]
struct Source {
    served: Mutex<HashMap<DomainName, Arc<ServedCertificate>>>,
    wildcard: Mutex<Option<Arc<ServedCertificate>>>,
    refusals: Mutex<Vec<Refusal>>,
}

#[async_trait]
impl CertificateSource for Source {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        self.peek(node_id, name).unwrap_or(Lookup::Absent)
    }

    fn peek(&self, _: &str, name: &DomainName) -> Option<Lookup> {
        if let Some(exact) = self.served.lock().unwrap().get(name) {
            return Some(Lookup::Ready(Arc::clone(exact)));
        }
        let wildcard = self.wildcard.lock().unwrap().clone();
        let covering = wildcard.filter(|wildcard| {
            name.as_str().split_once('.').is_some_and(|(_, of)| of == wildcard.name().as_str())
        });
        Some(covering.map_or(Lookup::Absent, Lookup::Ready))
    }

    fn rejected(&self, name: &DomainName, _: &str, _: &str, detail: &str) {
        self.refusals.lock().unwrap().push((name.to_string(), detail.to_owned()));
    }
}

/// The server, and what its Envoys need.
pub(crate) struct Delivery {
    pub(crate) authority: Authority,
    pub(crate) server: Arc<XdsServer>,
    source: Arc<Source>,
    origin: Origin,
    folder: TempDir,
    _stop: DropGuard,
}

impl Delivery {
    pub(crate) async fn start(adjust: impl FnOnce(&mut XdsConfig)) -> Self {
        let mut config = XdsConfig::default();
        adjust(&mut config);
        let source = Arc::new(Source::default());
        let server = Arc::new(XdsServer::new(config, Arc::clone(&source) as _));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let toml = format!("[xds]\nlisten = \"{}\"\n", listener.local_addr().unwrap());
        std::fs::write(folder.path().join("sealwax.toml"), toml).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&server).serve(listener, stop.clone()));
        Self {
            authority: Authority::new(),
            server,
            source,
            origin: Origin::start().await.unwrap(),
            folder,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn envoy(&self, node_id: &str, more: &[&str]) -> Envoy {
        let settings = EnvoySettings {
            node_id: node_id.to_owned(),
            config: self.folder.path().join("sealwax.toml"),
            origin: self.origin.address(),
        };
        let ports = EnvoyPorts::free().unwrap();
        let yaml = Envoy::bootstrap_with(&ports, &settings, more).unwrap();
        Envoy::run(&yaml, ports).await.unwrap()
    }

    pub(crate) fn visitor(&self) -> TlsVisitor {
        TlsVisitor::trusting(&self.authority.root_pem).unwrap()
    }

    /// Gives a name a good certificate.
    pub(crate) fn issue(&self, name: &str) {
        self.serve(name, &self.authority.pair(name));
    }

    /// Gives a name whatever this is.
    pub(crate) fn serve(&self, name: &str, pair: &Pair) {
        let certificate = served(name, pair);
        let name = certificate.name().clone();
        self.source.served.lock().unwrap().insert(name.clone(), certificate);
        self.server.changed(&name);
    }

    /// Serves every name right below `zone` with one certificate.
    pub(crate) fn serve_wildcard(&self, zone: &str) {
        let pair = self.authority.pair(&format!("*.{zone}"));
        *self.source.wildcard.lock().unwrap() = Some(served(zone, &pair));
    }

    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.source.refusals.lock().unwrap().clone()
    }

    /// What the server knows of an edge.
    pub(crate) fn view(&self, node_id: &str) -> EdgeView {
        let mut edges = self.server.edges().into_iter();
        edges.find(|edge| edge.node_id == node_id).expect("the edge is connected")
    }

    /// Waits until an edge holds no more than its budget.
    pub(crate) async fn settled(&self, node_id: &str) -> EdgeView {
        let within = wait_until("the edge to be within its budget", PATIENCE, async || {
            let view = self.view(node_id);
            (view.resident <= view.budget).then_some(view)
        });
        within.await.unwrap()
    }
}

fn served(name: &str, pair: &Pair) -> Arc<ServedCertificate> {
    let name = DomainName::parse(name).unwrap();
    let served = ServedCertificate::new(&name, pair.chain.as_bytes(), pair.key.as_bytes());
    Arc::new(served.unwrap())
}

/// Whether a handshake ended with the alert that says there is no certificate, not with a wait.
pub(crate) fn is_refused(outcome: &anyhow::Result<Served>) -> bool {
    let error = outcome.as_ref().err().map(|error| format!("{error:#}"));
    error.is_some_and(|error| error.contains("HandshakeFailure"))
}
