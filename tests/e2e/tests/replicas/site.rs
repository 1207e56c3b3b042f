//! Two replicas, A and B: each reaches the store over a wire of its own that can be cut, and has an
//! Envoy of its own. The CA validates through A's Envoy.

use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, DynamoDb, Envoy, EnvoyPorts, EnvoySettings, Origin,
    PATIENCE, Pebble, PebbleSettings, Served, StoreSettings, TcpProxy, TlsVisitor, wait_until,
};

pub(crate) struct Replica {
    pub(crate) envoy: Envoy,
    pub(crate) control_plane: ControlPlane,
    pub(crate) to_store: TcpProxy,
}

/// Fields drop in order: whoever calls ends before whom it calls.
pub(crate) struct Site {
    pub(crate) a: Replica,
    pub(crate) b: Replica,
    pub(crate) validations: TcpProxy,
    pub(crate) pebble: Pebble,
    origin: Origin,
    pub(crate) store: DynamoDb,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with("10s", "").await
    }

    pub(crate) async fn start_with(max_wait: &'static str, more: &str) -> Self {
        Self::start_changed(max_wait, more, |config| config).await
    }

    /// The same where both replicas have what `change` makes of their configuration files.
    pub(crate) async fn start_changed(
        max_wait: &'static str,
        more: &str,
        change: fn(String) -> String,
    ) -> Self {
        let store = DynamoDb::start().await.unwrap();
        let ports = EnvoyPorts::free().unwrap();
        let validations = TcpProxy::start(ports.http()).await.unwrap();
        let origin = Origin::start().await.unwrap();
        let ca = PebbleSettings::validating_at(validations.address().port());
        let pebble = Pebble::start(ca).await.unwrap();
        let wires = (
            TcpProxy::start(store.address()).await.unwrap(),
            TcpProxy::start(store.address()).await.unwrap(),
        );
        let settings = |wire: &TcpProxy| ControlPlaneSettings {
            directory: pebble.directory(),
            ca_file: pebble.tls_root_file(),
            store: StoreSettings::DynamoDb { endpoint: wire.address() },
            max_wait,
            more: more.to_owned(),
        };
        let first = ControlPlane::start_changed(&settings(&wires.0), change).await.unwrap();
        let second = first.start_beside_changed(&settings(&wires.1), change).await.unwrap();
        let a = replica(first, wires.0, &origin, "edge-a", ports).await;
        let b = replica(second, wires.1, &origin, "edge-b", EnvoyPorts::free().unwrap()).await;
        Self { a, b, validations, pebble, origin, store }
    }

    pub(crate) fn visitor(&self) -> TlsVisitor {
        TlsVisitor::trusting(self.pebble.root_pem()).unwrap()
    }

    /// What B's Envoy serves for a name that was registered with A: a replica refuses it until the
    /// change log has told it of the registration.
    pub(crate) async fn served_by_b(&self, domain: &str) -> Served {
        let (visitor, b_envoy) = (self.visitor(), self.b.envoy.https());
        let served = wait_until("B to hear of the registration", PATIENCE, async || {
            visitor.visit(b_envoy, domain).await.ok()
        });
        served.await.unwrap()
    }

    /// An Envoy of B that holds nothing yet.
    pub(crate) async fn another_envoy_of_b(&self) -> Envoy {
        let ports = EnvoyPorts::free().unwrap();
        envoy(&self.b.control_plane, &self.origin, "edge-b-2", ports).await
    }

    /// Orders and certificates at the CA.
    pub(crate) fn issued(&self) -> (usize, usize) {
        (self.pebble.orders(), self.pebble.certificates())
    }
}

async fn replica(
    control_plane: ControlPlane,
    to_store: TcpProxy,
    origin: &Origin,
    node_id: &str,
    ports: EnvoyPorts,
) -> Replica {
    let envoy = envoy(&control_plane, origin, node_id, ports).await;
    Replica { envoy, control_plane, to_store }
}

async fn envoy(
    control_plane: &ControlPlane,
    origin: &Origin,
    node_id: &str,
    ports: EnvoyPorts,
) -> Envoy {
    let settings = EnvoySettings {
        node_id: node_id.to_owned(),
        config: control_plane.config_file(),
        origin: origin.address(),
    };
    Envoy::start(ports, &settings).await.unwrap()
}
