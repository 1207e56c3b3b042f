//! All parts at once, wired as `make demo` wires them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    BentCa, ControlPlane, ControlPlaneSettings, Envoy, EnvoyPorts, EnvoySettings, Origin, PATIENCE,
    Pebble, PebbleSettings, StoreSettings, TcpProxy, TlsVisitor,
};

/// What a test sets about the line.
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// The store.
    pub store: StoreSettings,
    /// How long a handshake waits for an issuance.
    pub max_wait: &'static str,
    /// More TOML for the control plane.
    pub more: String,
    /// More keys of its one `[[issuer]]`.
    pub issuer: &'static str,
    /// Domains are looked at before their orders, as Pebble does it.
    pub preflight: bool,
    /// Out of 100 good nonces, how many Pebble refuses.
    pub nonces_refused_percent: u8,
    /// A [`BentCa`] stands in front of Pebble.
    pub bent: bool,
}

impl Default for LineSettings {
    fn default() -> Self {
        Self {
            store: StoreSettings::Embedded,
            max_wait: "10s",
            more: String::new(),
            issuer: "",
            preflight: false,
            nonces_refused_percent: 5,
            bent: false,
        }
    }
}

/// Pebble, an origin, the control plane and one Envoy.
///
/// Fields drop in order: whoever calls ends before whom it calls, so that the logs of an ending
/// line hold no complaints.
#[derive(Debug)]
pub struct Line {
    /// The first Envoy.
    pub envoy: Envoy,
    /// The control plane.
    pub control_plane: ControlPlane,
    /// The certificate authority.
    pub pebble: Pebble,
    /// Between Pebble and Envoy's HTTP listener: what a validation comes through.
    pub validations: TcpProxy,
    /// Between the control plane and Pebble.
    pub to_ca: TcpProxy,
    /// If it was wanted: bends what Pebble says, or its staging if there is one.
    pub bent: Option<BentCa>,
    /// The application.
    pub origin: Origin,
}

impl Line {
    /// Starts the parts and waits until each is ready.
    ///
    /// # Errors
    /// A part is missing or does not come up.
    pub async fn start(settings: LineSettings) -> Result<Self> {
        Self::start_telling(settings, |_, _| {}).await
    }

    /// The same with a second Pebble, which is the staging of the first one. A [`BentCa`] that is
    /// wanted stands in front of that one.
    ///
    /// # Errors
    /// A part is missing or does not come up.
    pub async fn start_with_staging(mut settings: LineSettings) -> Result<(Self, Pebble)> {
        let ports = EnvoyPorts::free()?;
        let validations = TcpProxy::start(ports.http()).await?;
        let ca = PebbleSettings::validating_at(validations.address().port());
        let staging = Pebble::start(ca).await?;
        let bent = std::mem::take(&mut settings.bent);
        let bent = if bent { Some(BentCa::start(&staging).await?) } else { None };
        let address = bent.as_ref().map_or_else(|| staging.address(), BentCa::address);
        let (directory, roots) = (staging.directory_at(address), staging.tls_root_file());
        let more = format!(
            "staging_directory = \"{directory}\"\nstaging_ca_file = \"{}\"\n",
            roots.display()
        );
        let mut line = Self::assemble(settings, &more, ports, validations, |_, _| {}).await?;
        line.bent = bent;
        Ok((line, staging))
    }

    /// The same as [`Self::start`], and tells which part is ready, and where it is.
    ///
    /// # Errors
    /// A part is missing or does not come up.
    pub async fn start_telling(
        settings: LineSettings,
        tell: impl FnMut(&str, &str),
    ) -> Result<Self> {
        let ports = EnvoyPorts::free()?;
        let validations = TcpProxy::start(ports.http()).await?;
        Self::assemble(settings, "", ports, validations, tell).await
    }

    /// `issuer`: more keys of the one `[[issuer]]` there is.
    async fn assemble(
        settings: LineSettings,
        issuer: &str,
        ports: EnvoyPorts,
        validations: TcpProxy,
        mut tell: impl FnMut(&str, &str),
    ) -> Result<Self> {
        let origin = Origin::start().await?;
        let mut ca = PebbleSettings::validating_at(validations.address().port());
        ca.nonces_refused_percent = settings.nonces_refused_percent;
        tell("origin", &format!("http://{}", origin.address()));
        let pebble = Pebble::start(ca).await?;
        tell("Pebble, an ACME test CA", &pebble.directory());
        let bent = if settings.bent { Some(BentCa::start(&pebble).await?) } else { None };
        let ca_address = bent.as_ref().map_or_else(|| pebble.address(), BentCa::address);
        let to_ca = TcpProxy::start(ca_address).await?;
        let mut more = settings.more;
        if settings.preflight {
            let (dns, port) = (pebble.dns().address(), validations.address().port());
            more.push_str(&format!(
                "[preflight]\nenabled = true\nresolvers = \"{dns}\"\nport = {port}\n"
            ));
        }
        let configured = ControlPlaneSettings {
            directory: pebble.directory_at(to_ca.address()),
            ca_file: pebble.tls_root_file(),
            store: settings.store,
            max_wait: settings.max_wait,
            more,
        };
        let with = format!("[[issuer]]\n{}{issuer}", settings.issuer);
        let control_plane = ControlPlane::start_changed(&configured, |config| {
            let config = config.replacen("[[issuer]]\n", &with, 1);
            // What a look holds domains against is what their owners are told to point them at.
            let public = "[edge]\npublic = \"127.0.0.1\"\n";
            if settings.preflight { config.replace("[edge]\n", public) } else { config }
        })
        .await?;
        tell("control plane", &format!("http://{} (admin API)", control_plane.admin_address()));
        let envoy = envoy(&control_plane, &origin, "edge-1", ports).await?;
        tell("Envoy", &format!("http://{} and https://{}", envoy.http(), envoy.https()));
        Ok(Self { envoy, control_plane, pebble, validations, to_ca, bent, origin })
    }

    /// Another Envoy on the same control plane.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn another_envoy(&self, node_id: &str) -> Result<Envoy> {
        envoy(&self.control_plane, &self.origin, node_id, EnvoyPorts::free()?).await
    }

    /// A client that trusts what this line's certificate authority issues.
    ///
    /// # Errors
    /// Pebble's root is no certificate.
    pub fn visitor(&self) -> Result<TlsVisitor> {
        TlsVisitor::trusting(self.pebble.root_pem())
    }

    /// Registers a domain whose one address is somewhere else, and has it asked for in a handshake;
    /// until it is refused.
    ///
    /// # Errors
    /// It is not.
    pub async fn refuse_elsewhere(&self, domain: &str, address: IpAddr) -> Result<Value> {
        self.pebble.dns().point(domain, &[address]).await?;
        let admin = self.control_plane.admin();
        admin.register(domain).await?;
        ensure!(self.visitor()?.visit(self.https(), domain).await.is_err(), "{domain} is served");
        admin.await_state(domain, "refused", PATIENCE).await
    }

    /// Where HTTPS is served.
    #[must_use]
    pub const fn https(&self) -> SocketAddr {
        self.envoy.https()
    }
}

async fn envoy(
    control_plane: &ControlPlane,
    origin: &Origin,
    node_id: &str,
    ports: EnvoyPorts,
) -> Result<Envoy> {
    let settings = EnvoySettings {
        node_id: node_id.to_owned(),
        config: control_plane.config_file(),
        origin: origin.address(),
    };
    Envoy::start(ports, &settings).await
}
