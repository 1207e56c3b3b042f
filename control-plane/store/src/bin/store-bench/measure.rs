//! The measurements.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use sealwax_core::certificate::Chain;
use sealwax_core::store::{
    CertificateChange, Change, Expected, Store as _, StoreError, StoredCertificate,
};
use sealwax_core::{Clock, DomainRecord, Registration, SealedKey, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_store::{DynamoStore, open_embedded};
use serde_json::{Value, json};
use tokio::time::Instant;

type Outcome = Result<Value, Box<dyn Error + Send + Sync>>;

/// Writes under way at a time.
const IN_FLIGHT: usize = 32;
/// Look-ups measured.
const LOOKUPS: u64 = 20_000;
/// Every how many domains one has a certificate: most of an import waits for its first visit.
const CERTIFIED_EVERY: u64 = 100;

const STRIDE: u64 = 104_729;
const PRIME: u64 = 1_000_003;

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of a program")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// Imports, then measures the store as a new process finds it.
pub(super) async fn everything(folder: &Path, domains: u64) -> Outcome {
    let (written, seconds) = import(folder, domains).await?;
    let program = std::env::current_exe()?;
    let opened = std::process::Command::new(program)
        .arg("open")
        .arg(folder)
        .arg(domains.to_string())
        .output()?;
    let mut figures: Value = serde_json::from_slice(&opened.stdout)?;
    let fields = figures.as_object_mut().ok_or("the measuring process failed")?;
    fields.insert("domains".to_owned(), json!(domains));
    fields.insert("written".to_owned(), json!(written));
    let rate = if written == 0 { Value::Null } else { json!(rate(written, seconds)) };
    fields.insert("store.import_per_s".to_owned(), rate);
    Ok(figures)
}

/// Opens a store that is there, and looks up.
pub(super) async fn open(folder: &Path, domains: u64) -> Outcome {
    let domains = domains.max(1);
    let started = Instant::now();
    let store = embedded(folder).await?;
    store.load(&[name(0)?]).await?;
    let ready = started.elapsed();
    let mut at = 1;
    let mut micros = Vec::new();
    let lookups = Instant::now();
    for _ in 0..LOOKUPS {
        // Powers modulo a prime: an order that no cache likes.
        at = (at * STRIDE) % PRIME;
        let one = Instant::now();
        store.load(&[name(at % domains)?]).await?;
        micros.push(one.elapsed().as_micros());
    }
    let single = lookups.elapsed().as_secs_f64();
    let batched = Instant::now();
    for n in 0..LOOKUPS / 50 {
        let names: Vec<_> = (0..50).map(|m| name((n * 7_919 + m * 104_729) % domains)).collect();
        let names = names.into_iter().collect::<Result<Vec<_>, _>>()?;
        store.load(&names).await?;
    }
    let batched = batched.elapsed().as_secs_f64();
    micros.sort_unstable();
    let quantile = |q: usize| micros.get(micros.len() * q / 100).copied().unwrap_or_default();
    Ok(json!({
        "store.ready_ms": ready.as_millis(),
        "store.get_p50_us": quantile(50),
        "store.get_p99_us": quantile(99),
        "store.get_per_s": rate(LOOKUPS, single),
        "store.get_batched_per_s": rate(LOOKUPS, batched),
        "store.rss_mb": rss_mb(),
    }))
}

/// Writes until it is killed, and says so after each acknowledgement.
pub(super) async fn write_until_killed(folder: &Path) -> Outcome {
    let store = embedded(folder).await?;
    let mut out = std::io::stdout();
    for n in 0.. {
        store.write(change(n)?).await?;
        writeln!(out, "{n}")?;
        out.flush()?;
    }
    Ok(Value::Null)
}

async fn import(folder: &Path, domains: u64) -> Result<(u64, f64), Box<dyn Error + Send + Sync>> {
    let store = Arc::new(embedded(folder).await?);
    let started = Instant::now();
    let mut writes = stream::iter(0..domains)
        .map(|n| {
            let store = Arc::clone(&store);
            async move {
                match store.write(change(n)?).await {
                    Ok(_) => Ok(1),
                    // An earlier run got this far.
                    Err(StoreError::Lost { .. }) => Ok(0),
                    Err(error) => Err(Box::<dyn Error + Send + Sync>::from(error)),
                }
            }
        })
        .buffer_unordered(IN_FLIGHT);
    let mut written = 0;
    while let Some(one) = writes.next().await {
        written += one?;
    }
    Ok((written, started.elapsed().as_secs_f64()))
}

async fn embedded(folder: &Path) -> Result<DynamoStore, StoreError> {
    open_embedded(folder, Arc::new(WallClock)).await
}

fn name(n: u64) -> Result<DomainName, Box<dyn Error + Send + Sync>> {
    Ok(DomainName::parse(&format!("shop{n}.customer.example.com"))?)
}

fn change(n: u64) -> Result<Change, Box<dyn Error + Send + Sync>> {
    let registration =
        Registration { tenant: Some(format!("tenant-{}", n % 1_000)), ..Registration::default() };
    let record = DomainRecord::registered(name(n)?, registration, WallClock.now());
    let mut change = Change::of(record, Expected::Absent);
    if n.is_multiple_of(CERTIFIED_EVERY) {
        // As large as a real one: two certificates and a sealed key.
        let chain = Chain::from_pem("x".repeat(3_500))?;
        let key = SealedKey::new(vec![7; 260]);
        change.certificate = CertificateChange::Replace(StoredCertificate { chain, key });
    }
    Ok(change)
}

fn rate(count: u64, seconds: f64) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (f64::from(count) / seconds).round()
}

fn rss_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}
