//! DynamoDB as an independent project implements it (moto).

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::{PATIENCE, Port, Process, http, tool};

/// A running DynamoDB endpoint. Its memory is lost when it ends.
#[derive(Debug)]
pub struct Moto {
    _process: Process,
    _folder: TempDir,
    port: Port,
}

impl Moto {
    /// Starts it.
    ///
    /// # Errors
    /// It is missing or does not come up.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = Port::free()?;
        let arrange = |command: &mut Command| {
            command.args(["--host", "127.0.0.1", "--port"]).arg(port.to_string());
        };
        let log = folder.path().join("moto.log");
        let mut process = Process::start("moto", &tool("moto_server")?, &log, arrange)?;
        let up = async |_: &str| http::get(port.address(), "localhost", "/moto-api/").await;
        process.ready("answer", PATIENCE, up).await?;
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }
}
