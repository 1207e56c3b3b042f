//! The JSON Schema and the parser agree on whole documents, in both directions: what one takes the
//! other takes, and each knows every key of the other.

use proptest::prelude::*;
use sealwax_filter_core::Config;
use serde_json::{Map, Value, json};

const SCHEMA: &str = include_str!("../../../../filter/config.schema.json");

/// What a document may hold under its keys: everything the schema mentions, the numbers next to its
/// limits, and what belongs nowhere.
fn candidates(schema: &Value) -> Vec<Value> {
    let mut all = vec![json!(null), json!({}), json!(1.5), json!(-1), json!("x y"), json!("")];
    all.extend([json!("edge"), json!(true), json!(false), json!([]), json!(["/a"]), json!(["a"])]);
    all.extend([json!(["/a?b"]), json!(["/a", 1]), json!(2.0)]);
    all.extend(schema["enum"].as_array().into_iter().flatten().cloned());
    for limit in ["minimum", "maximum"].iter().filter_map(|limit| schema[limit].as_u64()) {
        all.extend([json!(limit), json!(limit + 1), json!(limit.saturating_sub(1))]);
    }
    for longest in ["maxLength"].iter().filter_map(|limit| schema[limit].as_u64()) {
        let longest = usize::try_from(longest).unwrap();
        all.extend([json!("x".repeat(longest)), json!("x".repeat(longest + 1))]);
    }
    all
}

/// Paths of all keys that hold no object, with their schemas.
fn leaves(schema: &Value, path: &[String]) -> Vec<(Vec<String>, Value)> {
    let mut all = Vec::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let path = [path, std::slice::from_ref(name)].concat();
        match property["type"].as_str() {
            Some("object") => all.extend(leaves(property, &path)),
            _ => all.push((path, property.clone())),
        }
    }
    all
}

/// Whether a value is valid, by those keywords of JSON Schema that ours uses.
fn is_valid(schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema == &json!(true) };
    keywords.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "then" | "else" => true,
        "type" => has_type(rule.as_str().unwrap(), value),
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "minLength" => text(value).is_none_or(|length| length >= rule.as_u64().unwrap()),
        "maxLength" => text(value).is_none_or(|length| length <= rule.as_u64().unwrap()),
        "maxItems" => {
            value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap())
        }
        "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
        "items" => value.as_array().into_iter().flatten().all(|item| is_valid(rule, item)),
        "required" => {
            let mut keys = rule.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
            value.as_object().is_none_or(|object| keys.all(|key| object.contains_key(key)))
        }
        "properties" => value
            .as_object()
            .into_iter()
            .flatten()
            .all(|(key, value)| rule.get(key).is_none_or(|property| is_valid(property, value))),
        "additionalProperties" => {
            assert_eq!(rule, false);
            let known = &schema["properties"];
            value.as_object().into_iter().flatten().all(|(key, _)| known.get(key).is_some())
        }
        "if" => {
            let branch = if is_valid(rule, value) { "then" } else { "else" };
            schema.get(branch).is_none_or(|branch| is_valid(branch, value))
        }
        other => panic!("the schema uses {other}, which this test does not know"),
    })
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the schema uses type {other}, which this test does not know"),
    }
}

fn text(value: &Value) -> Option<u64> {
    Some(value.as_str()?.chars().count() as u64)
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[!-~]+$" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
        "^/[!->@-~]*$" => {
            text.starts_with('/')
                && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?')
        }
        other => panic!("the schema uses the pattern {other}, which this test does not know"),
    }
}

/// What no JSON Schema can say: one number is not greater than another.
fn lifetimes_fit(document: &Value) -> bool {
    let of = |key: &str, default| document["cache"][key].as_f64().unwrap_or(default);
    of("default_ttl_s", 10.0) <= of("ttl_max_s", 3_600.0)
}

fn put(document: &mut Value, path: &[String], value: Value) {
    let mut place = document;
    for key in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key.as_str()];
    }
    *place = value;
}

#[test]
fn each_knows_every_key_of_the_other() {
    let all = br#"{"cluster":"e","listener":"https","hsts":{}}"#;
    // What a configuration is made of, as its Debug form tells: one line a field.
    let shown = format!("{:#?}", Config::parse(all).unwrap());
    let mut sections: Vec<(usize, String)> = Vec::new();
    let mut fields = Vec::new();
    for line in shown.lines() {
        let indent = line.len() - line.trim_start().len();
        sections.retain(|(section, _)| *section < indent);
        let Some((name, value)) = line.trim().split_once(": ") else { continue };
        if value.ends_with('{') || value.starts_with("Some(") {
            sections.push((indent, name.to_owned()));
        } else {
            let path = sections.iter().map(|(_, name)| name.as_str()).chain([name]);
            fields.push(path.collect::<Vec<_>>().join("."));
        }
    }
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut keys: Vec<_> = leaves(&schema, &[]).iter().map(|(path, _)| path.join(".")).collect();
    fields.sort();
    keys.sort();
    assert_eq!(fields, keys);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_takes_the_parser_takes_and_nothing_else(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
        https in any::<bool>(),
        bare in prop::option::weighted(0.2, prop_oneof![
            Just("hsts"), Just("cache"), Just("usage"), Just("bogus"), Just("listener"),
        ]),
        without_cluster in prop::bool::weighted(0.05),
    ) {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let leaves = leaves(&schema, &[]);
        let mut document = json!({"cluster": "edge"});
        if https {
            document["listener"] = json!("https");
        }
        if let Some(key) = bare {
            document[key] = json!({});
        }
        for (leaf, value) in picks {
            let (path, leaf) = leaf.get(&leaves);
            put(&mut document, path, value.get(&candidates(leaf)).clone());
        }
        if without_cluster {
            document.as_object_mut().unwrap().remove("cluster");
        }
        let wanted = is_valid(&schema, &document) && lifetimes_fit(&document);
        let parsed = Config::parse(document.to_string().as_bytes());
        prop_assert_eq!(parsed.is_ok(), wanted, "{} {:?}", document, parsed.err());
    }
}
