//! One Envoy of one worker with a listener for each variant: the same route, origin and buffers,
//! and another HTTP filter in front of the router.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sealwax_testkit::{Envoy, EnvoyPorts, Port, filter_module};
use tempfile::TempDir;

/// What stands in front of the router.
#[derive(Debug)]
pub(super) struct Variant {
    /// In the figures' names.
    pub(super) name: &'static str,
    /// In plots.
    pub(super) label: &'static str,
    /// How often its first three requests ask for the verdict, and how often for a check.
    pub(super) verdicts_and_checks: (u64, u64),
    filter: fn(&Modules) -> String,
}

/// The paths of the wasm modules.
struct Modules {
    sealwax: String,
    empty: String,
}

/// All variants; the first is what the others are compared with.
pub(super) const VARIANTS: [Variant; 5] = [
    Variant {
        name: "none",
        label: "no filter",
        verdicts_and_checks: (0, 0),
        filter: |_| String::new(),
    },
    Variant {
        name: "passthrough",
        label: "Sealwax filter",
        verdicts_and_checks: (1, 0),
        filter: |modules| WASM.replace("NAME", "sealwax").replace("MODULE", &modules.sealwax),
    },
    Variant {
        name: "lua",
        label: "Lua filter",
        verdicts_and_checks: (1, 0),
        filter: |_| LUA.replace("SCRIPT", &indented(SCRIPT, 14)),
    },
    Variant {
        name: "ext_authz",
        label: "ext_authz",
        verdicts_and_checks: (0, 3),
        filter: |_| EXT_AUTHZ.to_owned(),
    },
    Variant {
        name: "empty",
        label: "empty wasm module",
        verdicts_and_checks: (0, 0),
        filter: |modules| WASM.replace("NAME", "empty").replace("MODULE", &modules.empty),
    },
];

const SCRIPT: &str = include_str!("same.lua");
const EMPTY: &str = include_str!("empty.wat");

/// Redirects are off, so a request for a domain that is ready goes on: all of the filter's work
/// on a request, and then the origin's.
const WASM: &str = r#"
      - name: sealwax
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
          config:
            name: NAME
            failure_policy: FAIL_RELOAD
            vm_config:
              vm_id: NAME
              runtime: envoy.wasm.runtime.v8
              code: {local: {filename: "MODULE"}}
            configuration:
              "@type": type.googleapis.com/google.protobuf.StringValue
              value: '{"cluster": "edge", "redirect": {"enabled": false}}'"#;

const LUA: &str = r#"
      - name: envoy.filters.http.lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code:
            inline_string: |
SCRIPT"#;

const EXT_AUTHZ: &str = r#"
      - name: envoy.filters.http.ext_authz
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
          http_service:
            server_uri: {uri: "http://edge", cluster: edge, timeout: 1s}
            path_prefix: /edge/v1/check"#;

const LISTENER: &str = r#"
  - name: NAME
    address: {socket_address: {address: 127.0.0.1, port_value: PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: NAME
          use_remote_address: true
          route_config:
            virtual_hosts:
            - {name: origin, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: origin}}]}
          http_filters:FILTER
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}"#;

const BOOTSTRAP: &str = r#"
admin: {address: {socket_address: {address: 127.0.0.1, port_value: ADMIN}}}
static_resources:
  listeners:LISTENERS
  clusters:
  - name: origin
    type: STATIC
    load_assignment: {cluster_name: origin, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ORIGIN}}}}]}]}
  - name: edge
    type: STATIC
    load_assignment: {cluster_name: edge, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: EDGE}}}}]}]}
"#;

/// The running Envoy.
#[derive(Debug)]
pub(super) struct Bench {
    _envoy: Envoy,
    _folder: TempDir,
    ports: Vec<Port>,
}

impl Bench {
    /// Starts it.
    pub(super) async fn start(origin: SocketAddr, edge: SocketAddr) -> Result<Self> {
        let ports = EnvoyPorts::free()?;
        let folder = tempfile::tempdir()?;
        let empty = folder.path().join("empty.wasm");
        std::fs::write(&empty, wat::parse_str(EMPTY)?)?;
        let text = |path: PathBuf| path.into_os_string().into_string().ok();
        let paths = text(filter_module()?).zip(text(empty));
        let (sealwax, empty) = paths.context("a module's path is no text")?;
        let modules = Modules { sealwax, empty };
        let mut listeners = String::new();
        let mut variant_ports = Vec::new();
        for variant in &VARIANTS {
            let port = Port::free()?;
            // The filters above are indented as in a listener's own list.
            let filter = (variant.filter)(&modules).replace('\n', "\n    ");
            listeners.push_str(
                &LISTENER
                    .replace("NAME", variant.name)
                    .replace("PORT", &port.to_string())
                    .replace("FILTER", &filter),
            );
            variant_ports.push(port);
        }
        let yaml = BOOTSTRAP
            .replace("ADMIN", &ports.admin().port().to_string())
            .replace("LISTENERS", &listeners)
            .replace("ORIGIN", &origin.port().to_string())
            .replace("EDGE", &edge.port().to_string());
        let envoy = Envoy::run_workers(&yaml, ports, 1).await?;
        Ok(Self { _envoy: envoy, _folder: folder, ports: variant_ports })
    }

    /// Where a variant listens.
    pub(super) fn address(&self, variant: usize) -> Result<SocketAddr> {
        Ok(self.ports.get(variant).context("no such variant")?.address())
    }
}

fn indented(text: &str, by: usize) -> String {
    let indent = " ".repeat(by);
    text.lines().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}
