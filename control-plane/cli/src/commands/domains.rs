//! `sealwax domain add|show|list|remove|renew`

use http::Method;

use super::arguments::{Add, List, Names, Registration, Renew};
use super::client::AdminClient;
use super::exit::{DONE, Failed, Outcome, worst};
use super::output::{Output, remark};
use super::table::{clean, table};
use sealwax_admin::{DomainView, PageView, RegistrationBody};

/// Domains asked for at a time while listing.
const PAGE: u64 = 500;

const HEADING: [&str; 6] = ["DOMAIN", "STATE", "EXPIRES", "RENEWS", "TENANT", "PROBLEM"];

impl From<Registration> for RegistrationBody {
    fn from(said: Registration) -> Self {
        Self {
            tenant: said.tenant,
            issuer: said.issuer,
            profile: said.profile,
            key_type: said.key_type,
            priority: said.priority,
        }
    }
}

pub(super) async fn add(client: &AdminClient, output: &mut Output, add: Add) -> Outcome {
    let body = RegistrationBody::from(add.registration);
    let keep = add.keep_certificate.then(|| ("keep_certificate", "true".to_owned()));
    let if_tenant = add.if_tenant.map(|tenant| ("if_tenant", tenant));
    let query: Vec<_> = keep.into_iter().chain(if_tenant).collect();
    each(output, &add.names, async |domain| {
        client.ask(Method::PUT, &["v1", "domains", domain], &query, Some(&body)).await
    })
    .await
}

pub(super) async fn show(client: &AdminClient, output: &mut Output, names: &Names) -> Outcome {
    each(output, names, async |domain| {
        client.ask(Method::GET, &["v1", "domains", domain], &[], NO_BODY).await
    })
    .await
}

pub(super) async fn renew(client: &AdminClient, output: &mut Output, renew: &Renew) -> Outcome {
    let query = [("force", renew.force.to_string())];
    each(output, &renew.names, async |domain| {
        client.ask(Method::POST, &["v1", "domains", domain, "renew"], &query, NO_BODY).await
    })
    .await
}

pub(super) async fn remove(client: &AdminClient, output: &mut Output, names: &Names) -> Outcome {
    let mut code = DONE;
    for domain in &names.domains {
        match client.tell(Method::DELETE, &["v1", "domains", domain]).await {
            Ok(()) if output.json => {
                output.value(&serde_json::json!({ "domain": domain, "removed": true }))?;
            }
            Ok(()) => output.text(&format!("{domain} removed\n"))?,
            Err(failed) => {
                remark(&about(domain, &failed));
                code = worst(code, failed.code);
            }
        }
    }
    if code == DONE { Ok(()) } else { Err(Failed::said(code)) }
}

pub(super) async fn list(client: &AdminClient, output: &mut Output, list: &List) -> Outcome {
    let mut rest = list.limit;
    let mut cursor: Option<String> = None;
    let mut views = Vec::new();
    while rest > 0 {
        let query = query(list, rest.min(PAGE), cursor.as_deref());
        let page: PageView = client.ask(Method::GET, &["v1", "domains"], &query, NO_BODY).await?;
        let count = u64::try_from(page.domains.len()).unwrap_or(u64::MAX);
        rest = rest.saturating_sub(count);
        if output.json {
            for view in &page.domains {
                output.value(view)?;
            }
        } else {
            views.extend(page.domains);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if !output.json {
        print(output, &views)?;
    }
    if cursor.is_some() {
        remark(&format!("there are more than {}; list more with --limit", list.limit));
    }
    Ok(())
}

fn query(list: &List, limit: u64, cursor: Option<&str>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", limit.to_string())];
    let said = [
        ("state", list.state.map(|state| state.as_str().to_owned())),
        ("tenant", list.tenant.clone()),
        ("due_within", list.due_within.clone()),
        ("cursor", cursor.map(str::to_owned)),
    ];
    query.extend(said.into_iter().filter_map(|(name, value)| Some((name, value?))));
    query
}

/// No body, of whatever type.
pub(super) const NO_BODY: Option<&()> = None;

/// Does one thing to each domain and shows the records; goes on after a failure.
async fn each(
    output: &mut Output,
    names: &Names,
    one: impl AsyncFn(&str) -> Result<DomainView, Failed>,
) -> Outcome {
    let mut views = Vec::new();
    let mut code = DONE;
    for domain in &names.domains {
        match one(domain).await {
            Ok(view) if output.json => output.value(&view)?,
            Ok(view) => views.push(view),
            Err(failed) => {
                remark(&about(domain, &failed));
                code = worst(code, failed.code);
            }
        }
    }
    if !views.is_empty() {
        print(output, &views)?;
    }
    if code == DONE { Ok(()) } else { Err(Failed::said(code)) }
}

/// A failure as a line that names the domain once.
fn about(domain: &str, failed: &Failed) -> String {
    let line = clean(&failed.message);
    if line.contains(domain) { line } else { format!("{domain}: {line}") }
}

fn print(output: &mut Output, views: &[DomainView]) -> Outcome {
    let rows: Vec<_> = views.iter().map(row).collect();
    output.people(&table(HEADING, &rows))
}

fn row(view: &DomainView) -> [String; 6] {
    let dash = || "-".to_owned();
    let certificate = view.certificate.as_ref();
    [
        view.domain.clone(),
        view.state.as_str().to_owned(),
        certificate.map_or_else(dash, |held| held.not_after.clone()),
        certificate.and_then(|held| held.renew_at.clone()).unwrap_or_else(dash),
        view.tenant.clone().unwrap_or_else(dash),
        view.failure
            .as_ref()
            .map_or_else(dash, |failure| format!("{}: {}", failure.cause_word(), failure.detail)),
    ]
}
