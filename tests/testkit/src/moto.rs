//! AWS services as an independent project implements them (moto).

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, Port, Process, http, tool};

/// A running endpoint of all services. Its memory is lost when it ends.
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

    /// Calls a service that speaks JSON. `target` is what `x-amz-target` says, such as
    /// `AmazonSQS.CreateQueue`.
    ///
    /// # Errors
    /// It refuses, or answers no JSON.
    pub async fn call(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let mut request = http::request("POST", "/", "localhost", body.to_string())?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.1".parse()?);
        headers.insert("x-amz-target", target.parse()?);
        headers.insert("authorization", signature(service).parse()?);
        let answer = http::send(self.address(), request).await?;
        ensure!(answer.status == 200, "{target}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Calls a service that takes forms: `Action=…&…`.
    ///
    /// # Errors
    /// It refuses.
    pub async fn form(&self, service: &str, form: &str) -> Result<String> {
        let mut request = http::request("POST", "/", "localhost", form.to_owned())?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse()?);
        headers.insert("authorization", signature(service).parse()?);
        let answer = http::send(self.address(), request).await?;
        ensure!(answer.status == 200, "{form}: {} {}", answer.status, answer.text());
        Ok(answer.text())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// Not checked by moto, but it finds the service and the region in there.
fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20270101/eu-central-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}
