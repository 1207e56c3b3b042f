//! What each resource does (RFC 8555 section 7, RFC 9773).

use std::sync::Arc;

use http::Method;
use sealwax_core::{Span, Timestamp};
use serde_json::{Map, Value, json};

use crate::books::{AccountEntry, AuthorizationStatus};
use crate::journal::Endpoint;
use crate::jws::{AccountKey, Jws, changed_key, check_binding, decode};
use crate::knobs::{Ari, Knobs};
use crate::orders::{authorization_object, challenge, finalize, new_order, order_reply};
use crate::problem::Problem;
use crate::server::{Core, State};
use crate::wire::{Call, Content, Reply};

/// Who signed a request, and what it says.
pub(crate) struct Signed {
    pub(crate) account: u64,
    pub(crate) payload: Option<Value>,
}

/// Does what a call asks for.
pub(crate) fn handle(core: &Arc<Core>, call: &Call) -> Result<Reply, Problem> {
    core.with(|state| match call.endpoint {
        Endpoint::Directory => Ok(Reply::json(200, directory(core, &state.knobs))),
        Endpoint::NewNonce => Ok(Reply::empty(if call.method == Method::HEAD { 200 } else { 204 })),
        Endpoint::RenewalInfo => renewal_info(core, state, &call.rest),
        Endpoint::NewAccount => new_account(core, state, call),
        Endpoint::Account => {
            let Signed { account, payload } = signed(core, state, call)?;
            update(state, account, payload.as_ref())?;
            Ok(Reply::json(200, account_object(state, account)?))
        }
        Endpoint::NewOrder => new_order(core, state, call),
        Endpoint::Order => {
            let (_, id) =
                own(core, state, call, |state, id| Some(state.books.orders.get(&id)?.account))?;
            state.books.look_at_order(id);
            order_reply(core, state, id, 200)
        }
        Endpoint::Authorization => {
            let (Signed { payload, .. }, id) = own_authorization(core, state, call)?;
            deactivate(state, id, payload.as_ref());
            state.books.look_at_authorization(id);
            Ok(Reply::json(200, authorization_object(core, state, id)?))
        }
        Endpoint::Challenge => challenge(core, state, call),
        Endpoint::Finalize => finalize(core, state, call),
        Endpoint::Certificate => {
            let (_, id) = own(core, state, call, |state, id| {
                Some(state.books.certificates.get(&id)?.account)
            })?;
            let held = state
                .books
                .certificates
                .get(&id)
                .ok_or_else(|| Problem::not_found("certificate"))?;
            Ok(Reply {
                status: 200,
                body: Content::Chain(held.issued.pem.clone()),
                ..Reply::default()
            })
        }
        Endpoint::Revoke => revoke(core, state, call),
        Endpoint::KeyChange => key_change(core, state, call),
    })
}

fn directory(core: &Core, knobs: &Knobs) -> Value {
    let url = |path: &str| format!("{}/{path}", core.base);
    let mut meta = Map::new();
    meta.insert("externalAccountRequired".to_owned(), json!(knobs.external_account.is_some()));
    meta.insert("caaIdentities".to_owned(), json!(["fake.example"]));
    if !knobs.profiles.is_empty() {
        let names = knobs.profiles.keys().map(|name| (name.clone(), json!(name)));
        meta.insert("profiles".to_owned(), Value::Object(names.collect()));
    }
    let mut directory = json!({
        "newNonce": url("new-nonce"),
        "newAccount": url("new-account"),
        "newOrder": url("new-order"),
        "revokeCert": url("revoke"),
        "keyChange": url("key-change"),
        "meta": meta,
    });
    if let (Ari::On { .. }, Some(object)) = (&knobs.ari, directory.as_object_mut()) {
        object.insert("renewalInfo".to_owned(), json!(url("renewal-info")));
    }
    directory
}

/// Checks URL and nonce of a request; its signature is up to the caller.
fn opened(core: &Core, state: &mut State, call: &Call) -> Result<Jws, Problem> {
    if call.method != Method::POST {
        return Err(Problem::new(405, "malformed", "everything but the start is POST"));
    }
    let jws = Jws::parse(&call.body)?;
    let nonce = jws.nonce_for(&format!("{}{}", core.base, call.path))?;
    state.books.spend_nonce(nonce, state.knobs.nonces_refused_percent)?;
    Ok(jws)
}

