//! Orders, from the first request to the signature (RFC 8555 sections 7.4 and 7.5).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::authority::Wanted;
use crate::books::{
    AuthorizationEntry, AuthorizationStatus, CertificateEntry, Finalized, OrderEntry, OrderStatus,
};
use crate::endpoints::{Signed, own, own_authorization, signed};
use crate::jws::decode;
use crate::problem::Problem;
use crate::server::{Core, State};
use crate::validation::{self, Probe};
use crate::wire::{Call, Reply};

pub(crate) fn new_order(core: &Core, state: &mut State, call: &Call) -> Result<Reply, Problem> {
    let Signed { account, payload } = signed(core, state, call)?;
    let payload = payload.ok_or_else(|| Problem::malformed("no payload"))?;
    let name = one_identifier(&payload)?;
    if let Some(problem) = state.knobs.refusals.get(&name) {
        return Err(problem.clone());
    }
    let text = |field: &str| payload.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    let profile = text("profile");
    if let Some(profile) = profile.as_ref().filter(|name| !state.knobs.profiles.contains_key(*name))
    {
        return Err(Problem::new(400, "invalidProfile", format!("no profile {profile:?}")));
    }
    let replaces = text("replaces");
    if let Some(ari_id) = &replaces {
        mark_replaced(state, account, &name, ari_id)?;
    }
    let reused = if state.knobs.reuse_authorizations {
        state.books.valid_authorization(account, &name)
    } else {
        None
    };
    let authorization = reused.unwrap_or_else(|| {
        let id = state.books.next_id();
        let token = format!("token-of-authorization-{id:016x}");
        let status = AuthorizationStatus::Pending;
        let entry =
            AuthorizationEntry { account, name: name.clone(), token, status, complaint: None };
        state.books.authorizations.insert(id, entry);
        id
    });
    let id = state.books.next_id();
    let order = OrderEntry {
        account,
        name: name.clone(),
        profile,
        replaces: replaces.clone(),
        authorization,
        finalized: None,
    };
    state.books.orders.insert(id, order);
    let reply = order_reply(core, state, id, 201)?;
    let location = format!("{}/order/{id}", core.base);
    let location = Some(location).filter(|_| !state.knobs.location_withheld);
    Ok(Reply { location, ordered: Some((name, replaces)), ..reply })
}

fn one_identifier(payload: &Value) -> Result<String, Problem> {
    let identifiers = payload.get("identifiers").and_then(Value::as_array);
    let [one] = identifiers.map(Vec::as_slice).unwrap_or_default() else {
        return Err(Problem::malformed("exactly one identifier is taken here"));
    };
    let text = |field: &str| one.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("type") != "dns" {
        return Err(Problem::new(400, "unsupportedIdentifier", "only dns is known here"));
    }
    if text("value").is_empty() {
        return Err(Problem::new(400, "rejectedIdentifier", "an empty name"));
    }
    Ok(text("value").to_owned())
}

/// RFC 9773 section 5.
fn mark_replaced(state: &mut State, account: u64, name: &str, ari_id: &str) -> Result<(), Problem> {
    let held = state
        .books
        .certificate_by_ari(ari_id)
        .ok_or_else(|| Problem::not_found("certificate to replace"))?;
    if held.account != account {
        return Err(Problem::new(403, "unauthorized", "another account's certificate"));
    }
    if held.name != name {
        return Err(Problem::malformed("no name in common with the certificate to replace"));
    }
    if held.replaced {
        return Err(Problem::new(409, "alreadyReplaced", "an order replaces it already"));
    }
    held.replaced = true;
    Ok(())
}

pub(crate) fn order_reply(
    core: &Core,
    state: &State,
    id: u64,
    status: u16,
) -> Result<Reply, Problem> {
    let gone = || Problem::not_found("order");
    let order = state.books.orders.get(&id).ok_or_else(gone)?;
    let order_status = state.books.order_status(id).ok_or_else(gone)?;
    let url = |path: &str, id: u64| format!("{}/{path}/{id}", core.base);
    let mut object = json!({
        "status": order_status.as_str(),
        "identifiers": [{ "type": "dns", "value": order.name }],
        "authorizations": [url("authorization", order.authorization)],
        "finalize": url("finalize", id),
        "profile": order.profile,
        "replaces": order.replaces,
    });
    if let (OrderStatus::Valid, Some(finalized), Some(fields)) =
        (order_status, &order.finalized, object.as_object_mut())
    {
        fields.insert("certificate".to_owned(), json!(url("certificate", finalized.certificate)));
    }
    let settled = matches!(order_status, OrderStatus::Valid | OrderStatus::Invalid);
    let retry_after = state.knobs.order_retry_after.clone().filter(|_| !settled);
    Ok(Reply { retry_after, ..Reply::json(status, object) })
}

