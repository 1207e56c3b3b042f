//! Handing another program's ACME account to the control plane.

use std::collections::BTreeMap;

use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use super::super::client::AdminClient;
use super::super::domains::NO_BODY;
use super::super::exit::{DONE, Failed, worst};
use super::super::output::remark;
use super::bundle::Bundle;
use sealwax_admin::{AccountView, IssuersView};

/// An account as a program keeps it.
pub(super) struct Found {
    /// What [`Bundle::account`] says of the certificates it ordered.
    pub(super) mark: String,
    /// The CA.
    pub(super) directory: Directory,
    /// PKCS#8 in PEM.
    pub(super) key: Zeroizing<String>,
    /// The account's URL.
    pub(super) url: Option<String>,
}

/// How a program notes which CA an account is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Directory {
    /// The directory's URL.
    Url(String),
    /// What Caddy makes of it for a folder's name.
    Caddy(String),
    /// All that is known is the account's URL: it is with the CA at the same host.
    Account(String),
}

impl Directory {
    pub(super) fn is(&self, directory: &str) -> bool {
        match self {
            Self::Url(url) => url == directory,
            Self::Caddy(folder) => *folder == caddy_folder(directory),
            Self::Account(url) => origin(url).is_some() && origin(url) == origin(directory),
        }
    }
}

/// Host and port of a URL.
fn origin(url: &str) -> Option<(String, Option<u16>)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

fn caddy_folder(directory: &str) -> String {
    let bare = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    bare.trim_end_matches('/').to_ascii_lowercase().replace(['/', ':'], "-")
}

/// Which issuers got an account, by the mark of the certificates it ordered.
#[derive(Default)]
pub(super) struct Taken {
    issuers: BTreeMap<String, String>,
    pub(super) code: u8,
}

impl Taken {
    /// The issuer whose account ordered this.
    pub(super) fn issuer_of(&self, bundle: &Bundle) -> Option<&str> {
        self.issuers.get(bundle.account.as_ref()?).map(String::as_str)
    }
}

#[derive(Serialize)]
struct Handed<'a> {
    key_pem: &'a str,
    account_url: Option<&'a str>,
    replace_key: bool,
}

/// Hands over what was found. That an account is not taken keeps no certificate from being
/// brought along; it is a failure only where taking it was asked for.
pub(super) async fn take(
    client: &AdminClient,
    found: Vec<Result<Found, Failed>>,
    asked_for: bool,
) -> Taken {
    let mut taken = Taken::default();
    let failed = |taken: &mut Taken, failed: Failed| {
        remark(&failed.message);
        taken.code = if asked_for { worst(taken.code, failed.code) } else { DONE };
    };
    if found.is_empty() {
        if asked_for {
            failed(&mut taken, Failed::new("there is no ACME account there"));
        }
        return taken;
    }
    let path = ["v1", "issuers"];
    let known = client.ask::<IssuersView>(Method::GET, &path, &[], NO_BODY).await;
    let issuers = match known {
        Ok(known) => known.issuers,
        Err(error) => {
            failed(&mut taken, error);
            return taken;
        }
    };
    for account in found {
        let account = match account {
            Ok(account) => account,
            Err(error) => {
                failed(&mut taken, error);
                continue;
            }
        };
        let Some(issuer) = issuers.iter().find(|issuer| account.directory.is(&issuer.directory))
        else {
            remark(&format!("no [[issuer]] has the CA of account {}: it is left", account.mark));
            continue;
        };
        let path = ["v1", "issuers", &issuer.name, "account"];
        let body = Handed {
            key_pem: &account.key,
            account_url: account.url.as_deref(),
            replace_key: asked_for,
        };
        match client.ask::<AccountView>(Method::PUT, &path, &[], Some(&body)).await {
            Ok(view) => {
                remark(&format!("issuer {}: account {} taken over", issuer.name, view.account_url));
                taken.issuers.insert(account.mark, issuer.name.clone());
            }
            Err(Failed { message, .. }) => {
                let message = format!("account {}: {message}", account.mark);
                failed(&mut taken, Failed::new(message));
            }
        }
    }
    taken
}
