//! `trivial-sds ADDRESS CERTIFICATES.json`: serves certificates to Envoy, and does nothing else.

use anyhow::{Context as _, Result, ensure};
use sealwax_bench::trivial;
use tokio::net::TcpListener;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    ensure!(arguments.len() == 2, "usage: trivial-sds ADDRESS CERTIFICATES.json");
    let [address, file] = arguments.as_slice() else { return Ok(()) };
    let certificates = std::fs::read(file).with_context(|| file.clone())?;
    let certificates = serde_json::from_slice(&certificates).with_context(|| file.clone())?;
    trivial::serve(TcpListener::bind(address).await?, certificates).await
}