pub(crate) fn signed(core: &Core, state: &mut State, call: &Call) -> Result<Signed, Problem> {
    let jws = opened(core, state, call)?;
    let unknown = state.knobs.unknown_account.clone();
    let kid = jws.kid().ok_or_else(|| Problem::malformed("no kid"))?;
    let prefix = format!("{}/account/", core.base);
    let account: u64 =
        kid.strip_prefix(&prefix).and_then(|id| id.parse().ok()).ok_or_else(|| unknown.clone())?;
    let entry = state.books.accounts.get(&account).ok_or(unknown)?;
    if entry.deactivated {
        let detail = "Account is not valid, has status \"deactivated\"";
        return Err(Problem::new(403, "unauthorized", detail));
    }
    Ok(Signed { payload: jws.verify(&entry.key)?, account })
}

/// A request for something by its number, which must be the account's own.
pub(crate) fn own(
    core: &Core,
    state: &mut State,
    call: &Call,
    owner: impl Fn(&State, u64) -> Option<u64>,
) -> Result<(Signed, u64), Problem> {
    let signed = signed(core, state, call)?;
    let id = call.rest.parse().map_err(|_| Problem::not_found("resource"))?;
    // Someone else's is told apart from nobody's by no one (as Boulder does it).
    match owner(state, id) {
        Some(owner) if owner == signed.account => Ok((signed, id)),
        _ => Err(Problem::not_found("resource")),
    }
}

pub(crate) fn own_authorization(
    core: &Core,
    state: &mut State,
    call: &Call,
) -> Result<(Signed, u64), Problem> {
    own(core, state, call, |state, id| Some(state.books.authorizations.get(&id)?.account))
}

fn account_object(state: &State, id: u64) -> Result<Value, Problem> {
    let entry = state.books.accounts.get(&id).ok_or_else(|| Problem::not_found("account"))?;
    let status = if entry.deactivated { "deactivated" } else { "valid" };
    Ok(json!({ "status": status, "contact": entry.contact }))
}

fn new_account(core: &Core, state: &mut State, call: &Call) -> Result<Reply, Problem> {
    let jws = opened(core, state, call)?;
    let key = jws.own_key()?;
    let payload = jws.verify(&key)?.ok_or_else(|| Problem::malformed("no payload"))?;
    let existing =
        state.books.accounts.iter().find(|(_, entry)| entry.key.thumbprint == key.thumbprint);
    let (id, status) = match existing {
        Some((id, _)) => (*id, 200),
        None => (register(core, state, call, key, &payload)?, 201),
    };
    let location = Some(format!("{}/account/{id}", core.base));
    Ok(Reply { location, ..Reply::json(status, account_object(state, id)?) })
}

fn register(
    core: &Core,
    state: &mut State,
    call: &Call,
    key: AccountKey,
    payload: &Value,
) -> Result<u64, Problem> {
    let said = |name: &str| payload.get(name).and_then(Value::as_bool).unwrap_or(false);
    if said("onlyReturnExisting") {
        return Err(Problem::new(400, "accountDoesNotExist", "no account with this key"));
    }
    if let Some(problem) = &state.knobs.forgotten_key
        && state.books.forgotten.contains(&key.thumbprint)
    {
        return Err(problem.clone());
    }
    if !said("termsOfServiceAgreed") {
        return Err(Problem::new(403, "userActionRequired", "the terms must be agreed to"));
    }
    if let Some(expected) = &state.knobs.external_account {
        let binding = payload.get("externalAccountBinding").ok_or_else(|| {
            Problem::new(403, "externalAccountRequired", "an external account binding is needed")
        })?;
        check_binding(binding, expected, &key, &format!("{}{}", core.base, call.path))?;
    }
    let contact = contact_in(payload)?.unwrap_or_default();
    let id = state.books.next_id();
    state.books.accounts.insert(id, AccountEntry { key, contact, deactivated: false });
    Ok(id)
}

fn contact_in(payload: &Value) -> Result<Option<Vec<String>>, Problem> {
    let Some(said) = payload.get("contact").and_then(Value::as_array) else { return Ok(None) };
    let contact: Vec<String> =
        said.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    if contact.iter().any(|url| !url.starts_with("mailto:")) {
        return Err(Problem::new(400, "unsupportedContact", "only mailto is known here"));
    }
    Ok(Some(contact))
}

