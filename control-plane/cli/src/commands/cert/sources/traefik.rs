//! Traefik's `acme.json`: a resolver's name to its account and certificates; in version 1 without
//! the resolvers and with capitals, and now and then wrapped by hand. Each part is read by itself,
//! so that an odd one hides no other.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::super::exit::Failed;
use super::super::bundle::Bundle;

/// What version 1 has instead of a resolver's name.
const V1: &str = "traefik";
/// Largest file read, in bytes: 100,000 certificates with chains.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The resolvers by name; the file of version 1 is one.
///
/// # Errors
/// It cannot be read or is none of the forms.
pub(in super::super) fn resolvers(path: &Path) -> Result<Vec<(String, Value)>, Failed> {
    let place = path.display().to_string();
    let odd = |said: &str| Failed::new(format!("{place}: {said}"));
    let size = std::fs::metadata(path).map_err(|error| odd(&error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(odd("larger than 1 GiB"));
    }
    let text = std::fs::read(path).map(Zeroizing::new).map_err(|error| odd(&error.to_string()))?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        // Not its own words: they may quote a key.
        let (line, column) = (error.line(), error.column());
        odd(&format!("it is no acme.json of Traefik: no JSON at line {line}, column {column}"))
    })?;
    let Value::Object(object) = value else {
        return Err(odd("it is no acme.json of Traefik: no object"));
    };
    if is_resolver(&object) {
        return Ok(vec![(V1.to_owned(), Value::Object(object))]);
    }
    let named = object.into_iter().filter(|(_, resolver)| !resolver.is_null());
    Ok(named.collect())
}

fn is_resolver(object: &Map<String, Value>) -> bool {
    let has = |name: &str| object.keys().any(|key| key.eq_ignore_ascii_case(name));
    // A resolver may be called anything; only version 1 has lists and URLs at the top.
    let listed = |name: &str| {
        let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.is_some_and(|(_, value)| value.is_array() || value.is_null())
    };
    listed("certificates") || (has("account") && has("httpchallenges"))
}

/// A field, whatever its capitals.
pub(in super::super) fn part(of: &mut Value, name: &str) -> Option<Value> {
    let object = of.as_object_mut()?;
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.remove(&key)
}

/// Every certificate in it.
///
/// # Errors
/// As [`resolvers`].
pub(super) fn certificates(path: &Path) -> Result<Vec<Result<Bundle, Failed>>, Failed> {
    let place = path.display().to_string();
    let mut found = Vec::new();
    for (name, mut resolver) in resolvers(path)? {
        if !resolver.is_object() {
            found.push(Err(Failed::new(format!("{place}: {name:?} is no resolver"))));
            continue;
        }
        let staging =
            part(&mut resolver, "account").is_some_and(|mut account| is_staging(&mut account));
        match part(&mut resolver, "certificates") {
            None | Some(Value::Null) => {}
            Some(Value::Array(entries)) => {
                for (entry, number) in entries.into_iter().zip(1_usize..) {
                    let place = format!("{place}: resolver {name:?}, certificate {number}");
                    let bundle = certificate(&place, entry);
                    found.push(bundle.map(|bundle| {
                        bundle.ordered_by(Some(name.clone())).not_for_visitors(staging)
                    }));
                }
            }
            Some(_) => {
                let said = format!("{place}: resolver {name:?}: its certificates are no list");
                found.push(Err(Failed::new(said)));
            }
        }
    }
    Ok(found)
}

/// Its account is with a CA's staging environment.
fn is_staging(account: &mut Value) -> bool {
    let uri = part(account, "registration").and_then(|mut told| part(&mut told, "uri"));
    uri.as_ref().and_then(Value::as_str).is_some_and(|uri| uri.contains("staging"))
}

fn certificate(place: &str, mut entry: Value) -> Result<Bundle, Failed> {
    let main = part(&mut entry, "domain").and_then(|mut domain| part(&mut domain, "main"));
    let main = main.as_ref().and_then(Value::as_str).unwrap_or_default();
    let place = if main.is_empty() { place.to_owned() } else { format!("{place} ({main})") };
    let odd = |said: &str| Failed::new(format!("{place}: {said}"));
    if !entry.is_object() {
        return Err(odd("it is empty"));
    }
    let mut decoded = |name: &str| match part(&mut entry, name) {
        None | Some(Value::Null) => Err(odd(&format!("it has no {name}"))),
        Some(Value::String(text)) => {
            let text = Zeroizing::new(text);
            let bytes = BASE64_STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
            bytes.map_err(|_| odd(&format!("its {name} is not base64")))
        }
        Some(_) => Err(odd(&format!("its {name} is no text"))),
    };
    let (chain, key) = (decoded("certificate")?, decoded("key")?);
    Bundle::new(&place, &chain, &key)
}
