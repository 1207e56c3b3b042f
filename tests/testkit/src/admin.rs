//! The admin API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{http, wait_until};

/// A client of the control plane's admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    address: SocketAddr,
    token: Option<String>,
}

impl Admin {
    /// For the admin listener at `address`.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self { address, token: None }
    }

    /// The same with a bearer token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Any request.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Result<http::Response> {
        let mut request = http::request(method, path, "localhost", body.to_owned())?;
        let headers = request.headers_mut();
        if let Some(token) = &self.token {
            headers.insert("authorization", format!("Bearer {token}").parse()?);
        }
        if !body.is_empty() {
            headers.insert("content-type", http::JSON);
        }
        http::send(self.address, request).await
    }

    /// Registers a domain.
    ///
    /// # Errors
    /// It is refused.
    pub async fn register(&self, domain: &str) -> Result<()> {
        let answer = self.send("PUT", &format!("/v1/domains/{domain}"), "").await?;
        let done = matches!(answer.status, 200 | 201);
        ensure!(done, "PUT {domain}: {} {}", answer.status, answer.text());
        Ok(())
    }

    /// The domain's record.
    ///
    /// # Errors
    /// There is none.
    pub async fn show(&self, domain: &str) -> Result<Value> {
        let answer = self.send("GET", &format!("/v1/domains/{domain}"), "").await?;
        ensure!(answer.status == 200, "GET {domain}: {} {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Waits until the domain's record is as wanted, and returns it.
    ///
    /// # Errors
    /// It does not become so in time; with the record as it is.
    pub async fn show_until(
        &self,
        domain: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        let look = async || {
            last = self.show(domain).await.ok();
            last.clone().filter(|record| wanted(record))
        };
        let seen = wait_until(&format!("the record of {domain}"), within, look).await;
        seen.with_context(|| format!("last seen: {last:?}"))
    }

    /// Waits until the domain is in `state`.
    ///
    /// # Errors
    /// It does not get there in time.
    pub async fn await_state(&self, domain: &str, state: &str, within: Duration) -> Result<Value> {
        let record = self.show_until(domain, within, |record| record["state"] == state).await;
        record.with_context(|| format!("{domain} is not {state}"))
    }

    /// Renews a domain's certificate now.
    ///
    /// # Errors
    /// It is refused.
    pub async fn renew(&self, domain: &str) -> Result<()> {
        let path = format!("/v1/domains/{domain}/renew?force=true");
        let answer = self.send("POST", &path, "").await?;
        let taken = (200..300).contains(&answer.status);
        ensure!(taken, "renew {domain}: {} {}", answer.status, answer.text());
        Ok(())
    }
}
