//! The `sealwax` binary.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{Admin, Edge, PATIENCE, Port, Process, TestClock, http, sealwax_binary};

const CONFIG: &str = "sealwax.toml";
/// moto takes any credentials, the SDK wants some.
const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// Where the control plane keeps its records.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// In its own folder.
    Embedded,
    /// At a DynamoDB endpoint.
    DynamoDb {
        /// Where it is.
        endpoint: SocketAddr,
    },
}

/// What a test sets; everything else keeps its default.
#[derive(Clone, Debug)]
pub struct ControlPlaneSettings {
    /// The ACME directory.
    pub directory: String,
    /// The root of the directory's TLS certificate.
    pub ca_file: PathBuf,
    /// The store.
    pub store: StoreSettings,
    /// How long a handshake waits for an issuance.
    pub max_wait: &'static str,
    /// More TOML, appended as it is.
    pub more: String,
}

/// A running control plane. Its ports, folder and keys stay the same across restarts.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    folder: TempDir,
    ports: Ports,
    clock: Option<Arc<TestClock>>,
}

#[derive(Debug)]
struct Ports {
    xds: Port,
    edge: Port,
    admin: Port,
}

impl ControlPlane {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// The binary is missing, refuses its configuration, or does not become ready.
    pub async fn start(settings: &ControlPlaneSettings) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, settings, |config| config).await
    }

    /// The same with another configuration file: what `change` makes of the usual one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_changed(
        settings: &ControlPlaneSettings,
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, settings, change).await
    }

    /// Starts another one over the same store: with the same keys, and a folder and ports of its
    /// own.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_beside(&self, settings: &ControlPlaneSettings) -> Result<Self> {
        self.start_beside_changed(settings, |config| config).await
    }

    /// The same with another configuration file: what `change` makes of the usual one.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_beside_changed(
        &self,
        settings: &ControlPlaneSettings,
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::copy(self.folder().join("kek"), folder.path().join("kek"))?;
        Self::start_in(folder, settings, change).await
    }

    async fn start_in(
        folder: TempDir,
        settings: &ControlPlaneSettings,
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        let ports = Ports { xds: Port::free()?, edge: Port::free()?, admin: Port::free()? };
        let config = change(config(settings, &ports, folder.path())?);
        std::fs::write(folder.path().join(CONFIG), config)?;
        if let StoreSettings::DynamoDb { .. } = settings.store {
            initialize_store(folder.path()).await?;
        }
        let process = spawn(folder.path(), None)?;
        let mut control_plane = Self { process, folder, ports, clock: None };
        control_plane.await_ready().await?;
        Ok(control_plane)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// It does not end.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate(PATIENCE).await
    }

    /// Starts it again with the same configuration, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn(self.folder.path(), self.clock.as_deref())?;
        self.await_ready().await
    }

    /// From its next start on it goes by this clock.
    pub fn set_clock(&mut self, clock: &Arc<TestClock>) {
        self.clock = Some(Arc::clone(clock));
    }

    /// Changes its configuration file, which counts from its next start on.
    ///
    /// # Errors
    /// The file has no `from`.
    pub fn reconfigure(&self, from: &str, to: &str) -> Result<()> {
        let file = self.config_file();
        let config = std::fs::read_to_string(&file)?;
        ensure!(config.contains(from), "no {from:?} in {config}");
        Ok(std::fs::write(&file, config.replace(from, to))?)
    }

    /// Starts it again and waits until it serves, ready or not: until it answers at all.
    ///
    /// # Errors
    /// It does not.
    pub async fn restart_unready(&mut self) -> Result<http::Response> {
        self.process.kill();
        self.process = spawn(self.folder.path(), self.clock.as_deref())?;
        let admin = self.ports.admin.address();
        let answers = async |_: &str| http::get(admin, "localhost", "/readyz").await;
        self.process.ready("answer", PATIENCE, answers).await
    }

    /// As [`Self::restart_unready`], with no AWS credentials anywhere but, if it is there, in the
    /// file `credentials` of its folder.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn restart_without_credentials(&mut self) -> Result<http::Response> {
        self.process.kill();
        let folder = self.folder.path().to_owned();
        let log = folder.join("sealwax.log");
        self.process = Process::start("sealwax", &sealwax_binary()?, &log, |command| {
            command.args(["serve", "--config", CONFIG]).current_dir(&folder);
            command.env("AWS_EC2_METADATA_DISABLED", "true");
            command.env("AWS_SHARED_CREDENTIALS_FILE", folder.join("credentials"));
            command.env("AWS_CONFIG_FILE", folder.join("aws-config"));
        })?;
        let admin = self.ports.admin.address();
        let answers = async |_: &str| http::get(admin, "localhost", "/readyz").await;
        self.process.ready("answer", PATIENCE, answers).await
    }

    /// Runs another command of the binary against this control plane.
    ///
    /// # Errors
    /// It cannot be started. What it answered is in the output.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::from(self.command(arguments)?);
        let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output());
        Ok(output.await.with_context(|| format!("sealwax {arguments:?} takes too long"))??)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// Where Envoy asks for certificates.
    #[must_use]
    pub const fn xds(&self) -> SocketAddr {
        self.ports.xds.address()
    }

    /// The edge API.
    #[must_use]
    pub const fn edge(&self) -> Edge {
        Edge::at(self.ports.edge.address())
    }

    /// Where the edge API is.
    #[must_use]
    pub const fn edge_address(&self) -> SocketAddr {
        self.ports.edge.address()
    }

    /// The admin API.
    #[must_use]
    pub const fn admin(&self) -> Admin {
        Admin::at(self.ports.admin.address())
    }

    /// Where the admin API is.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.ports.admin.address()
    }

    /// Its process.
    #[must_use]
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its configuration, keys and embedded store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(sealwax_binary()?);
        command
            .args(arguments)
            .env("SEALWAX_SERVER", format!("http://{}", self.admin_address()))
            .envs(CREDENTIALS)
            .current_dir(self.folder.path());
        Ok(command)
    }

    async fn await_ready(&mut self) -> Result<()> {
        let admin = self.ports.admin.address();
        let ready = async |_: &str| {
            let ready = http::get(admin, "localhost", "/readyz").await?;
            ensure!(ready.status == 200, "/readyz: {} {}", ready.status, ready.text());
            Ok(())
        };
        self.process.ready("be ready", PATIENCE, ready).await
    }
}