fn challenge_object(core: &Core, id: u64, entry: &AuthorizationEntry) -> Value {
    let (status, error) = match &entry.status {
        AuthorizationStatus::Pending => {
            ("pending", entry.complaint.as_ref().map(Problem::document))
        }
        AuthorizationStatus::Validating { .. } => ("processing", None),
        AuthorizationStatus::Valid | AuthorizationStatus::Deactivated => ("valid", None),
        AuthorizationStatus::Invalid(problem) => ("invalid", Some(problem.document())),
    };
    let mut object = json!({
        "type": "http-01",
        "url": format!("{}/challenge/{id}", core.base),
        "token": entry.token,
        "status": status,
    });
    if let (Some(error), Some(fields)) = (error, object.as_object_mut()) {
        fields.insert("error".to_owned(), error);
    }
    object
}

pub(crate) fn authorization_object(core: &Core, state: &State, id: u64) -> Result<Value, Problem> {
    let entry =
        state.books.authorizations.get(&id).ok_or_else(|| Problem::not_found("authorization"))?;
    let status = match entry.status {
        AuthorizationStatus::Pending | AuthorizationStatus::Validating { .. } => "pending",
        AuthorizationStatus::Valid => "valid",
        AuthorizationStatus::Invalid(_) => "invalid",
        AuthorizationStatus::Deactivated => "deactivated",
    };
    Ok(json!({
        "status": status,
        "identifier": { "type": "dns", "value": entry.name },
        "challenges": [challenge_object(core, id, entry)],
    }))
}

/// A challenge has the number of its authorization.
pub(crate) fn challenge(
    core: &Arc<Core>,
    state: &mut State,
    call: &Call,
) -> Result<Reply, Problem> {
    let (Signed { account, payload }, id) = own_authorization(core, state, call)?;
    let thumbprint = state.books.accounts.get(&account).map(|entry| entry.key.thumbprint.clone());
    let looks_left = state.knobs.validation_looks;
    let entry =
        state.books.authorizations.get_mut(&id).ok_or_else(|| Problem::not_found("challenge"))?;
    if payload.is_some() && entry.status == AuthorizationStatus::Pending {
        entry.complaint = state.knobs.next_complaint(&entry.name);
        if entry.complaint.is_some() {
            return Ok(Reply::json(200, challenge_object(core, id, entry)));
        }
        entry.status = AuthorizationStatus::Validating { looks_left, result: None };
        let probe = Probe {
            authorization: id,
            name: entry.name.clone(),
            key_authorization: format!("{}.{}", entry.token, thumbprint.unwrap_or_default()),
            token: entry.token.clone(),
            resolver: state.knobs.resolver,
        };
        let outcome = state.knobs.validation_of(&entry.name);
        let object = challenge_object(core, id, entry);
        validation::begin(core, state, outcome, probe);
        return Ok(Reply::json(200, object));
    }
    Ok(Reply::json(200, challenge_object(core, id, entry)))
}

pub(crate) fn finalize(core: &Core, state: &mut State, call: &Call) -> Result<Reply, Problem> {
    let owner = |state: &State, id: u64| Some(state.books.orders.get(&id)?.account);
    let (Signed { account, payload }, id) = own(core, state, call, owner)?;
    if state.books.order_status(id) != Some(OrderStatus::Ready) {
        return Err(Problem::new(403, "orderNotReady", "only a ready order can be finalized"));
    }
    let csr = payload.as_ref().and_then(|payload| payload.get("csr")).and_then(Value::as_str);
    let csr_der = decode(csr.ok_or_else(|| Problem::malformed("no csr"))?)?;
    let serial = state.books.next_id();
    let order = state.books.orders.get_mut(&id).ok_or_else(|| Problem::not_found("order"))?;
    let profile = order.profile.as_ref().and_then(|name| state.knobs.profiles.get(name));
    let issued = core.authority.issue(&Wanted {
        csr_der: &csr_der,
        name: &order.name,
        serial,
        now: core.clock.now(),
        validity: profile.copied().unwrap_or(state.knobs.validity),
        fault: state.knobs.chain,
    })?;
    let looks_left = state.knobs.processing_looks;
    order.finalized = Some(Finalized { certificate: serial, looks_left });
    let name = order.name.clone();
    let held = CertificateEntry { account, name, issued, revoked: false, replaced: false };
    state.books.certificates.insert(serial, held);
    order_reply(core, state, id, 200)
}
