//! The Envoy bootstrap for a control plane: the commented file of `envoy/`, filled in.
//!
//! What users read and what the program prints is one text, so neither can be behind the other.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sealwax_core::Span;
use sealwax_protocol::DomainName;

use crate::pki::CONTROL_PLANE;
use sealwax_config::{Listen, unix_path};

/// The commented file, with values for one machine.
pub const TEMPLATE: &str = include_str!("../../../envoy/bootstrap.yaml");
/// How much longer Envoy waits for a certificate than the control plane does, which says no by
/// itself at the end.
const CONNECT_MARGIN: Span = Span::from_secs(5);
/// Longest node id, in bytes: it is part of every log line about an edge.
const NODE_ID_BYTES_MAX: usize = 128;

/// What a bootstrap is filled in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The edge's identity.
    pub node_id: NodeId,
    /// Where Envoy's own admin interface listens.
    pub admin: SocketAddr,
    /// Where plain HTTP comes in.
    pub http: SocketAddr,
    /// Where HTTPS comes in.
    pub https: SocketAddr,
    /// The port clients reach HTTPS at, for redirects.
    pub redirect_port: u16,
    /// The filter's file, as Envoy sees it.
    pub wasm: String,
    /// The domain served to clients that name none.
    pub default_domain: Option<DomainName>,
    /// The control plane's xDS server.
    pub xds: Endpoint,
    /// The control plane's edge API.
    pub edge: Endpoint,
    /// The application behind all domains.
    pub origin: Endpoint,
    /// What the xDS server wants to be shown, if it wants mutual TLS.
    pub xds_tls: Option<EdgeTls>,
    /// The same of the edge API.
    pub edge_tls: Option<EdgeTls>,
    /// `issuance.max_wait` of the control plane.
    pub max_wait: Span,
}

/// An edge's identity: 1 to 128 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeId(String);

/// The files with which Envoy proves who it is, as Envoy sees them; see [`crate::pki`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTls {
    /// The edge's certificate.
    pub cert_file: String,
    /// Its key.
    pub key_file: String,
    /// The roots of the control plane's certificate.
    pub ca_file: String,
}

/// A host and a port, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address.
    Address(SocketAddr),
    /// A host name, resolved by Envoy, so a single label is fine; and a port.
    Name(String, u16),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl Bootstrap {
    /// The bootstrap as YAML.
    ///
    /// # Errors
    /// When the commented file no longer has a place for a value: a fault of this program.
    pub fn yaml(&self) -> Result<String, NoPlace> {
        let default_domain =
            self.default_domain.as_ref().map_or("no-sni.invalid", DomainName::as_str);
        let wait = self.max_wait + CONNECT_MARGIN;
        let mut text = Text(TEMPLATE.to_owned());
        text.put("id: sealwax-edge-1", &format!("id: {}", quoted(&self.node_id.0)))?;
        text.put("{address: 127.0.0.1, port_value: 9901}", &listener(self.admin))?;
        text.put("{address: 0.0.0.0, port_value: 10080}", &listener(self.http))?;
        text.put("{address: 0.0.0.0, port_value: 10443}", &listener(self.https))?;
        text.put("{\"port\": 10443}", &format!("{{\"port\": {}}}", self.redirect_port))?;
        text.put(
            "{filename: target/sealwax_filter.wasm}",
            &format!("{{filename: {}}}", quoted(&self.wasm)),
        )?;
        text.put(
            "default_value: no-sni.invalid",
            &format!("default_value: {}", quoted(default_domain)),
        )?;
        text.put("transport_socket_connect_timeout: 15s", &connect_timeout(wait))?;
        for (port, endpoint) in [(18000, &self.xds), (18001, &self.edge), (8080, &self.origin)] {
            let place = format!("{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}");
            text.put(&place, &endpoint.yaml())?;
        }
        for (name, endpoint) in
            [("sealwax_xds", &self.xds), ("sealwax_edge", &self.edge), ("origin", &self.origin)]
        {
            let place = format!("- name: {name}\n    type: STATIC");
            let filled = format!("- name: {name}\n    type: {}", endpoint.discovery());
            text.put(&place, &filled)?;
        }
        for (name, tls) in [("sealwax_xds", &self.xds_tls), ("sealwax_edge", &self.edge_tls)] {
            if let Some(tls) = tls {
                let place = format!("    load_assignment:\n      cluster_name: {name}\n");
                text.put(&place, &format!("{}{place}", tls.yaml()))?;
            }
        }
        Ok(text.0)
    }
}

