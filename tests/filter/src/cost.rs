//! What the filter costs, in fuel and bytes: the same on every machine for the same module.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wasm_host::{CalloutEnd, Program, Proxy, Request};

use crate::{key_authorization, module, ready, settings, unknown};

/// How far a figure may be from its baseline, in percent: what is worse is a regression, and a
/// baseline that what is better has left behind would hide the next one.
pub const OFF_PERCENT_MAX: u64 = 5;

/// Least hosts before memory counts as warm; a long measurement warms up with a fiftieth.
const WARM_HOSTS_MIN: u32 = 2_000;
/// Requests between two ticks.
const REQUESTS_PER_TICK: u32 = 512;

const DOMAIN: &str = "blog.example.com";

/// What stops a measurement.
pub type Failure = Box<dyn std::error::Error>;

/// A measured figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// As `make bench` names it.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// How many.
    pub value: u64,
}

impl Cost {
    /// Whether it is more than [`OFF_PERCENT_MAX`] above `baseline`.
    #[must_use]
    pub const fn is_worse_than(&self, baseline: u64) -> bool {
        self.value * 100 > baseline * (100 + OFF_PERCENT_MAX)
    }

    /// Whether it is more than [`OFF_PERCENT_MAX`] below `baseline`.
    #[must_use]
    pub const fn is_better_than(&self, baseline: u64) -> bool {
        self.value * 100 < baseline * (100 - OFF_PERCENT_MAX)
    }
}

/// Measures everything, with `hosts` hosts for the growth of memory.
///
/// # Errors
/// The module does not start, or traps.
pub fn measure(program: &Program, hosts: u32) -> Result<Vec<Cost>, Failure> {
    let fuel = |name, value| Cost { name, unit: "fuel", value };
    let bytes = |name, value| Cost { name, unit: "bytes", value };
    Ok(vec![
        fuel("filter.fuel_bypass", bypass(program)?),
        fuel("filter.fuel_redirect", redirect(program)?),
        fuel("filter.fuel_challenge", challenge(program)?),
        fuel("filter.fuel_miss", miss(program)?),
        bytes("filter.module_bytes", u64::try_from(module()?.len())?),
        bytes("filter.growth_1m_hosts_bytes", growth(program, hosts)?),
    ])
}

/// Where the figures are recorded.
#[must_use]
pub fn baseline_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

/// The recorded figures, by name.
///
/// # Errors
/// They cannot be read.
pub fn baseline() -> Result<Map<String, Value>, Failure> {
    Ok(serde_json::from_slice(&std::fs::read(baseline_path())?)?)
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
    let warm = (hosts / 50).max(WARM_HOSTS_MIN);
    (0..warm).for_each(|index| visit(&mut proxy, index));
    let before = proxy.memory_bytes(0);
    (warm..warm.saturating_add(hosts)).for_each(|index| visit(&mut proxy, index));
    match proxy.trap(0) {
        Some(trap) => Err(trap.into()),
        None => Ok(u64::try_from(proxy.memory_bytes(0) - before)?),
    }
}
