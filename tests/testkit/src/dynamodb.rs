//! A DynamoDB endpoint that several control planes share: the embedded engine in a process of its
//! own. Unlike moto it is atomic, and fast enough for a thousand orders.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, Port, Process, beside_sealwax, http};

/// A running endpoint. Its memory is lost when it ends.
#[derive(Debug)]
pub struct DynamoDb {
    _process: Process,
    _folder: TempDir,
    port: Port,
}

impl DynamoDb {
    /// Starts it.
    ///
    /// # Errors
    /// It is missing or does not come up.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = Port::free()?;
        let arrange = |command: &mut Command| {
            command.arg(port.address().to_string());
        };
        let log = folder.path().join("dynamodb.log");
        let program = beside_sealwax("sealwax-dynamodb")?;
        let mut process = Process::start("sealwax-dynamodb", &program, &log, arrange)?;
        let up = async |_: &str| http::get(port.address(), "localhost", "/units").await;
        process.ready("answer", PATIENCE, up).await?;
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Refuses every call from now on, as AWS does: `code` is such as `ExpiredTokenException`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn refuse(&self, code: &str, message: &str) -> Result<()> {
        let kind = format!("com.amazon.coral.service#{code}");
        self.command(serde_json::json!({ "__type": kind, "message": message }).to_string()).await
    }

    /// Refuses nothing any more.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn accept(&self) -> Result<()> {
        self.command(String::new()).await
    }

    async fn command(&self, body: String) -> Result<()> {
        let request = http::request("POST", "/refuse", "localhost", body)?;
        let answer = http::send(self.address(), request).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    }

    /// Capacity units consumed so far by these operations.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn units(&self, operations: &[&str]) -> Result<f64> {
        let told = http::get(self.address(), "localhost", "/units").await?.text();
        let told: Value = serde_json::from_str(&told).context(told.clone())?;
        let units = operations.iter().filter_map(|name| told.get(name)?.get("units")?.as_f64());
        Ok(units.sum())
    }
}
