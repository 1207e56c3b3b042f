//! Signed requests (RFC 8555 section 6.2, RFC 7515), flattened JSON serialisation.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::knobs::ExternalAccount;
use crate::problem::Problem;

/// Bytes of each coordinate of a point on P-256.
const COORDINATE_BYTES: usize = 32;

/// A request as parsed; its signature is not yet checked.
pub(crate) struct Jws {
    protected: String,
    payload: String,
    signature: Vec<u8>,
    header: Value,
}

/// An account's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountKey {
    /// As the client sent it, for the external account binding.
    pub(crate) jwk: Value,
    /// RFC 7638.
    pub(crate) thumbprint: String,
    point: Vec<u8>,
}

impl Jws {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::malformed(format!("the JWS is not JSON: {error}")))?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let text = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned)
                .ok_or_else(|| Problem::malformed(format!("the JWS has no {name}")))
        };
        let (protected, payload) = (text("protected")?, text("payload")?);
        let header = serde_json::from_slice(&decode(&protected)?)
            .map_err(|_| Problem::malformed("the JWS's header is not JSON"))?;
        Ok(Self { signature: decode(&text("signature")?)?, protected, payload, header })
    }

    /// The replay nonce, if the request is for this URL, which is what ties a signature to it
    /// (RFC 8555 section 6.4).
    pub(crate) fn nonce_for(&self, url: &str) -> Result<&str, Problem> {
        let said = self.text("url").unwrap_or_default();
        if said != url {
            let detail = format!("signed for {said:?}, sent to {url:?}");
            return Err(Problem::new(401, "unauthorized", detail));
        }
        self.text("nonce").ok_or_else(|| Problem::malformed("no nonce"))
    }

    /// The account URL it claims to be from.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.text("kid")
    }

    /// The key it brings along, for new accounts.
    pub(crate) fn own_key(&self) -> Result<AccountKey, Problem> {
        if self.kid().is_some() {
            return Err(Problem::malformed("kid where jwk is wanted"));
        }
        AccountKey::parse(self.header.get("jwk").ok_or_else(|| Problem::malformed("no jwk"))?)
    }

    /// Checks the signature and returns the payload; `None` for POST-as-GET (RFC 8555 section
    /// 6.3).
    pub(crate) fn verify(&self, key: &AccountKey) -> Result<Option<Value>, Problem> {
        if self.text("alg") != Some("ES256") {
            return Err(Problem::new(400, "badSignatureAlgorithm", "only ES256 is known here"));
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point)
            .verify(self.signed().as_bytes(), &self.signature)
            .map_err(|_| Problem::malformed("the signature does not verify"))?;
        if self.payload.is_empty() {
            return Ok(None);
        }
        let payload = serde_json::from_slice(&decode(&self.payload)?)
            .map_err(|_| Problem::malformed("the payload is not JSON"))?;
        Ok(Some(payload))
    }

    fn signed(&self) -> String {
        format!("{}.{}", self.protected, self.payload)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

/// Checks an external account binding (RFC 8555 section 7.3.4).
pub(crate) fn check_binding(
    binding: &Value,
    expected: &ExternalAccount,
    key: &AccountKey,
    url: &str,
) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(403, "unauthorized", detail));
    let jws = Jws::from_value(binding)?;
    if jws.text("alg") != Some("HS256") || jws.text("nonce").is_some() {
        return Err(Problem::malformed("a binding is HS256 and has no nonce"));
    }
    if jws.text("url") != Some(url) {
        return refuse("the binding is for another URL");
    }
    if jws.kid() != Some(&expected.kid) {
        return refuse("unknown key identifier");
    }
    let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &expected.hmac_key);
    if hmac::verify(&hmac_key, jws.signed().as_bytes(), &jws.signature).is_err() {
        return refuse("the binding does not verify");
    }
    let bound: Value = serde_json::from_slice(&decode(&jws.payload)?)
        .map_err(|_| Problem::malformed("the binding's payload is not JSON"))?;
    if bound == key.jwk { Ok(()) } else { refuse("the binding is for another account key") }
}

/// The key that the inner JWS of a key change is signed with, if it asks for this account and
/// names its present key.
pub(crate) fn changed_key(
    inner: &Value,
    url: &str,
    names: impl FnOnce(&str, &AccountKey) -> bool,
) -> Result<AccountKey, Problem> {
    let jws = Jws::from_value(inner)?;
    if jws.text("url") != Some(url) || jws.text("nonce").is_some() {
        return Err(Problem::malformed("the inner JWS is for this URL and has no nonce"));
    }
    let key = jws.own_key()?;
    let asked = jws.verify(&key)?.unwrap_or_default();
    let account = asked.get("account").and_then(Value::as_str).unwrap_or_default();
    let old = asked.get("oldKey").ok_or_else(|| Problem::malformed("no old key"))?;
    if !names(account, &AccountKey::parse(old)?) {
        return Err(Problem::malformed("another account or another old key"));
    }
    Ok(key)
}

impl AccountKey {
    fn parse(jwk: &Value) -> Result<Self, Problem> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("kty") != "EC" || text("crv") != "P-256" {
            return Err(Problem::new(400, "badPublicKey", "only P-256 is known here"));
        }
        let (x, y) = (decode(text("x"))?, decode(text("y"))?);
        if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
            return Err(Problem::new(400, "badPublicKey", "a coordinate has 32 bytes"));
        }
        // RFC 7638 section 3.2: these members, in this order, without white space.
        let canonical =
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y"));
        let thumbprint =
            BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        let point = [&[4][..], &x, &y].concat();
        Ok(Self { jwk: jwk.clone(), thumbprint, point })
    }
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Problem::malformed("not base64url without padding"))
}
