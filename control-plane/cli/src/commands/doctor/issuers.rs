//! Certificate authorities: reachable, what clock they have, what they ask for, how they answered.

use std::time::Duration;

use reqwest::{Certificate, Client};
use serde::Deserialize;

use super::Check;
use sealwax_config::{Issuer, Staging};
use sealwax_core::{Clock as _, trial};
use sealwax_system::SystemClock;
use sealwax_telemetry::metrics::IssuerStanding;

/// How long a directory may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Clocks that are further apart than this make requests and certificates look wrong.
const SKEW_BAD_SECS: u64 = 300;
/// Clocks that are further apart than this are not synchronised.
const SKEW_ODD_SECS: u64 = 30;
/// Largest directory read, in bytes.
const DIRECTORY_BYTES_MAX: usize = 64 * 1024;

/// An ACME directory (RFC 8555 section 7.1.1), as far as it is looked at.
#[derive(Deserialize)]
struct Directory {
    #[serde(rename = "newOrder")]
    _new_order: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    #[serde(default)]
    external_account_required: bool,
}

/// Directory and clock, and the directory of the staging.
pub(super) async fn directory(issuer: &Issuer) -> Vec<Check> {
    let mut checks = production(issuer).await;
    if let Some(staging) = &issuer.staging {
        checks.push(rehearsal(issuer, staging).await);
    }
    checks
}

/// Nothing depends on a staging: what is wrong with it is a warning.
async fn rehearsal(issuer: &Issuer, staging: &Staging) -> Check {
    let name = format!("CA {}", trial::staging_name(&issuer.name));
    let lost = "what failed is ordered without a trial";
    let tried = Issuer {
        directory: staging.directory.clone(),
        ca_file: staging.ca_file.clone(),
        binding: staging.binding.clone(),
        ..issuer.clone()
    };
    let found = fetch(&tried).await.and_then(|(answer, _)| read(&tried, &answer));
    match found {
        Ok(_) => Check::ok(name, ""),
        Err(said) => Check::warning(name, format!("{}: {said}; {lost}", tried.directory)),
    }
}

async fn production(issuer: &Issuer) -> Vec<Check> {
    let name = format!("CA {}", issuer.name);
    let (answer, date) = match fetch(issuer).await {
        Ok(found) => found,
        Err(said) => {
            return vec![Check::failed(
                name,
                format!(
                    "{}: {said}. Check [[issuer]] directory and ca_file, and the way out",
                    issuer.directory
                ),
            )];
        }
    };
    let mut checks = vec![judged(name, issuer, &answer)];
    checks.push(clock(&issuer.name, date));
    checks
}

async fn fetch(issuer: &Issuer) -> Result<(Vec<u8>, Option<u64>), String> {
    // A client has to say who it is (RFC 8555 section 6.1).
    let agent = concat!("sealwax/", env!("CARGO_PKG_VERSION"));
    let mut builder = Client::builder().timeout(ANSWER_WITHIN).user_agent(agent);
    if let Some(path) = &issuer.ca_file {
        let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        builder = builder.tls_certs_only(roots);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    let sent = client.get(issuer.directory.clone()).send().await;
    let mut answer = sent.map_err(|error| super::super::client::innermost(&error))?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status()));
    }
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let date = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if body.len().saturating_add(chunk.len()) > DIRECTORY_BYTES_MAX {
            return Err("the directory is larger than 64 KiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, date.map(|date| date.as_secs())))
}

/// What keeps it from being used.
fn read(issuer: &Issuer, answer: &[u8]) -> Result<Directory, String> {
    let Ok(directory) = serde_json::from_slice::<Directory>(answer) else {
        let url = &issuer.directory;
        return Err(format!("{url} is no ACME directory: see [[issuer]] directory"));
    };
    if directory.meta.external_account_required && issuer.binding.is_none() {
        let said = "it wants an external account binding: set eab_kid and eab_hmac_key_file";
        return Err(said.to_owned());
    }
    Ok(directory)
}

fn judged(name: String, issuer: &Issuer, answer: &[u8]) -> Check {
    let directory = match read(issuer, answer) {
        Ok(directory) => directory,
        Err(said) => return Check::failed(name, said),
    };
    if issuer.directory.host_str().is_some_and(|host| host.contains("staging")) {
        let said = "a staging CA: no browser trusts its certificates. Name the real directory when you are ready";
        return Check::warning(name, said);
    }
    let terms = directory.meta.terms_of_service;
    Check::ok(name, terms.map(|terms| format!("terms: {terms}")).unwrap_or_default())
}

fn clock(issuer: &str, date: Option<u64>) -> Check {
    let name = format!("clock, against {issuer}");
    let Some(theirs) = date else { return Check::ok(name, "it does not say what time it has") };
    let apart = SystemClock.now().secs().abs_diff(theirs);
    let said =
        format!("{apart} s apart: synchronise this machine's clock (systemd-timesyncd, chrony)");
    if apart <= SKEW_ODD_SECS {
        Check::ok(name, "")
    } else if apart <= SKEW_BAD_SECS {
        Check::warning(name, said)
    } else {
        Check::failed(name, said)
    }
}

/// How the control plane found it.
pub(super) fn standing(standing: &IssuerStanding) -> Check {
    let name = format!("account at {}", standing.name);
    match (&standing.last_error, &standing.last_success_at) {
        (Some(error), _) if standing.errors_in_a_row > 0 => Check::warning(
            name,
            format!("{} errors in a row, the last: {error}", standing.errors_in_a_row),
        ),
        (_, Some(_)) => Check::ok(name, ""),
        (_, None) => Check::ok(name, "not asked for anything yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn clocks_that_differ_are_noticed() {
        let now = SystemClock.now().secs();
        let verdict = |date| clock("ca", date).verdict;
        assert_eq!(verdict(Some(now)), Verdict::Ok);
        assert_eq!(verdict(Some(now - 100)), Verdict::Warning);
        assert_eq!(verdict(Some(now + 1_000)), Verdict::Failed);
        assert_eq!(verdict(None), Verdict::Ok);
    }

    #[test]
    fn what_is_not_a_directory_or_wants_more_is_noticed() {
        let issuer = Issuer {
            name: "ca".to_owned(),
            directory: "https://ca.example/dir".parse().unwrap(),
            contact: Vec::new(),
            ca_file: None,
            binding: None,
            profile: None,
            key_type: sealwax_core::record::KeyType::default(),
            limits: None,
            staging: None,
        };
        let verdict = |answer: &str| judged("CA".to_owned(), &issuer, answer.as_bytes()).verdict;
        assert_eq!(verdict(r#"{"newOrder":"https://ca.example/order"}"#), Verdict::Ok);
        assert_eq!(verdict("<html>"), Verdict::Failed);
        let bound = r#"{"newOrder":"x","meta":{"externalAccountRequired":true}}"#;
        assert_eq!(verdict(bound), Verdict::Failed);
    }
}
