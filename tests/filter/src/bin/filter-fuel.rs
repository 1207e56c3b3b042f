//! What the filter costs, in fuel and bytes: the same on every machine for the same module.
//!
//! `filter-fuel [--hosts N] [--check | --write-baseline]` prints the figures as JSON. `--check`
//! fails if one is more than 5 % above `tests/filter/baseline.json`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sealwax_filter_tests::{key_authorization, module, program, ready, settings, unknown};
use serde_json::{Map, Value, json};
use wasm_host::{CalloutEnd, Program, Proxy, Request};

/// How much worse a figure may be than its baseline, in percent.
const WORSE_PERCENT_MAX: u64 = 5;
/// Hosts in the growth measurement, unless told otherwise.
const HOSTS: u32 = 1_000_000;
/// Hosts before memory counts as warm: more than the cache has entries.
const WARM_HOSTS: u32 = 20_000;
/// Requests between two ticks.
const REQUESTS_PER_TICK: u32 = 512;

const DOMAIN: &str = "blog.example.com";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "filter-fuel: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let mut hosts = HOSTS;
    let (mut check, mut write) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--write-baseline" => write = true,
            "--hosts" => hosts = arguments.next().ok_or("--hosts needs a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let measured = measure(hosts)?;
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.json");
    if write {
        let baseline: Map<_, _> =
            measured.iter().map(|(name, _, value)| ((*name).to_owned(), json!(value))).collect();
        std::fs::write(&path, format!("{:#}\n", Value::Object(baseline)))?;
    }
    let baseline: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let mut figures = Vec::new();
    let mut worse = Vec::new();
    for (name, unit, value) in measured {
        let before = baseline.get(name).and_then(Value::as_u64);
        figures.push(json!({"name": name, "value": value, "unit": unit, "baseline": before,
            "runs": [value]}));
        let before = before.ok_or_else(|| format!("{name} has no baseline"))?;
        if value * 100 > before * (100 + WORSE_PERCENT_MAX) {
            worse.push(format!("{name}: {value} {unit}, baseline {before}"));
        }
    }
    writeln!(std::io::stdout(), "{:#}", json!({ "figures": figures }))?;
    if check {
        for line in &worse {
            writeln!(std::io::stderr(), "more than {WORSE_PERCENT_MAX} % worse: {line}")?;
        }
    }
    Ok(!check || worse.is_empty())
}

fn measure(hosts: u32) -> Result<Vec<(&'static str, &'static str, u64)>, Failure> {
    let program = program()?;
    Ok(vec![
        ("filter.fuel_bypass", "fuel", bypass(&program)?),
        ("filter.fuel_redirect", "fuel", redirect(&program)?),
        ("filter.fuel_challenge", "fuel", challenge(&program)?),
        ("filter.fuel_miss", "fuel", miss(&program)?),
        ("filter.module_bytes", "bytes", u64::try_from(module()?.len())?),
        ("filter.growth_1m_hosts_bytes", "bytes", growth(&program, hosts)?),
    ])
}

fn start(program: &Program, more: &Value) -> Result<Proxy, Failure> {
    Ok(Proxy::start(program, settings(more))?)
}

/// The fuel of a request from its first callback to its last.
fn whole(proxy: &mut Proxy, request: Request, end: Option<CalloutEnd>) -> u64 {
    let stream = proxy.request(0, request);
    let mut fuel = proxy.fuel(0);
    if let (Some(callout), Some(end)) = (proxy.callouts().first(), end) {
        proxy.end_callout(callout.id, end);
        fuel += proxy.fuel(0);
    }
    proxy.end(stream);
    fuel + proxy.fuel(0)
}

fn page() -> Request {
    Request::get(DOMAIN, "/articles/2027/01?page=2")
        .header("user-agent", "Mozilla/5.0")
        .header("accept", "*/*")
}

/// A request that passes: its domain is ready and redirects are off.
fn bypass(program: &Program) -> Result<u64, Failure> {
    let mut proxy = start(program, &json!({"redirect": {"enabled": false}}))?;
    whole(&mut proxy, page(), Some(ready(DOMAIN, 600)));
    Ok(whole(&mut proxy, page(), None))
}

/// A request that is redirected from the cache.
fn redirect(program: &Program) -> Result<u64, Failure> {
    let mut proxy = start(program, &json!({}))?;
    whole(&mut proxy, page(), Some(ready(DOMAIN, 600)));
    Ok(whole(&mut proxy, page(), None))
}

/// A challenge that is answered from the cache.
fn challenge(program: &Program) -> Result<u64, Failure> {
    const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
    let request = Request::get(DOMAIN, format!("/.well-known/acme-challenge/{TOKEN}"));
    let mut proxy = start(program, &json!({}))?;
    whole(&mut proxy, request.clone(), Some(key_authorization(TOKEN)));
    Ok(whole(&mut proxy, request, None))
}

/// A request for an unseen domain, its callout, and the redirect.
fn miss(program: &Program) -> Result<u64, Failure> {
    let mut proxy = start(program, &json!({}))?;
    Ok(whole(&mut proxy, page(), Some(ready(DOMAIN, 600))))
}

/// Bytes of linear memory gained by `hosts` requests for as many hosts.
fn growth(program: &Program, hosts: u32) -> Result<u64, Failure> {
    let mut proxy = start(program, &json!({}))?;
    let visit = |proxy: &mut Proxy, index: u32| {
        let host = format!("host-{index}.example.com");
        let end = if index.is_multiple_of(2) { ready(&host, 60) } else { unknown(60) };
        whole(proxy, Request::get(&host, "/"), Some(end));
        if index.is_multiple_of(REQUESTS_PER_TICK) {
            proxy.advance(Duration::from_millis(200));
        }
    };
    (0..WARM_HOSTS).for_each(|index| visit(&mut proxy, index));
    let before = proxy.memory_bytes(0);
    (WARM_HOSTS..WARM_HOSTS.saturating_add(hosts)).for_each(|index| visit(&mut proxy, index));
    match proxy.trap(0) {
        Some(trap) => Err(trap.into()),
        None => Ok(u64::try_from(proxy.memory_bytes(0) - before)?),
    }
}
