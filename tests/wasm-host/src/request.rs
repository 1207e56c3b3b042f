//! Requests a test sends.

use std::collections::BTreeMap;

use crate::wire::Headers;

/// A request's headers and its connection's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// In order; names in lower case, any bytes in values, names may repeat.
    pub headers: Headers,
    /// Attributes of this request's connection; the path's parts are joined by NUL.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether a body follows.
    pub has_body: bool,
}

impl Request {
    /// `GET path` for `authority`.
    #[must_use]
    pub fn get(authority: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        Self::default()
            .header(":method", "GET")
            .header(":scheme", "http")
            .header(":authority", authority)
            .header(":path", path)
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.headers.retain(|(name, _)| name != b":method");
        self.header(":method", method)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_bytes().to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// With an attribute; `path` has its parts joined by NUL.
    #[must_use]
    pub fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties.insert(path.as_bytes().to_vec(), value.as_ref().to_vec());
        self
    }

    /// Over TLS, with this server name.
    #[must_use]
    pub fn sni(self, name: impl AsRef<[u8]>) -> Self {
        self.property("connection\0requested_server_name", name)
            .property("connection\0tls_version", "TLSv1.3")
    }
}
