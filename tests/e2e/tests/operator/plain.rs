//! A control plane alone: no CA answers, no Envoy is connected. Up in a moment.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use sealwax_testkit::{Admin, PATIENCE, Port, Process, http, sealwax_binary};
use tempfile::TempDir;

/// It and its folder.
pub(crate) struct Plain {
    process: Process,
    admin: Port,
    pub(crate) folder: TempDir,
    _ports: [Port; 2],
}

impl Plain {
    /// Starts it with these lines in `[admin]`.
    pub(crate) async fn start(admin_lines: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (xds, edge, admin) = (Port::free()?, Port::free()?, Port::free()?);
        // Nobody listens on port 1.
        let config = format!(
            "[telemetry]\nlog = \"json\"\naccess_log = [\"path\", \"status\", \"caller\"]\n\
             [xds]\nlisten = \"{}\"\n[edge]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n\
             {admin_lines}\n[store]\npath = \"store\"\n\
             [[issuer]]\nname = \"away\"\ndirectory = \"https://127.0.0.1:1/dir\"\n",
            xds.address(),
            edge.address(),
            admin.address(),
        );
        std::fs::write(folder.path().join("sealwax.toml"), config)?;
        std::fs::write(folder.path().join("token"), "0123456789abcdef-write\n")?;
        std::fs::write(folder.path().join("read-token"), "0123456789abcdef-read\n")?;
        let log = folder.path().join("log");
        let process = Process::start("sealwax", &sealwax_binary()?, &log, |command| {
            command.args(["serve", "--config", "sealwax.toml"]).current_dir(folder.path());
        })?;
        let mut plain = Self { process, admin, folder, _ports: [xds, edge] };
        let address = plain.address();
        let ready = async |_: &str| {
            let ready = http::get(address, "localhost", "/readyz").await?;
            ensure!(ready.status == 200, "/readyz: {}", ready.status);
            Ok(())
        };
        plain.process.ready("be ready", PATIENCE, ready).await?;
        Ok(plain)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// What `SEALWAX_SERVER` is here.
    pub(crate) fn server(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Ends it; its folder stays.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.process.terminate(PATIENCE).await.map(drop)
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::at(self.address())
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Runs a command of the binary in its folder.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = tokio::process::Command::new(sealwax_binary()?);
        command
            .args(arguments)
            .env("SEALWAX_SERVER", self.server())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        Ok(output.with_context(|| format!("sealwax {arguments:?} takes too long"))??)
    }
}
