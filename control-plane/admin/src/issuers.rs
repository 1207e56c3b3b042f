//! The issuers, and taking over the account another program has with one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use sealwax_acme::{AdoptError, FoundAccount};
use sealwax_core::issuer::IssueError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::AdminApi;
use super::certificate::wiped;
use super::domains::malformed_body;
use super::problems::Refused;
use sealwax_registry::RegistryError;
use sealwax_registry::accounts::{AccountError, AccountStanding};
use sealwax_registry::certificates::read_key;
use sealwax_web::{PROBLEM_JSON, Problem};

/// Longest account URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// The configured issuers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuersView {
    /// In the configuration's order: the first one is asked first.
    pub issuers: Vec<IssuerView>,
}

/// A configured issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerView {
    /// Its name.
    pub name: String,
    /// Its ACME directory.
    pub directory: String,
    /// There is an account; otherwise one is made with the first order.
    pub has_account: bool,
}

/// An account as another program keeps it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    /// Its private key, PKCS#8 in PEM: P-256 or RSA.
    #[serde(deserialize_with = "wiped")]
    #[schema(value_type = String)]
    key_pem: Zeroizing<String>,
    /// Its URL, if the program kept that.
    #[serde(default)]
    account_url: Option<String>,
    /// Orders are signed with P-256: an RSA key is replaced by a new one at the CA, if this is
    /// true, and the other program can order nothing more.
    #[serde(default)]
    replace_key: bool,
}

/// An issuer's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The issuer.
    pub issuer: String,
    /// The account's URL.
    pub account_url: String,
}

/// The configured issuers.
#[utoipa::path(get, path = "/v1/issuers", tag = "process",
    responses((status = 200, description = "The issuers", body = IssuersView), Problem))]
pub(super) async fn list(State(api): State<AdminApi>) -> Result<Json<IssuersView>, Refused> {
    let shown = |one: AccountStanding| IssuerView {
        name: one.name,
        directory: one.directory,
        has_account: one.kept,
    };
    let all = api.accounts.all().await?;
    Ok(Json(IssuersView { issuers: all.into_iter().map(shown).collect() }))
}

/// Takes over the account another program has with the issuer's CA, so that renewals of what it
/// ordered stay exempt from limits. Needs a token that may take keys: whoever has the account can
/// revoke.
#[utoipa::path(put, path = "/v1/issuers/{issuer}/account", tag = "process",
    params(("issuer" = String, Path, description = "The issuer's name in the configuration")),
    request_body(content = AccountBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It is the issuer's", body = AccountView),
        (status = 409, description = "It has another account, or the key would be replaced",
            body = Problem, content_type = PROBLEM_JSON),
        (status = 422, description = "The key is of no use", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn adopt(
    State(api): State<AdminApi>,
    Path(issuer): Path<String>,
    body: Bytes,
) -> Result<Json<AccountView>, Refused> {
    // The parser's words may quote what it stumbled over, and that may be the key.
    let said: AccountBody = serde_json::from_slice(&body).map_err(|_| {
        malformed_body(
            "the body is {\"key_pem\": TEXT, \"account_url\": TEXT, \"replace_key\": BOOL}",
        )
    })?;
    if said.account_url.as_ref().is_some_and(|url| url.len() > URL_BYTES_MAX) {
        return Err(malformed_body(format!("account_url has at most {URL_BYTES_MAX} bytes")));
    }
    let key = read_key(&said.key_pem)?;
    let found = FoundAccount { key, url: said.account_url, replace_key: said.replace_key };
    let account_url = api.accounts.adopt(&issuer, found).await?;
    Ok(Json(AccountView { issuer, account_url }))
}

/// Gives an issuer's account a new key (RFC 8555 section 7.3.5). Its URL and its orders stay. One
/// that was cut short is gone on with by asking again.
#[utoipa::path(post, path = "/v1/issuers/{issuer}/account/rollover", tag = "process",
    params(("issuer" = String, Path, description = "The issuer's name in the configuration")),
    responses(
        (status = 200, description = "It has a new key", body = AccountView),
        (status = 502, description = "The CA did not do it", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn rollover(
    State(api): State<AdminApi>,
    Path(issuer): Path<String>,
) -> Result<Json<AccountView>, Refused> {
    let account_url = api.accounts.roll_over(&issuer).await?;
    Ok(Json(AccountView { issuer, account_url }))
}

/// Tells the CA the configured contact of an issuer (RFC 8555 section 7.3.2), or that there is none.
#[utoipa::path(post, path = "/v1/issuers/{issuer}/account/contact", tag = "process",
    params(("issuer" = String, Path, description = "The issuer's name in the configuration")),
    responses(
        (status = 200, description = "The CA has it", body = AccountView),
        (status = 502, description = "The CA did not take it", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn contact(
    State(api): State<AdminApi>,
    Path(issuer): Path<String>,
) -> Result<Json<AccountView>, Refused> {
    let account_url = api.accounts.update_contact(&issuer).await?;
    Ok(Json(AccountView { issuer, account_url }))
}

/// Gives an issuer's account up, whatever the CA thinks of it, and registers a new one in its
/// place: for one that the CA closed or lost in a way that is not told by itself. Certificates
/// stay; orders in flight are placed anew; renewals of what the one before ordered count against
/// the CA's limits. Needs a token that may take keys.
#[utoipa::path(post, path = "/v1/issuers/{issuer}/account/reset", tag = "process",
    params(("issuer" = String, Path, description = "The issuer's name in the configuration")),
    responses(
        (status = 200, description = "It has a new account", body = AccountView),
        (status = 502, description = "The CA made none: what there was stays", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn reset(
    State(api): State<AdminApi>,
    Path(issuer): Path<String>,
) -> Result<Json<AccountView>, Refused> {
    let account_url = api.accounts.reset(&issuer).await?;
    Ok(Json(AccountView { issuer, account_url }))
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        let detail = error.to_string();
        let (status, kind) = match error {
            AccountError::NoIssuer(_) => (StatusCode::NOT_FOUND, "no-such-issuer"),
            AccountError::Ca(_) => (StatusCode::BAD_GATEWAY, "ca-refused"),
            AccountError::Store(error) => return RegistryError::Store(error).into(),
            AccountError::Adopt(AdoptError::HasAnother { .. }) => {
                (StatusCode::CONFLICT, "account-kept")
            }
            AccountError::Adopt(AdoptError::WouldReplaceKey) => {
                (StatusCode::CONFLICT, "key-replacement")
            }
            AccountError::Adopt(AdoptError::Ca(IssueError::Retry { .. })) => {
                (StatusCode::SERVICE_UNAVAILABLE, "ca-unavailable")
            }
            // A key the CA does not know, among others.
            AccountError::Adopt(_) => (StatusCode::UNPROCESSABLE_ENTITY, "account-refused"),
        };
        Self::new(status, kind, detail)
    }
}
