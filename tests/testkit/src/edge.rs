//! The edge API, as a filter would call it.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::Value;

use crate::http;

/// A client of the control plane's edge API.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    address: SocketAddr,
}

impl Edge {
    /// For the edge listener at `address`.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Asks for a domain's certificate: the status, and the answer as JSON.
    ///
    /// # Errors
    /// Nobody answers, or not in JSON.
    pub async fn ask(&self, domain: &str) -> Result<(u16, Value)> {
        let path = format!("/edge/v1/certificates/{domain}");
        let request = http::request("POST", &path, "sealwax", String::new())?;
        let response = http::send(self.address, request).await?;
        Ok((response.status, serde_json::from_slice(&response.body)?))
    }

    /// Asks for the answer to a challenge.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn challenge(&self, token: &str, host: &str) -> Result<http::Response> {
        let path = format!("/edge/v1/challenges/{token}");
        let mut request = http::request("GET", &path, "sealwax", String::new())?;
        request.headers_mut().insert("x-sealwax-host", host.parse()?);
        http::send(self.address, request).await
    }
}