async fn initialize_store(folder: &Path) -> Result<()> {
    let mut command = tokio::process::Command::new(sealwax_binary()?);
    command.args(["store", "init", "--config", CONFIG]).current_dir(folder).envs(CREDENTIALS);
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.context("`sealwax store init` takes too long")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`sealwax store init`: {said}");
    Ok(())
}

fn spawn(folder: &Path, clock: Option<&TestClock>) -> Result<Process> {
    let log = folder.join("sealwax.log");
    Process::start("sealwax", &sealwax_binary()?, &log, |command| {
        command.args(["serve", "--config", CONFIG]).current_dir(folder);
        command.envs(CREDENTIALS);
        if let Some(clock) = clock {
            clock.arrange(command);
        }
    })
}

fn config(settings: &ControlPlaneSettings, ports: &Ports, folder: &Path) -> Result<String> {
    let mut toml = String::new();
    let store = match &settings.store {
        StoreSettings::Embedded => {
            format!("kind = \"embedded\"\npath = \"{}\"", folder.join("store").display())
        }
        StoreSettings::DynamoDb { endpoint } => format!(
            "kind = \"dynamodb\"\nregion = \"eu-central-1\"\nendpoint_url = \"http://{endpoint}\""
        ),
    };
    write!(
        toml,
        r#"
[xds]
listen = "{xds}"
[edge]
listen = "{edge}"
[admin]
listen = "{admin}"
[store]
{store}
[keys]
kek = "file:{kek}"
[[issuer]]
name = "pebble"
directory = "{directory}"
contact = "ops@example.com"
ca_file = "{ca_file}"
[issuance]
max_wait = "{max_wait}"
# A control plane that was killed is taken over from soon.
lease = "2s"
{more}
"#,
        xds = ports.xds.address(),
        edge = ports.edge.address(),
        admin = ports.admin.address(),
        kek = folder.join("kek").display(),
        directory = settings.directory,
        ca_file = settings.ca_file.display(),
        max_wait = settings.max_wait,
        more = settings.more,
    )?;
    Ok(toml)
}