fn update(state: &mut State, account: u64, payload: Option<&Value>) -> Result<(), Problem> {
    let contact = payload.map(contact_in).transpose()?.flatten();
    if let (Some(entry), Some(contact)) = (state.books.accounts.get_mut(&account), contact) {
        entry.contact = contact;
    }
    Ok(())
}

/// RFC 8555 section 7.5.2.
fn deactivate(state: &mut State, id: u64, payload: Option<&Value>) {
    let status = payload.and_then(|payload| payload.get("status")).and_then(Value::as_str);
    if let Some(entry) = state.books.authorizations.get_mut(&id)
        && status == Some("deactivated")
    {
        entry.status = AuthorizationStatus::Deactivated;
    }
}

/// RFC 8555 section 7.3.5.
fn key_change(core: &Core, state: &mut State, call: &Call) -> Result<Reply, Problem> {
    let Signed { account, payload } = signed(core, state, call)?;
    let inner = payload.ok_or_else(|| Problem::malformed("no inner JWS"))?;
    let url = format!("{}{}", core.base, call.path);
    let key = changed_key(&inner, &url, |id, old| {
        let held = state.books.accounts.get(&account);
        id == format!("{}/account/{account}", core.base)
            && held.is_some_and(|held| held.key.thumbprint == old.thumbprint)
    })?;
    let mut all = state.books.accounts.values();
    if all.any(|entry| entry.key.thumbprint == key.thumbprint) {
        return Err(Problem::new(409, "malformed", "the key is an account's already"));
    }
    if let Some(entry) = state.books.accounts.get_mut(&account) {
        entry.key = key;
    }
    Ok(Reply::json(200, account_object(state, account)?))
}

fn revoke(core: &Core, state: &mut State, call: &Call) -> Result<Reply, Problem> {
    let Signed { account, payload } = signed(core, state, call)?;
    let text =
        payload.as_ref().and_then(|payload| payload.get("certificate")).and_then(Value::as_str);
    let leaf_der = decode(text.ok_or_else(|| Problem::malformed("no certificate"))?)?;
    let mut all = state.books.certificates.values_mut();
    let held = all
        .find(|held| held.issued.leaf_der == leaf_der)
        .ok_or_else(|| Problem::not_found("certificate"))?;
    if held.account != account {
        return Err(Problem::new(403, "unauthorized", "another account's certificate"));
    }
    if held.revoked {
        return Err(Problem::new(400, "alreadyRevoked", "it is revoked already"));
    }
    held.revoked = true;
    Ok(Reply::empty(200))
}

fn renewal_info(core: &Core, state: &mut State, ari_id: &str) -> Result<Reply, Problem> {
    let Ari::On { windows, retry_after } = state.knobs.ari.clone() else {
        return Err(Problem::not_found("resource"));
    };
    let held =
        state.books.certificate_by_ari(ari_id).ok_or_else(|| Problem::not_found("certificate"))?;
    let (start, end, explanation_url) = match windows.get(ari_id) {
        Some(window) => (window.start, window.end, window.explanation_url.clone()),
        // A revoked certificate is to be replaced at once.
        None if held.revoked => {
            let now = core.clock.now();
            (now - Span::from_secs(7200), now - Span::from_secs(3600), None)
        }
        None => {
            let (start, end) = usual_window(held.issued.not_before, held.issued.not_after);
            (start, end, None)
        }
    };
    let mut body = json!({ "suggestedWindow": { "start": start.rfc3339(), "end": end.rfc3339() } });
    if let (Some(url), Some(fields)) = (explanation_url, body.as_object_mut()) {
        fields.insert("explanationURL".to_owned(), json!(url));
    }
    Ok(Reply { retry_after, ..Reply::json(200, body) })
}

/// Around two thirds of the lifetime, a thirtieth of it to each side.
fn usual_window(not_before: Timestamp, not_after: Timestamp) -> (Timestamp, Timestamp) {
    let lifetime = not_after.since(not_before);
    let middle = not_before + lifetime.scale(2, 3);
    (middle - lifetime.scale(1, 30), middle + lifetime.scale(1, 30))
}
