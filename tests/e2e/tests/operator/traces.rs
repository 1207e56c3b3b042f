//! Traces: what a collector hears of a handshake that waits for its certificate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use sealwax_testkit::{Line, LineSettings, PATIENCE, wait_until};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(Vec<Span>, Vec<u8>)>>);

impl Collector {
    async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().0.clone()
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) -> &'static str {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let mut kept = collector.0.lock().unwrap();
    kept.0.extend(scopes.flat_map(|scope| scope.spans));
    kept.1.extend_from_slice(&body);
    ""
}

#[tokio::test]
async fn a_handshake_that_waits_is_one_trace_from_its_ask_to_the_push() {
    let collector = Collector::default();
    let address = collector.start().await;
    let more = format!("[telemetry]\notlp_url = \"http://{address}/v1/traces\"");
    let line = Line::start(LineSettings { more, ..LineSettings::default() }).await.unwrap();
    let name = "shop.example.com";
    line.control_plane.admin().register(name).await.unwrap();
    line.visitor().unwrap().visit(line.https(), name).await.unwrap();
    let ended = async || {
        let spans = collector.spans();
        spans.iter().any(|span| span.name == "handshake").then_some(spans)
    };
    let spans = wait_until("the trace to be delivered", PATIENCE, ended).await.unwrap();

    let root = spans.iter().find(|span| span.name == "handshake").unwrap();
    let of_it: Vec<_> = spans.iter().filter(|span| span.trace_id == root.trace_id).collect();
    assert_eq!(of_it.len(), spans.len(), "one trace");
    let names =
        ["ask", "confirm", "place_order", "answer", "finalize", "download", "write", "push"];
    let mut before = 0;
    for name in names {
        let span = of_it.iter().find(|span| span.name == name);
        let span = span.unwrap_or_else(|| panic!("{name} is not among {spans:#?}"));
        assert_eq!(span.parent_span_id, root.span_id, "{name}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{name}");
        // Writes are between the others.
        if name != "write" {
            assert!(span.start_time_unix_nano >= before, "{name} comes in its turn");
            before = span.start_time_unix_nano;
        }
    }
    let attribute = |wanted: &str| root.attributes.iter().any(|one| one.key == wanted);
    assert!(attribute("sealwax.domain") && attribute("sealwax.edge"));

    // Served from memory, it waits for nothing and leaves no trace.
    let told = collector.spans().len();
    line.visitor().unwrap().visit(line.https(), name).await.unwrap();
    let path = line.pebble.challenge_path(name).unwrap();
    let token = path.rsplit('/').next().unwrap();
    let heard = collector.0.lock().unwrap().1.clone();
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains(token) && !heard.contains("PRIVATE KEY"), "no secrets");
    assert_eq!(collector.spans().len(), told);
}
