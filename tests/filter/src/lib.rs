//! The built filter under the wasm host: what tests and benchmarks share.

pub mod cost;

use std::path::PathBuf;

use serde_json::{Value, json};
use wasm_host::{CalloutEnd, Program, Settings};

/// Where the module is, if not where `make` puts it.
pub const MODULE_VARIABLE: &str = "SEALWAX_FILTER_WASM";
/// The cluster of the control plane.
pub const CLUSTER: &str = "edge";

/// The built and packed module's path.
#[must_use]
pub fn module_path() -> PathBuf {
    std::env::var_os(MODULE_VARIABLE).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/sealwax_filter.wasm"),
        PathBuf::from,
    )
}

/// The built and packed module's bytes.
///
/// # Errors
/// Says where it was looked for and what builds it.
pub fn module() -> Result<Vec<u8>, String> {
    let path = module_path();
    std::fs::read(&path).map_err(|error| {
        format!(
            "{}: {error}. `make filter` builds the module; {MODULE_VARIABLE} names another place",
            path.display()
        )
    })
}

/// The compiled module.
///
/// # Errors
/// As [`module`], or why it does not compile.
pub fn program() -> Result<Program, String> {
    Program::new(&module()?).map_err(|error| error.to_string())
}

/// A proxy with the control plane's cluster. `more` is merged over `{"cluster":"edge"}`.
#[must_use]
pub fn settings(more: &Value) -> Settings {
    let mut configuration = json!({ "cluster": CLUSTER });
    if let (Some(all), Some(more)) = (configuration.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    Settings::new(configuration.to_string()).cluster(CLUSTER)
}

/// `domain` is ready, for `max_age_s` seconds.
#[must_use]
pub fn ready(domain: &str, max_age_s: u64) -> CalloutEnd {
    let body = json!({"domain": domain, "state": "ready", "not_after": "2027-03-01T00:00:00Z"});
    CalloutEnd::response(200, body.to_string())
        .with_header("content-type", "application/json")
        .with_header("cache-control", format!("max-age={max_age_s}"))
}

/// Its certificate is being issued.
#[must_use]
pub fn pending(retry_after_s: u64) -> CalloutEnd {
    let body = json!({"state": "pending", "retry_after": retry_after_s});
    CalloutEnd::response(202, body.to_string())
}

/// It is not registered.
#[must_use]
pub fn unknown(max_age_s: u64) -> CalloutEnd {
    CalloutEnd::response(404, r#"{"state":"unknown"}"#)
        .with_header("cache-control", format!("max-age={max_age_s}"))
}

/// The key authorization of `token`.
#[must_use]
pub fn key_authorization(token: &str) -> CalloutEnd {
    CalloutEnd::response(200, format!("{token}.{THUMBPRINT}"))
        .with_header("content-type", "text/plain")
}

/// An account key's thumbprint, as long as a real one.
pub const THUMBPRINT: &str = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ";