/// A text with places, each there exactly once.
struct Text(String);

impl Text {
    fn put(&mut self, place: &str, value: &str) -> Result<(), NoPlace> {
        match self.0.match_indices(place).count() {
            1 => {
                self.0 = self.0.replacen(place, value, 1);
                Ok(())
            }
            found => Err(NoPlace { place: place.to_owned(), found }),
        }
    }
}

fn connect_timeout(wait: Span) -> String {
    format!("transport_socket_connect_timeout: {}.{:03}s", wait.secs(), wait.millis() % 1000)
}

fn listener(at: SocketAddr) -> String {
    format!("{{address: {}, port_value: {}}}", quoted(&at.ip().to_string()), at.port())
}

/// A JSON string, which YAML reads as a double-quoted scalar with the same value.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Endpoint {
    fn yaml(&self) -> String {
        let (host, port) = match self {
            Self::Address(at) => (at.ip().to_string(), at.port()),
            Self::Name(name, port) => (name.clone(), *port),
            Self::Unix(path) => {
                return format!("{{pipe: {{path: {}}}}}", quoted(&path.to_string_lossy()));
            }
        };
        format!("{{socket_address: {{address: {}, port_value: {port}}}}}", quoted(&host))
    }

    /// How Envoy finds the endpoint: a name is looked up again and again.
    const fn discovery(&self) -> &'static str {
        match self {
            Self::Address(_) | Self::Unix(_) => "STATIC",
            Self::Name(..) => "STRICT_DNS",
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(at: SocketAddr) -> Self {
        Self::Address(at)
    }
}

impl From<Listen> for Endpoint {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::Address(at) => Self::Address(at),
            Listen::Unix(path) => Self::Unix(path),
        }
    }
}

impl EdgeTls {
    /// A cluster's transport socket.
    fn yaml(&self) -> String {
        format!(
            r#"    # Both sides prove who they are. The files are read when Envoy starts.
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: {CONTROL_PLANE}
        common_tls_context:
          alpn_protocols: [h2]
          tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
          tls_certificates:
          - certificate_chain: {{filename: {cert}}}
            private_key: {{filename: {key}}}
          validation_context:
            trusted_ca: {{filename: {ca}}}
            match_typed_subject_alt_names:
            - {{san_type: DNS, matcher: {{exact: {CONTROL_PLANE}}}}}
"#,
            cert = quoted(&self.cert_file),
            key = quoted(&self.key_file),
            ca = quoted(&self.ca_file),
        )
    }
}

impl NodeId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse::<SocketAddr>() {
            return Ok(at.into());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(path).map(|path| Self::Unix(path.to_owned())).ok_or(NotAnEndpoint);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAnEndpoint)?;
        let host_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(host_byte) {
            return Err(NotAnEndpoint);
        }
        let port = port.parse().map_err(|_| NotAnEndpoint)?;
        Ok(Self::Name(host.to_ascii_lowercase(), port))
    }
}

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = (1..=NODE_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text.to_owned())) } else { Err(NotANodeId) }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The commented file has changed and this program was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bootstrap has {found} places {place:?} where it should have one; report this")]
pub struct NoPlace {
    place: String,
    found: usize,
}

/// Not a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a host or an address and a port, such as 127.0.0.1:8080 or app.internal:8080")]
pub struct NotAnEndpoint;

/// Not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id has 1 to 128 printable ASCII characters and no space")]
pub struct NotANodeId;

#[cfg(test)]
mod tests {
    use super::*;

    fn as_in_the_file() -> Bootstrap {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        Bootstrap {
            node_id: "sealwax-edge-1".parse().unwrap(),
            admin: at("127.0.0.1:9901"),
            http: at("0.0.0.0:10080"),
            https: at("0.0.0.0:10443"),
            redirect_port: 10443,
            wasm: "target/sealwax_filter.wasm".to_owned(),
            default_domain: None,
            xds: at("127.0.0.1:18000").into(),
            edge: at("127.0.0.1:18001").into(),
            origin: at("127.0.0.1:8080").into(),
            xds_tls: None,
            edge_tls: None,
            max_wait: Span::from_secs(10),
        }
    }

