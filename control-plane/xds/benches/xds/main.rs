//! The figures of the xds group that need no Envoy, as JSON on standard output:
//! `cargo bench -p sealwax-xds`. Server and client share the machine's cores and talk over
//! loopback TCP; every certificate is in the source's memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

#[path = "../../tests/xds/support/client.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "shared with the tests"
)]
mod client;
#[path = "../../tests/xds/support/messages.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "shared with the tests"
)]
mod messages;
mod trivial;
mod zipf;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use client::{Client, DELTA_ADS};
use messages::{DeltaRequest, DeltaResponse, Node, SECRET};
use prost::Message;
use sealwax_protocol::DomainName;
use sealwax_xds::{CertificateSource, Lookup, ServedCertificate, XdsConfig, XdsServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// About an ECDSA P-256 leaf with one CA certificate, and its key.
const CHAIN_BYTES: usize = 2200;
const KEY_BYTES: usize = 240;
/// Names one client waits for at a time.
const WINDOW: usize = 256;
const RUNS: usize = 3;

#[derive(Default)]
struct Memory(RwLock<HashMap<DomainName, Arc<ServedCertificate>>>);

#[async_trait]
impl CertificateSource for Memory {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        self.peek(node_id, name).unwrap_or(Lookup::Absent)
    }

    fn peek(&self, _: &str, name: &DomainName) -> Option<Lookup> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(all.get(name).map_or(Lookup::Absent, |found| Lookup::Ready(Arc::clone(found))))
    }

    fn rejected(&self, name: &DomainName, _: &str, _: &str, detail: &str) {
        panic!("{name} was refused: {detail}");
    }
}

impl Memory {
    fn fill(&self, names: &[String], content: u8) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            let name = DomainName::parse(name).unwrap();
            let chain = [name.as_str().as_bytes(), &vec![content; CHAIN_BYTES]].concat();
            let certificate = ServedCertificate::new(&name, &chain, &[content; KEY_BYTES]).unwrap();
            all.insert(name, Arc::new(certificate));
        }
    }

    fn version(&self, name: &str) -> String {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).unwrap().version().to_owned()
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n:07}.customer.example")).collect()
}

async fn start() -> (Arc<Memory>, Arc<XdsServer>, SocketAddr) {
    let config = XdsConfig { max_names_per_edge: 250_000, ..XdsConfig::default() };
    let source = Arc::new(Memory::default());
    let (server, address) = start_with(config, &source).await;
    (source, server, address)
}

async fn start_with(config: XdsConfig, source: &Arc<Memory>) -> (Arc<XdsServer>, SocketAddr) {
    let server = Arc::new(XdsServer::new(config, Arc::clone(source) as _));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(&server).serve(listener, CancellationToken::new()));
    (server, address)
}

