//! A running Envoy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{PATIENCE, Port, Process, checkout, filter_module, http, sealwax_binary, tool};

/// The ports an Envoy listens on. Chosen before it starts: others name them.
#[derive(Debug)]
pub struct EnvoyPorts {
    admin: Port,
    http: Port,
    https: Port,
}

impl EnvoyPorts {
    /// Three free ports.
    ///
    /// # Errors
    /// There are none.
    pub fn free() -> Result<Self> {
        Ok(Self { admin: Port::free()?, http: Port::free()?, https: Port::free()? })
    }

    /// Plain HTTP.
    #[must_use]
    pub const fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// HTTPS.
    #[must_use]
    pub const fn https(&self) -> SocketAddr {
        self.https.address()
    }

    /// The admin interface.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin.address()
    }
}

/// Whom an Envoy talks to.
#[derive(Clone, Debug)]
pub struct EnvoySettings {
    /// Its identity.
    pub node_id: String,
    /// The control plane's configuration.
    pub config: PathBuf,
    /// The application.
    pub origin: SocketAddr,
}

/// A running Envoy with the filter on its HTTP listener.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    _folder: TempDir,
    ports: EnvoyPorts,
}

impl Envoy {
    /// The bootstrap that users read, with nothing filled in.
    ///
    /// # Errors
    /// It is not in the checkout.
    pub fn bootstrap_file() -> Result<String> {
        let path = checkout()?.join("envoy/bootstrap.yaml");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What `sealwax envoy bootstrap` prints for it.
    ///
    /// # Errors
    /// A part is missing, or the program refuses.
    pub fn bootstrap(ports: &EnvoyPorts, settings: &EnvoySettings) -> Result<String> {
        bootstrap(ports, settings, &[])
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// As [`Self::bootstrap`].
    pub fn bootstrap_with(
        ports: &EnvoyPorts,
        settings: &EnvoySettings,
        more: &[&str],
    ) -> Result<String> {
        bootstrap(ports, settings, more)
    }

    /// Starts an Envoy from what `sealwax envoy bootstrap` prints for it.
    ///
    /// # Errors
    /// A part is missing, or Envoy refuses its configuration.
    pub async fn start(ports: EnvoyPorts, settings: &EnvoySettings) -> Result<Self> {
        let yaml = bootstrap(&ports, settings, &[])?;
        Self::run(&yaml, ports).await
    }

    /// Starts an Envoy of two workers from a complete bootstrap that names these ports.
    ///
    /// # Errors
    /// Envoy is missing or refuses its configuration.
    pub async fn run(yaml: &str, ports: EnvoyPorts) -> Result<Self> {
        Self::run_workers(yaml, ports, 2).await
    }

    /// The same with another number of workers.
    ///
    /// # Errors
    /// Envoy is missing or refuses its configuration.
    pub async fn run_workers(yaml: &str, ports: EnvoyPorts, workers: u8) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("envoy.yaml");
        std::fs::write(&config, yaml)?;
        let log = folder.path().join("envoy.log");
        let arrange = |command: &mut Command| {
            command.arg("--config-path").arg(&config);
            command.args(["--use-dynamic-base-id", "--log-level", "info", "--concurrency"]);
            command.arg(workers.to_string());
        };
        let mut process = Process::start("envoy", &tool("envoy")?, &log, arrange)?;
        let admin = ports.admin.address();
        let live = async |_: &str| {
            let ready = http::get(admin, "localhost", "/ready").await?;
            ensure!(ready.status == 200, "/ready: {}", ready.text());
            Ok(())
        };
        process.ready("be live", PATIENCE, live).await?;
        Ok(Self { process, _folder: folder, ports })
    }

    /// Plain HTTP.
    #[must_use]
    pub const fn http(&self) -> SocketAddr {
        self.ports.http.address()
    }

    /// HTTPS.
    #[must_use]
    pub const fn https(&self) -> SocketAddr {
        self.ports.https.address()
    }

    /// The admin interface.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.ports.admin.address()
    }

    /// A statistic's value; `None` if Envoy does not keep it (yet).
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub async fn stat(&self, name: &str) -> Result<Option<u64>> {
        let path = format!("/stats?filter=^{}$", name.replace('.', "\\."));
        let text = http::get(self.admin(), "localhost", &path).await?.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::parse).transpose().with_context(|| format!("{name} is no number: {text}"))
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
}

/// Lets Envoy check a bootstrap, the filter's configuration included, without serving.
///
/// # Errors
/// Envoy refuses it; with what Envoy says.
pub fn validate(yaml: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("envoy.yaml");
    std::fs::write(&config, yaml)?;
    let output = envoy_validating(&config)?.output()?;
    if !output.status.success() {
        bail!("envoy refuses it: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn bootstrap(ports: &EnvoyPorts, settings: &EnvoySettings, more: &[&str]) -> Result<String> {
    let output = Command::new(sealwax_binary()?)
        .args(["envoy", "bootstrap", "--bind", "127.0.0.1", "--edge", &settings.node_id])
        .arg("--config")
        .arg(&settings.config)
        .args(["--http-port", &ports.http.to_string()])
        .args(["--https-port", &ports.https.to_string()])
        .args(["--admin", &ports.admin.address().to_string()])
        .args(["--origin", &settings.origin.to_string()])
        .arg("--wasm")
        .arg(filter_module()?)
        .args(more)
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sealwax envoy bootstrap: {}: {told}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn envoy_validating(config: &Path) -> Result<Command> {
    let mut command = Command::new(tool("envoy")?);
    command.args(["--mode", "validate", "--use-dynamic-base-id", "--config-path"]).arg(config);
    Ok(command)
}
