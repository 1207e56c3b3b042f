//! A million domains in the embedded store.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealwax_core::store::Store as _;
use sealwax_protocol::DomainName;
use sealwax_store::open_embedded;
use sealwax_system::SystemClock;
use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, LoopbackPki, StoreSettings, sealwax_binary,
};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::figure::Figure;
use crate::tell;

/// Domains, unless `SEALWAX_BENCH_DOMAINS` says otherwise: figures of a million are then left out.
const DOMAINS: u64 = 1_000_000;
/// Longest an import may take.
const IMPORT_MAX: Duration = Duration::from_secs(1_800);
/// Starts timed.
const STARTS: usize = 5;
/// Look-ups timed, by a stride that no cache likes.
const LOOKUPS: u64 = 20_000;
const STRIDE: u64 = 104_729;
const PRIME: u64 = 1_000_003;

pub(super) async fn measure() -> Result<Vec<Figure>> {
    let domains = match std::env::var("SEALWAX_BENCH_DOMAINS") {
        Ok(said) => said.parse().context("SEALWAX_BENCH_DOMAINS")?,
        Err(_) => DOMAINS,
    };
    let folder = tempfile::tempdir()?;
    // Nothing is ordered: nobody listens there.
    let ca_file = folder.path().join("root.pem");
    std::fs::write(&ca_file, LoopbackPki::generate()?.root_pem)?;
    let mut control_plane = ControlPlane::start(&ControlPlaneSettings {
        directory: "https://localhost:9/dir".to_owned(),
        ca_file,
        store: StoreSettings::Embedded,
        max_wait: "10s",
        more: String::new(),
    })
    .await?;
    let list = folder.path().join("domains");
    write_list(&list, domains)?;
    let began = Instant::now();
    import(&control_plane, &list, domains).await?;
    let rate = per_s(domains, began.elapsed());
    let importing = memory_mb(control_plane.process().id())?;
    let mut figures = vec![
        Figure::of("store.import_per_s", "domains/s", vec![rate]),
        Figure::of("store.rss_import_mb", "MB", vec![importing]),
    ];
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        control_plane.terminate().await?;
        let began = Instant::now();
        control_plane.restart().await?;
        ready.push(millis(began.elapsed()));
        ask_around(&control_plane, domains).await?;
        memory.push(memory_mb(control_plane.process().id())?);
    }
    if domains == DOMAINS {
        figures.push(Figure::of("store.ready_1m_ms", "ms", ready));
        figures.push(Figure::of("store.rss_1m_mb", "MB", memory));
    } else {
        tell(&format!("with {domains} domains: ready after {ready:.0?} ms, {memory:.0?} MB"));
    }
    control_plane.terminate().await?;
    figures.extend(look_up(&control_plane.folder().join("store"), domains).await?);
    Ok(figures)
}

fn name(n: u64) -> String {
    format!("shop-{n}.customer.example.com")
}

fn write_list(path: &Path, domains: u64) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for n in 0..domains {
        writeln!(file, "{}", name(n))?;
    }
    Ok(file.flush()?)
}

/// Through the command line, as a user does it.
async fn import(control_plane: &ControlPlane, list: &Path, domains: u64) -> Result<()> {
    let mut command = Command::new(sealwax_binary()?);
    command.args(["domain", "import", "--tenant", "bench"]).arg(list);
    command.env("SEALWAX_SERVER", format!("http://{}", control_plane.admin_address()));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        timeout(IMPORT_MAX, command.output()).await.context("the import takes too long")??;
    let told = String::from_utf8_lossy(&output.stdout);
    let done = format!("{domains} registered, 0 were registered already, 0 failed");
    ensure!(told.contains(&done), "{told}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Something to remember: the caches hold what was asked for.
async fn ask_around(control_plane: &ControlPlane, domains: u64) -> Result<()> {
    let admin = control_plane.admin();
    for n in 0..200 {
        admin.show(&name((n * STRIDE) % domains)).await?;
        control_plane.edge().ask(&format!("unknown-{n}.example.com")).await?;
    }
    let page = admin.send("GET", "/v1/domains?limit=1000", "").await?;
    ensure!(page.status == 200, "{}", page.text());
    Ok(())
}

async fn look_up(folder: &Path, domains: u64) -> Result<Vec<Figure>> {
    let store = open_embedded(folder, Arc::new(SystemClock)).await?;
    let mut micros = Vec::new();
    let (mut at, began) = (1, Instant::now());
    for _ in 0..LOOKUPS {
        at = (at * STRIDE) % PRIME;
        let one = Instant::now();
        let found = store.load(&[DomainName::parse(&name(at % domains))?]).await?;
        micros.push(one.elapsed().as_secs_f64() * 1e6);
        ensure!(found.iter().all(Option::is_some), "{} is missing", name(at % domains));
    }
    let rate = per_s(LOOKUPS, began.elapsed());
    micros.sort_by(f64::total_cmp);
    Ok(vec![
        Figure::of("store.get_p50_us", "µs", vec![quantile(&micros, 50)]),
        Figure::of("store.get_p99_us", "µs", vec![quantile(&micros, 99)]),
        Figure::of("store.get_per_s", "lookups/s", vec![rate]),
    ])
}

/// Of sorted values.
pub(super) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

pub(super) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn per_s(count: u64, span: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / span.as_secs_f64()
}

/// The most a process ever had of memory (`VmHWM`).
fn memory_mb(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 =
        line.and_then(|line| line.trim().strip_suffix("kB")).context("VmHWM")?.trim().parse()?;
    Ok(kilobytes / 1024.0)
}