async fn connect(address: SocketAddr) -> Client {
    let connection = TcpStream::connect(address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut client = Client::open(connection, DELTA_ADS).await;
    let node = Some(Node { id: "bench".to_owned(), ..Node::default() });
    client.send_message(&DeltaRequest { node, type_url: SECRET.to_owned(), ..Default::default() });
    client
}

/// Asks for each name in a request of its own, with the acknowledgement of the last response, as
/// Envoy does; a window of names at a time.
async fn fetch_each(client: &mut Client, names: &[String]) {
    let mut next = names.iter();
    let ask = |client: &mut Client, name: Option<&String>, nonce: String| {
        client.send_message(&DeltaRequest {
            type_url: SECRET.to_owned(),
            subscribe: name.into_iter().cloned().collect(),
            response_nonce: nonce,
            ..DeltaRequest::default()
        });
    };
    for name in next.by_ref().take(WINDOW) {
        ask(client, Some(name), String::new());
    }
    for _ in names {
        let response = DeltaResponse::decode(client.message().await.unwrap()).unwrap();
        assert_eq!(response.resources.len(), 1, "one name a response");
        ask(client, next.next(), response.nonce);
    }
}

async fn secrets_per_s(address: SocketAddr, names: &[String]) -> f64 {
    let mut client = connect(address).await;
    let began = Instant::now();
    fetch_each(&mut client, names).await;
    names.len() as f64 / began.elapsed().as_secs_f64()
}

async fn bytes_per_subscription() -> (f64, f64) {
    const COUNT: usize = 200_000;
    let (source, server, address) = start().await;
    let (warm, names) = (names("warm", 2000), names("held", COUNT));
    source.fill(&warm, 1);
    source.fill(&names, 1);
    let mut client = connect(address).await;
    fetch_each(&mut client, &warm).await;
    let before = resident_bytes();
    fetch_each(&mut client, &names).await;
    let bytes = (resident_bytes() - before) / COUNT as f64;
    assert_eq!(server.edges().first().map(|edge| edge.resident), Some(COUNT + 2000));
    let cpu_before = cpu_seconds();
    tokio::time::sleep(Duration::from_secs(2)).await;
    (bytes, (cpu_seconds() - cpu_before) / 2.0 * 100.0)
}

async fn push_10k_ms() -> f64 {
    let (source, server, address) = start().await;
    let names = names("renewed", 10_000);
    source.fill(&names, 1);
    let mut client = connect(address).await;
    fetch_each(&mut client, &names).await;
    source.fill(&names, 2);
    let parsed: Vec<_> = names.iter().map(|name| DomainName::parse(name).unwrap()).collect();
    let began = Instant::now();
    for name in &parsed {
        server.changed(name);
    }
    let mut received = 0;
    while received < names.len() {
        let response = DeltaResponse::decode(client.message().await.unwrap()).unwrap();
        received += response.resources.len();
        client.ack_and_subscribe(&response.nonce, &[]);
    }
    began.elapsed().as_secs_f64() * 1000.0
}

async fn reconnect_200k_ms() -> f64 {
    let (source, server, address) = start().await;
    let names = names("held", 200_000);
    source.fill(&names, 1);
    let (last, current) = names.split_last().unwrap();
    let mut versions: HashMap<_, _> =
        current.iter().map(|name| (name.clone(), source.version(name))).collect();
    // The last name is out of date: its answer says that all of them have been compared.
    versions.insert(last.clone(), "0123456789abcdef".to_owned());
    let mut client = connect(address).await;
    // The stream's first request has been sent by `connect`; the versions count only in it.
    drop(client);
    let connection = TcpStream::connect(address).await.unwrap();
    client = Client::open(connection, DELTA_ADS).await;
    let request = DeltaRequest {
        node: Some(Node { id: "bench".to_owned(), ..Node::default() }),
        type_url: SECRET.to_owned(),
        subscribe: names.clone(),
        initial_versions: versions,
        ..DeltaRequest::default()
    }
    .encode_to_vec();
    let began = Instant::now();
    client.send_bytes(&request);
    let response = DeltaResponse::decode(client.message().await.unwrap()).unwrap();
    let took = began.elapsed().as_secs_f64() * 1000.0;
    assert!(
        response.removed.is_empty() && response.resources.len() == 1,
        "more than the difference"
    );
    assert_eq!(
        response.resources.first().map(|resource| resource.name.clone()),
        names.last().cloned()
    );
    let held = server.edges().into_iter().find(|edge| edge.names == names.len()).unwrap();
    assert_eq!((held.pushes, held.removals), (1, 0));
    took
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // User and system time, in hundredths of a second, are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn figure(name: &str, unit: &str, runs: &[f64], baseline: Option<&[f64]>) -> String {
    let median = |runs: &[f64]| {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let list: Vec<_> = runs.iter().map(|run| format!("{run:.3}")).collect();
    let baseline =
        baseline.map_or_else(|| "null".to_owned(), |runs| format!("{:.3}", median(runs)));
    format!(
        r#"  {{"name":"{name}","value":{:.3},"unit":"{unit}","baseline":{baseline},"runs":[{}]}}"#,
        median(runs),
        list.join(",")
    )
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    // First, while the process has no freed memory to reuse.
    let (bytes, idle) = bytes_per_subscription().await;
    let (source, _server, address) = start().await;
    let names = names("asked", 100_000);
    source.fill(&names, 1);
    let trivial = trivial::start(&names, CHAIN_BYTES, KEY_BYTES).await;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(secrets_per_s(address, &names).await);
        baseline.push(secrets_per_s(trivial, &names).await);
    }
    let (mut push, mut reconnect) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        push.push(push_10k_ms().await);
        reconnect.push(reconnect_200k_ms().await);
    }
    let zipf = zipf::hit_ratio_of_ideal(&source, &names).await;
    let figures = [
        figure("xds.secrets_per_s", "1/s", &ours, Some(&baseline)),
        figure("xds.push_10k_ms", "ms", &push, None),
        figure("xds.reconnect_200k_ms", "ms", &reconnect, None),
        figure("xds.bytes_per_subscription", "bytes", &[bytes], None),
        figure("xds.idle_cpu_200k", "% of a core", &[idle], None),
        figure("xds.zipf_hit_ratio", "ratio", &[zipf], None),
    ];
    println!("{{\"figures\":[\n{}\n]}}", figures.join(",\n"));
}
