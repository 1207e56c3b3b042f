//! From a certificate written by one replica to its push by another one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealwax_core::store::{Expected, Store as _};
use sealwax_protocol::DomainName;
use sealwax_store::seal::{KekSource, LocalKek, WhenMissing};
use sealwax_store::{DynamoStore, KeySealer, RemoteSettings, StaticCredentials, open_remote};
use sealwax_system::SystemClock;
use sealwax_testkit::{ControlPlane, ControlPlaneSettings, DynamoDb, LoopbackPki, StoreSettings};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use zeroize::Zeroizing;

use super::embedded::{millis, quantile};
use super::stream::AdsStream;
use crate::figure::Figure;
use crate::plot::Plot;
use crate::xds::{Certificates, put};

/// Certificates renewed, one by one at uneven times, in each of some rounds.
const NAMES: usize = 200;
const ROUNDS: usize = 3;
/// A write begins so often, however long the one before took: no multiple of what the other
/// replica polls at.
const WRITE_EVERY: Duration = Duration::from_millis(37);
/// Longest any push may take before there is no figure.
const PUSH_MAX: Duration = Duration::from_secs(30);

pub(super) async fn measure() -> Result<(Vec<Figure>, Plot)> {
    let endpoint = DynamoDb::start().await?;
    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("root.pem");
    std::fs::write(&ca_file, LoopbackPki::generate()?.root_pem)?;
    let reader = reader(&endpoint, ca_file).await?;
    // This program is the replica that writes.
    let (store, sealer) = writer(&endpoint, &reader).await?;
    let first = Certificates::make(NAMES)?;
    for certificate in first.all() {
        put(&store, &sealer, certificate, Expected::Absent).await?;
    }
    let mut stream = AdsStream::open(reader.xds(), first.names().to_vec()).await?;
    let mut known = std::collections::HashSet::new();
    while known.len() < NAMES {
        known.extend(timeout(PUSH_MAX, stream.next()).await.context("the first push")??);
    }
    let (told, mut pushed) = mpsc::channel(NAMES);
    let reading = tokio::spawn(async move {
        while let Ok(names) = stream.next().await {
            let now = Instant::now();
            for name in names {
                if told.send((name, now)).await.is_err() {
                    return;
                }
            }
        }
    });
    let (mut p50, mut p99, mut worst) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut written = HashMap::new();
        let mut turns = interval(WRITE_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for certificate in Certificates::make(NAMES)?.all() {
            turns.tick().await;
            let domain = DomainName::parse(&certificate.name)?;
            let found = store.load(&[domain]).await?.remove(0).context("a domain is gone")?;
            // From the moment it is asked for: the write itself is part of it.
            let began = Instant::now();
            put(&store, &sealer, certificate, Expected::Version(found.stored.version)).await?;
            written.insert(certificate.name.clone(), began);
        }
        let mut took = Vec::new();
        while took.len() < NAMES {
            let (name, at) =
                timeout(PUSH_MAX, pushed.recv()).await.context("a push")?.context("the stream")?;
            let began = written.remove(&name).context("pushed twice")?;
            took.push(millis(at.duration_since(began)));
        }
        ensure!(written.is_empty(), "not pushed: {written:?}");
        took.sort_by(f64::total_cmp);
        p50.push(quantile(&took, 50));
        p99.push(quantile(&took, 99));
        worst.push(took.last().copied().unwrap_or(f64::NAN));
    }
    reading.abort();
    let plot = Plot::new("store-changes", "From a write to another replica's push", "ms")
        .bar("half of them", &p50)
        .bar("99 of 100", &p99)
        .bar("the slowest", &worst);
    let figures = vec![
        Figure::of("store.change_to_push_p50_ms", "ms", p50),
        Figure::of("store.change_to_push_p99_ms", "ms", p99),
    ];
    Ok((figures, plot))
}

/// The replica that is told of changes.
async fn reader(endpoint: &DynamoDb, ca_file: PathBuf) -> Result<ControlPlane> {
    ControlPlane::start(&ControlPlaneSettings {
        // Nothing is ordered: nobody listens there.
        directory: "https://localhost:9/dir".to_owned(),
        ca_file,
        store: StoreSettings::DynamoDb { endpoint: endpoint.address() },
        max_wait: "10s",
        more: String::new(),
    })
    .await
}

/// The store and the keys that every replica uses.
async fn writer(endpoint: &DynamoDb, beside: &ControlPlane) -> Result<(DynamoStore, KeySealer)> {
    let settings = RemoteSettings {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(format!("http://{}", endpoint.address())),
        table_prefix: "sealwax".to_owned(),
        credentials: Some(StaticCredentials {
            access_key_id: "test".to_owned(),
            secret_access_key: Zeroizing::new("test".to_owned()),
        }),
        ..RemoteSettings::default()
    };
    let store = open_remote(&settings, Arc::new(SystemClock)).await?;
    let kek = KekSource::File(beside.folder().join("kek"));
    let kek = LocalKek::read(&kek, WhenMissing::Refuse)?;
    Ok((store, KeySealer::new(Arc::new(kek))))
}
