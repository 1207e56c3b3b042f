//! What becomes of each answer.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Asked, Bend, State, problem};

/// How often an answered challenge is left open.
const LEFT_OPEN: u32 = 1;

impl State {
    pub(super) fn is(&self, bend: Bend) -> bool {
        self.bends.contains(&bend)
    }

    /// What is said without asking Pebble.
    pub(super) fn instead(&mut self, asked: &Asked) -> Option<(u16, Value)> {
        if let Some(kid) = &asked.kid {
            if self.is(Bend::NoSuchAccount) {
                return Some((400, problem(400, "accountDoesNotExist", "no such account")));
            }
            if self.is(Bend::ClosedAccount) && self.closed.get_or_insert_with(|| kid.clone()) == kid
            {
                let detail = "Account is not valid, has status \"deactivated\"";
                return Some((403, problem(403, "unauthorized", detail)));
            }
        }
        if let Some(refused) = self.refusal(asked) {
            return Some(refused);
        }
        let goes_ahead = asked.method == Method::POST && asked.payload.is_some();
        let (challenge, answered) = self.challenges.get_mut(&asked.path).filter(|_| goes_ahead)?;
        *answered += 1;
        if *answered > LEFT_OPEN || !self.bends.contains(&Bend::SmallStep) {
            return None;
        }
        challenge["error"] = problem(400, "connection", "could not connect to the domain");
        Some((200, challenge.clone()))
    }

    /// Counts what is asked, and refuses it.
    fn refusal(&mut self, asked: &Asked) -> Option<(u16, Value)> {
        let reads = asked.method == Method::POST && asked.payload.is_none();
        self.count.looks += usize::from(reads && asked.path.starts_with("/my-order/"));
        let certificate = reads && asked.path.starts_with("/certZ/");
        if self.is(Bend::LateCertificate) && certificate && self.fetched.insert(asked.path.clone())
        {
            return Some((404, problem(404, "malformed", "no such certificate")));
        }
        let order = asked.payload.as_ref().filter(|said| said.get("identifiers").is_some())?;
        let known = self.ordered.contains(&order["identifiers"].to_string());
        let said = if self.is(Bend::Limited) && !known {
            (429, problem(429, "rateLimited", "too many new orders from this account"))
        } else if self.is(Bend::Busy) {
            (503, problem(503, "rateLimited", "Service busy; retry later."))
        } else {
            return None;
        };
        self.count.refused += 1;
        Some(said)
    }

    /// Bends what Pebble said.
    pub(super) fn shape(&mut self, asked: &Asked, value: &mut Value) {
        self.note(value);
        if let Some(names) = asked.payload.as_ref().and_then(|said| said.get("identifiers")) {
            self.ordered.insert(names.to_string());
        }
        if value.get("finalize").is_some() {
            self.shape_order(value);
        }
        let answered = self.challenges.values().any(|(_, answered)| *answered > 0);
        let several = value.get("challenges").is_some();
        if several && answered && self.is(Bend::Caa) {
            value["status"] = json!("invalid");
        }
        if let Some(list) = value.get_mut("challenges").and_then(Value::as_array_mut) {
            list.iter_mut().for_each(|one| self.shape_challenge(one, answered));
        } else if value.get("token").is_some() {
            self.shape_challenge(value, answered);
        }
        let looked_for = asked.kid.is_none() && asked.method == Method::POST;
        let existing = asked.payload.as_ref().and_then(|said| said.get("onlyReturnExisting"));
        if looked_for && existing == Some(&json!(true)) && self.is(Bend::ClosedAccount) {
            value["status"] = json!("deactivated");
        }
    }

    fn note(&mut self, value: &Value) {
        let listed = value.get("challenges").and_then(Value::as_array);
        for challenge in listed.into_iter().flatten() {
            if let Some(path) = challenge["url"].as_str().and_then(path_of) {
                let entry = self.challenges.entry(path).or_insert((Value::Null, 0));
                let error = entry.0.get("error").cloned();
                entry.0 = challenge.clone();
                if let Some((error, fields)) = error.zip(entry.0.as_object_mut()) {
                    fields.insert("error".to_owned(), error);
                }
            }
        }
    }

    fn shape_order(&mut self, order: &mut Value) {
        let status = order["status"].as_str().unwrap_or_default().to_owned();
        let Some(fields) = order.as_object_mut() else { return };
        if self.is(Bend::Telia) {
            fields.insert("replaces".to_owned(), json!(""));
            if status == "ready" {
                fields.insert("authorizations".to_owned(), Value::Null);
            }
            if status == "valid" {
                fields.remove("finalize");
            }
        }
        if self.is(Bend::Overdue) {
            let which = fields.get("finalize").map(Value::to_string).unwrap_or_default();
            let end = self.ends.entry(which).or_insert_with(soon);
            fields.insert("expires".to_owned(), json!(end));
        }
        if self.is(Bend::Stuck) && status == "valid" {
            fields.insert("status".to_owned(), json!("processing"));
            fields.remove("certificate");
        }
        if self.is(Bend::ZeroSsl) {
            fields.remove("error");
        }
        let answered = self.challenges.values().any(|(_, answered)| *answered > 0);
        if self.is(Bend::Caa) && answered {
            fields.insert("status".to_owned(), json!("invalid"));
        }
    }

    fn shape_challenge(&self, challenge: &mut Value, answered: bool) {
        if self.is(Bend::ZeroSsl) && challenge.get("error").is_some() {
            challenge["error"] = json!({});
        }
        if self.is(Bend::Caa) && answered {
            challenge["status"] = json!("invalid");
            challenge["error"] = problem(403, "caa", "CAA record for the domain prevents issuance");
        }
        let path = challenge["url"].as_str().and_then(path_of).unwrap_or_default();
        let left_open = self.challenges.get(&path).filter(|(_, answered)| *answered == LEFT_OPEN);
        if let Some((seen, _)) = left_open
            && self.is(Bend::SmallStep)
            && let Some(error) = seen.get("error")
        {
            challenge["error"] = error.clone();
        }
    }
}

/// In three seconds, as RFC 3339 writes it.
fn soon() -> String {
    let end = OffsetDateTime::now_utc() + Duration::from_secs(3);
    end.format(&Rfc3339).unwrap_or_default()
}

fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("//")?;
    let (_, path) = rest.split_once('/')?;
    Some(format!("/{path}"))
}