    #[test]
    fn the_files_own_values_give_the_file_back() {
        let made = as_in_the_file().yaml().unwrap().replace("15.000s", "15s");
        for (written, read) in TEMPLATE.lines().zip(made.lines()) {
            // Quotes around a scalar without special characters change nothing for a reader.
            assert_eq!(written.replace('"', ""), read.replace('"', ""));
        }
        assert_eq!(TEMPLATE.lines().count(), made.lines().count());
    }

    fn edge_tls() -> EdgeTls {
        EdgeTls {
            cert_file: "/etc/\"e\".pem".to_owned(),
            key_file: "/etc/e.key".to_owned(),
            ca_file: "/etc/ca.pem".to_owned(),
        }
    }

    #[test]
    fn both_clusters_can_have_mutual_tls_and_unix_sockets() {
        let unix: Endpoint = "unix:/run/sealwax/xds.sock".parse().unwrap();
        let asked = Bootstrap {
            xds: unix.clone(),
            edge: unix,
            xds_tls: Some(edge_tls()),
            edge_tls: Some(edge_tls()),
            ..as_in_the_file()
        };
        let made = asked.yaml().unwrap();
        assert_eq!(made.matches("UpstreamTlsContext").count(), 2);
        assert_eq!(made.matches("{pipe: {path: \"/run/sealwax/xds.sock\"}}").count(), 2);
        assert_eq!("unix:".parse::<Endpoint>(), Err(NotAnEndpoint));
    }

    #[test]
    fn every_value_arrives_in_its_place() {
        let asked = Bootstrap {
            node_id: "edge:7".parse().unwrap(),
            admin: "[::1]:1".parse().unwrap(),
            http: "192.0.2.1:80".parse().unwrap(),
            https: "192.0.2.1:443".parse().unwrap(),
            redirect_port: 443,
            wasm: "/opt/a \"b\": c.wasm".to_owned(),
            default_domain: Some(DomainName::parse("main.example.com").unwrap()),
            xds: "control.internal:1800".parse().unwrap(),
            edge: "192.0.2.9:1801".parse().unwrap(),
            origin: "app:8000".parse().unwrap(),
            xds_tls: Some(edge_tls()),
            edge_tls: None,
            max_wait: Span::from_millis(2_500),
        };
        let made = asked.yaml().unwrap();
        for part in [
            "id: \"edge:7\"",
            "{address: \"::1\", port_value: 1}",
            "{address: \"192.0.2.1\", port_value: 80}",
            "{address: \"192.0.2.1\", port_value: 443}",
            "{\"port\": 443}",
            "{filename: \"/opt/a \\\"b\\\": c.wasm\"}",
            "default_value: \"main.example.com\"",
            "transport_socket_connect_timeout: 7.500s",
            "{address: \"control.internal\", port_value: 1800}",
            "- name: sealwax_xds\n    type: STRICT_DNS",
            "- name: sealwax_edge\n    type: STATIC",
            "{address: \"app\", port_value: 8000}",
            "- name: origin\n    type: STRICT_DNS",
            "certificate_chain: {filename: \"/etc/\\\"e\\\".pem\"}",
            "private_key: {filename: \"/etc/e.key\"}",
            "trusted_ca: {filename: \"/etc/ca.pem\"}",
        ] {
            assert_eq!(made.matches(part).count(), 1, "{part}");
        }
    }

    #[test]
    fn hostile_values_are_refused() {
        for text in ["", "app", "app:", "app:99999", "a b:1", "a\n:1", ":1", "a}:1"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NotAnEndpoint), "{text}");
        }
        assert!("[::1]:80".parse::<Endpoint>().is_ok());
        assert_eq!("a b".parse::<NodeId>(), Err(NotANodeId));
        assert_eq!("x".repeat(129).parse::<NodeId>(), Err(NotANodeId));
    }
}
