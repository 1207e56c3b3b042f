//! The two sides: the control plane over its embedded store, and the trivial server. Each is a
//! process of its own, behind the same Envoy configuration.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::KeyPair;
use sealwax_core::certificate::{CertificateSource, Chain, verify};
use sealwax_core::record::{DomainRecord, Registration};
use sealwax_core::secret::{PrivateKey, SealPlace, Sealer as _};
use sealwax_core::store::{CertificateChange, Change, Expected, Store as _, StoredCertificate};
use sealwax_core::{Clock, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_store::seal::{KekSource, LocalKek, WhenMissing};
use sealwax_store::{DynamoStore, KeySealer, open_embedded};
use sealwax_system::SystemClock;
use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, Envoy, EnvoyPorts, EnvoySettings, LoopbackPki, Origin,
    PATIENCE, Port, Process, StoreSettings,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::certificates::Certificates;
use crate::programs::beside;
use sealwax_bench::trivial::Certificate;

/// The control plane, with every certificate in its store.
pub(super) struct Ours {
    control_plane: ControlPlane,
    origin: Origin,
    _folder: TempDir,
}

impl Ours {
    /// Starts it.
    pub(super) async fn start(certificates: &Certificates) -> Result<Self> {
        Self::start_with(certificates, "").await
    }

    /// The same with more keys in `[xds]`.
    pub(super) async fn start_with(certificates: &Certificates, keys: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // No certificate is ever ordered: nobody listens there.
        let ca_file = folder.path().join("root.pem");
        std::fs::write(&ca_file, LoopbackPki::generate()?.root_pem)?;
        let settings = ControlPlaneSettings {
            directory: "https://localhost:9/dir".to_owned(),
            ca_file,
            store: StoreSettings::Embedded,
            max_wait: "10s",
            more: String::new(),
        };
        let with_keys = |config: String| config.replace("[edge]\n", &format!("{keys}[edge]\n"));
        let mut control_plane = ControlPlane::start_changed(&settings, with_keys).await?;
        control_plane.terminate().await?;
        fill(&control_plane, certificates).await.context("filling the store")?;
        control_plane.restart().await?;
        Ok(Self { control_plane, origin: Origin::start().await?, _folder: folder })
    }

    /// Starts it again, with nothing in its memory.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.control_plane.terminate().await?;
        self.control_plane.restart().await
    }

    /// A new Envoy of it, with two workers.
    pub(super) async fn envoy(&self) -> Result<Envoy> {
        let ports = EnvoyPorts::free()?;
        let yaml = self.bootstrap(&ports)?;
        Envoy::run(&yaml, ports).await
    }

    fn bootstrap(&self, ports: &EnvoyPorts) -> Result<String> {
        let settings = EnvoySettings {
            node_id: "edge-1".to_owned(),
            config: self.control_plane.config_file(),
            origin: self.origin.address(),
        };
        Envoy::bootstrap(ports, &settings)
    }
}

/// The trivial server.
pub(super) struct Trivial {
    port: Port,
    _process: Process,
    _folder: TempDir,
}

impl Trivial {
    /// Starts it with the certificates in its memory.
    pub(super) async fn start(certificates: &Certificates) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("certificates.json");
        std::fs::write(&file, serde_json::to_vec(certificates.all())?)?;
        let port = Port::free()?;
        let log = folder.path().join("trivial.log");
        let arrange = |command: &mut Command| {
            command.arg(port.address().to_string()).arg(&file);
        };
        let mut process = Process::start("trivial-sds", &beside("trivial-sds")?, &log, arrange)?;
        let listens = async |_: &str| Ok(tokio::net::TcpStream::connect(port.address()).await?);
        process.ready("listen", PATIENCE, listens).await?;
        Ok(Self { port, _process: process, _folder: folder })
    }

    /// A new Envoy of it: what the control plane's would be, with another address for xDS.
    pub(super) async fn envoy(&self, ours: &Ours) -> Result<Envoy> {
        let ports = EnvoyPorts::free()?;
        let xds = format!("port_value: {}}}", ours.control_plane.xds().port());
        let yaml = ours.bootstrap(&ports)?;
        anyhow::ensure!(yaml.matches(&xds).count() == 1, "the bootstrap names xDS once");
        Envoy::run(&yaml.replace(&xds, &format!("port_value: {}}}", self.port)), ports).await
    }
}

async fn fill(control_plane: &ControlPlane, certificates: &Certificates) -> Result<()> {
    let folder = control_plane.folder();
    let store = open_embedded(&folder.join("store"), Arc::new(SystemClock)).await?;
    let kek = LocalKek::read(&KekSource::File(folder.join("kek")), WhenMissing::Refuse)?;
    let sealer = KeySealer::new(Arc::new(kek));
    for certificate in certificates.all() {
        put(&store, &sealer, certificate, Expected::Absent)
            .await
            .context(certificate.name.clone())?;
    }
    Ok(())
}

/// Stores a certificate as a replica would.
///
/// # Errors
/// The store or the certificate.
pub(crate) async fn put(
    store: &DynamoStore,
    sealer: &KeySealer,
    certificate: &Certificate,
    expected: Expected,
) -> Result<()> {
    let now: Timestamp = SystemClock.now();
    let domain = DomainName::parse(&certificate.name)?;
    let chain = Chain::from_pem(certificate.chain_pem.clone())?;
    let der = KeyPair::from_pem(&certificate.key_pem)?.serialize_der();
    let key = PrivateKey::new(Zeroizing::new(der));
    let facts = verify(&chain, &key, &domain, now, CertificateSource::Imported)?;
    let sealed = sealer.seal(SealPlace::Certificate(domain.as_str()), &key).await?;
    let record = DomainRecord {
        certificate: Some(facts),
        ..DomainRecord::registered(domain, Registration::default(), now)
    };
    let stored = StoredCertificate { chain, key: sealed };
    let change =
        Change { certificate: CertificateChange::Replace(stored), ..Change::of(record, expected) };
    store.write(change).await?;
    Ok(())
}
