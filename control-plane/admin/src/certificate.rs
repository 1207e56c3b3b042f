//! Bringing a certificate along, and having one revoked.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::domains::{malformed_body, malformed_query};
use super::problems::Refused;
use super::{AdminApi, parse_name};
use sealwax_core::pem::private_key_pem;
use sealwax_platform::view::DomainView;
use sealwax_registry::RegistryError;
use sealwax_registry::certificates::{Brought, CertificateError};
use sealwax_web::{PROBLEM_JSON, Problem};

/// What an export takes beside chain and key: field names and the domain.
const ENVELOPE_BYTES: usize = 512;

/// A certificate and its key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateBody {
    /// The chain in PEM. It is put in order and written anew: a root, text around the
    /// certificates and a private key among them are not kept.
    chain_pem: String,
    /// The leaf's private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    #[serde(deserialize_with = "wiped")]
    #[schema(value_type = String)]
    key_pem: Zeroizing<String>,
    /// The configured issuer whose account ordered it, as after taking over that account: it is
    /// renewed by itself then, as the renewal that it is.
    #[serde(default)]
    ordered_from: Option<String>,
}

/// How a certificate is put in place.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    /// It takes the place of one that is better too: longer valid, trusted by more, or renewed by
    /// itself.
    #[serde(default)]
    replace: bool,
    /// Everything is checked, and nothing is changed.
    #[serde(default)]
    dry_run: bool,
}

/// A domain with the certificate that was brought along.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedView {
    /// The domain.
    #[serde(flatten)]
    pub domain: DomainView,
    /// What was left out of the chain, and what some visitors may miss.
    pub notes: Vec<String>,
}

/// A certificate that was taken out, with its key.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub struct Exported {
    /// The domain.
    pub domain: String,
    /// The chain, leaf first, PEM.
    pub chain_pem: String,
    /// The leaf's private key, PKCS#8 in PEM.
    #[serde(serialize_with = "clear", deserialize_with = "wiped")]
    #[schema(value_type = String)]
    pub key_pem: Zeroizing<String>,
}

fn clear<S: Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

pub(super) fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

/// Puts a certificate in place that was brought along. It is served at once and never renewed by
/// itself. One that is better stays, unless `replace` says otherwise.
#[utoipa::path(put, path = "/v1/domains/{domain}/certificate", tag = "domains",
    params(("domain" = String, Path, description = "The domain"), ImportQuery),
    request_body(content = CertificateBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It is served", body = ImportedView),
        (status = 409, description = "The one that is served is better", body = Problem,
            content_type = PROBLEM_JSON),
        (status = 422, description = "Chain, key and name do not fit together", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn import(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
    query: Result<Query<ImportQuery>, QueryRejection>,
    body: Bytes,
) -> Result<Json<ImportedView>, Refused> {
    let Query(query) = query.map_err(malformed_query)?;
    let domain = parse_name(&domain)?;
    // The parser's words may quote what it stumbled over, and that may be the key.
    let said: CertificateBody = serde_json::from_slice(&body)
        .map_err(|_| malformed_body("the body is {\"chain_pem\": TEXT, \"key_pem\": TEXT}"))?;
    let brought = Brought {
        chain_pem: &said.chain_pem,
        key_pem: &said.key_pem,
        ordered_from: said.ordered_from.as_deref(),
        replace: query.replace,
        dry_run: query.dry_run,
    };
    let imported = api.certificates.import(&domain, brought).await?;
    let notes = imported.notes.iter().map(ToString::to_string).collect();
    Ok(Json(ImportedView { domain: DomainView::from(&imported.record), notes }))
}

/// Has the CA revoke the certificate that is served; another one is issued at once.
#[utoipa::path(post, path = "/v1/domains/{domain}/certificate/revoke", tag = "domains",
    params(("domain" = String, Path, description = "The domain")),
    responses(
        (status = 202, description = "It is revoked and being replaced", body = DomainView),
        (status = 409, description = "It was not ordered here", body = Problem,
            content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn revoke(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
) -> Result<(StatusCode, Json<DomainView>), Refused> {
    let record = api.certificates.revoke(&parse_name(&domain)?).await?;
    Ok((StatusCode::ACCEPTED, Json(DomainView::from(&record))))
}

/// Takes the certificate that is served out, with its private key. Needs a token that may take
/// keys, is audited, and leaves an event with the domain.
#[utoipa::path(post, path = "/v1/domains/{domain}/certificate/export", tag = "domains",
    params(("domain" = String, Path, description = "The domain")),
    responses((status = 200, description = "Chain and key", body = Exported), Problem))]
pub(super) async fn export(
    State(api): State<AdminApi>,
    Path(domain): Path<String>,
) -> Result<Response, Refused> {
    let domain = parse_name(&domain)?;
    let (chain, key) = api.certificates.export(&domain).await?;
    let exported = Exported {
        domain: domain.to_string(),
        chain_pem: chain.pem().to_owned(),
        key_pem: private_key_pem(key.expose()),
    };
    // Room for all of it, so that the buffer never moves and leaves a copy behind; wiped when it
    // is sent.
    let room = 2 * (exported.chain_pem.len() + exported.key_pem.len()) + ENVELOPE_BYTES;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *body, &exported).map_err(|_| {
        let said = "the answer cannot be written";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", said)
    })?;
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Bytes::from_owner(body)).into_response())
}

impl From<CertificateError> for Refused {
    fn from(error: CertificateError) -> Self {
        let detail = error.to_string();
        match error {
            CertificateError::Chain(_) | CertificateError::Key(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "certificate-refused", detail)
            }
            CertificateError::Kept { .. } => {
                Self::new(StatusCode::CONFLICT, "certificate-kept", detail)
            }
            CertificateError::None(_) => {
                Self::new(StatusCode::NOT_FOUND, "certificate-not-found", detail)
            }
            CertificateError::NoIssuer(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no-such-issuer", detail)
            }
            CertificateError::NotOurs(_) => Self::new(StatusCode::CONFLICT, "not-ours", detail),
            CertificateError::Ca(_) => Self::new(StatusCode::BAD_GATEWAY, "ca-refused", detail),
            CertificateError::Seal(error) => {
                tracing::error!(%error, "a key cannot be sealed");
                let said = "the private key cannot be sealed; the log says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "not-sealed", said)
            }
            CertificateError::Contended(domain) => RegistryError::Contended(domain).into(),
            CertificateError::Store(error) => RegistryError::Store(error).into(),
        }
    }
}
