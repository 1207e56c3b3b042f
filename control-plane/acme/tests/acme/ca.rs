//! The certificate authorities the contract is held against.

use std::process::Command;
use std::sync::Arc;

use sealwax_acme::{AcmeIssuer, ExternalAccountBinding, IssuerSettings};
use sealwax_core::Span;
use sealwax_fake_acme::{ExternalAccount, FakeAcme, Knobs};
use sealwax_testkit::{ChallengeDns, LoopbackPki, PATIENCE, Port, Process, tool};
use serde_json::json;
use tempfile::TempDir;

use crate::parts::{AccountStore, MarkingSealer, WallClock};
use crate::responder::Responder;

pub(crate) const KID: &str = "kid-1";
/// 32 bytes, base64url.
pub(crate) const HMAC_KEY: &str = "c2VhbHdheC10ZXN0LWhtYWMta2V5LTAxMjM0NTY3ODk";
pub(crate) const SHORT_PROFILE: &str = "shortlived";
/// What the short profile's certificates are valid for.
pub(crate) const SHORT_VALIDITY: Span = Span::from_secs(6 * 86_400);

/// What the contract asks of a CA.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands {
    pub(crate) nonces_refused_percent: u8,
    pub(crate) reuse_authorizations: bool,
    pub(crate) external_account: bool,
}

/// A CA, and the web server it validates at.
pub(crate) struct Ca {
    pub(crate) responder: Responder,
    directory: String,
    ca_file: Option<std::path::PathBuf>,
    _running: Running,
}

enum Running {
    Fake { _server: FakeAcme },
    Pebble { _process: Process, _dns: ChallengeDns, _folder: TempDir, _ports: [Port; 2] },
}

impl Ca {
    pub(crate) async fn fake(demands: Demands) -> Self {
        let responder = Responder::start().await;
        let mut knobs = Knobs {
            resolver: responder.address,
            nonces_refused_percent: demands.nonces_refused_percent.into(),
            reuse_authorizations: demands.reuse_authorizations,
            validation_looks: 1,
            processing_looks: 2,
            ..Knobs::default()
        };
        knobs.profiles.insert("default".to_owned(), knobs.validity);
        knobs.profiles.insert(SHORT_PROFILE.to_owned(), SHORT_VALIDITY);
        if demands.external_account {
            let binding = ExternalAccount { kid: KID.to_owned(), hmac_key: hmac_bytes() };
            knobs.external_account = Some(binding);
        }
        let server = FakeAcme::start(knobs, Arc::new(WallClock)).await.unwrap();
        let directory = server.directory();
        Self { responder, directory, ca_file: None, _running: Running::Fake { _server: server } }
    }

    pub(crate) async fn pebble(demands: Demands) -> Self {
        let responder = Responder::start().await;
        let folder = tempfile::tempdir().unwrap();
        let ports = [Port::free().unwrap(), Port::free().unwrap()];
        let [port, management] = &ports;
        let pki = LoopbackPki::generate().unwrap();
        let dns = ChallengeDns::start().await.unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca_file = file("root.pem", &pki.root_pem);
        let config = json!({ "pebble": {
            "listenAddress": port.address().to_string(),
            "managementListenAddress": management.address().to_string(),
            "certificate": file("certificate.pem", &pki.certificate_pem),
            "privateKey": file("key.pem", &pki.key_pem),
            "httpPort": responder.address.port(),
            "tlsPort": 9,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": demands.external_account,
            "externalAccountMACKeys": { KID: HMAC_KEY },
            "keyAlgorithm": "ecdsa",
            "profiles": {
                "default": { "description": "default", "validityPeriod": 90 * 86_400 },
                SHORT_PROFILE: {
                    "description": "six days", "validityPeriod": SHORT_VALIDITY.secs(),
                },
            },
        }});
        let config = file("pebble.json", &config.to_string());
        let reuse = if demands.reuse_authorizations { "100" } else { "0" };
        let arrange = |command: &mut Command| {
            command.arg("-config").arg(&config).arg("-dnsserver").arg(dns.address().to_string());
            command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", reuse);
            let percent = demands.nonces_refused_percent.to_string();
            command.env("PEBBLE_WFE_NONCEREJECT", percent);
        };
        let log = folder.path().join("pebble.log");
        let program = tool("pebble").unwrap();
        let mut process = Process::start("pebble", &program, &log, arrange).unwrap();
        let answers = async |_: &str| Ok(tokio::net::TcpStream::connect(port.address()).await?);
        process.ready("answer", PATIENCE, answers).await.unwrap();
        let directory = format!("https://localhost:{port}/dir");
        let running =
            Running::Pebble { _process: process, _dns: dns, _folder: folder, _ports: ports };
        Self { responder, directory, ca_file: Some(ca_file), _running: running }
    }

    pub(crate) fn settings(&self) -> IssuerSettings {
        let mut settings = IssuerSettings::new("ca-1", &self.directory);
        settings.contact = Some("ops@example.com".to_owned());
        settings.ca_file.clone_from(&self.ca_file);
        settings
    }

    pub(crate) fn issuer(&self) -> AcmeIssuer {
        self.issuer_with(self.settings(), &AccountStore::shared())
    }

    pub(crate) fn issuer_with(
        &self,
        settings: IssuerSettings,
        store: &Arc<AccountStore>,
    ) -> AcmeIssuer {
        let store: Arc<AccountStore> = Arc::clone(store);
        AcmeIssuer::new(settings, store, Arc::new(MarkingSealer), Arc::new(WallClock)).unwrap()
    }
}

/// Settings for a CA with a TLS root of its own.
pub(crate) fn settings_for(directory: &str, root: &std::path::Path) -> IssuerSettings {
    let mut settings = IssuerSettings::new("ca-1", directory);
    settings.ca_file = Some(root.to_owned());
    settings
}

pub(crate) fn binding(hmac_key: &str) -> Option<ExternalAccountBinding> {
    Some(ExternalAccountBinding::parse(KID, hmac_key).unwrap())
}

fn hmac_bytes() -> Vec<u8> {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(HMAC_KEY).unwrap()
}
