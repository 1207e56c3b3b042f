//! The JSON Schema and the documented table against the parser.

use sealwax_filter_core::Config;
use serde_json::{Map, Value, json};

const SCHEMA: &str = include_str!("../../../../filter/config.schema.json");
const DOCUMENT: &str = include_str!("../../../../docs/filter.md");

/// Every leaf of the schema: its path and its own schema.
fn leaves(schema: &Value, path: &[String]) -> Vec<(Vec<String>, Value)> {
    let mut all = Vec::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let path = [path, std::slice::from_ref(name)].concat();
        if property["type"] == "object" {
            assert_eq!(property["additionalProperties"], false, "{path:?}");
            all.extend(leaves(property, &path));
        } else {
            all.push((path, property.clone()));
        }
    }
    all
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// A configuration in which `path` is `value` and everything else allows it.
fn configuration(path: &[String], value: &Value) -> Value {
    let mut root = json!({"cluster": "edge"});
    if matches!(path[0].as_str(), "hsts" | "misdirected" | "usage") {
        root["listener"] = json!("https");
    }
    // `default_ttl_s` has to stay below `ttl_max_s`; preloading has to be earned.
    match path.join(".").as_str() {
        "cache.default_ttl_s" => root["cache"]["ttl_max_s"] = json!(86_400),
        "cache.ttl_max_s" => root["cache"]["default_ttl_s"] = json!(1),
        "hsts.preload" => root["hsts"]["include_subdomains"] = json!(true),
        _ => {}
    }
    let mut place = &mut root;
    for key in path {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key.as_str()];
    }
    *place = value.clone();
    root
}

fn accepted(path: &[String], value: &Value) -> bool {
    Config::parse(configuration(path, value).to_string().as_bytes()).is_ok()
}

#[test]
fn the_parser_takes_what_the_schema_allows_and_nothing_beyond() {
    for (path, leaf) in leaves(&schema(), &[]) {
        let (mut good, mut bad) = (Vec::new(), vec![Value::Null, json!({}), json!(1.5)]);
        match leaf["type"].as_str().unwrap_or("choice") {
            "integer" if leaf.get("enum").is_none() => {
                let (least, most) = (leaf["minimum"].as_u64(), leaf["maximum"].as_u64());
                let (least, most) = (least.unwrap(), most.unwrap());
                good.extend([json!(least), json!(most)]);
                bad.extend([json!(most + 1), json!("1"), json!(-1)]);
                if least > 0 {
                    bad.push(json!(least - 1));
                }
            }
            "integer" => {
                good.extend(leaf["enum"].as_array().unwrap().clone());
                bad.extend([json!(303), json!("308")]);
            }
            "boolean" => {
                good.extend([json!(true), json!(false)]);
                bad.extend([json!("true"), json!(1)]);
            }
            "array" => {
                let most = usize::try_from(leaf["maxItems"].as_u64().unwrap()).unwrap();
                good.extend([json!([]), json!(["/a", "/b/"]), json!(vec!["/x"; most])]);
                bad.extend([json!(["a"]), json!(["/a?b"]), json!(vec!["/x"; most + 1])]);
            }
            "string" if leaf.get("enum").is_none() => {
                let most = usize::try_from(leaf["maxLength"].as_u64().unwrap()).unwrap();
                good.extend([json!("x"), json!("x".repeat(most))]);
                bad.extend([json!(""), json!("a b"), json!("x".repeat(most + 1)), json!(1)]);
            }
            _ => {
                good.extend(leaf["enum"].as_array().unwrap().clone());
                bad.extend([json!("bogus"), json!("")]);
            }
        }
        // "listener": "https" and the flags of one listener need their counterpart only to be on.
        for value in good {
            assert!(accepted(&path, &value), "{path:?}: {value} is allowed");
        }
        for value in bad {
            assert!(!accepted(&path, &value), "{path:?}: {value} is not allowed");
        }
    }
}

#[test]
fn the_schema_knows_every_default() {
    let defaults = Config::parse(br#"{"cluster":"edge"}"#).unwrap();
    for (path, leaf) in leaves(&schema(), &[]) {
        let Some(default) = leaf.get("default") else {
            assert!(matches!(path.join(".").as_str(), "cluster" | "usage.enabled"), "{path:?}");
            continue;
        };
        let mut root = json!({"cluster": "edge"});
        if path[0] == "hsts" {
            root = configuration(&path, default);
        } else if path.len() == 1 {
            root[&path[0]] = default.clone();
        } else {
            root[&path[0]][&path[1]] = default.clone();
        }
        let parsed = Config::parse(root.to_string().as_bytes()).unwrap();
        if path[0] == "hsts" {
            let bare = br#"{"cluster":"edge","listener":"https","hsts":{}}"#;
            assert_eq!(
                parsed.hsts.unwrap().max_age_s,
                Config::parse(bare).unwrap().hsts.unwrap().max_age_s
            );
        } else {
            assert_eq!(parsed, defaults, "{path:?}");
        }
    }
}

#[test]
fn keys_the_schema_does_not_know_are_refused_everywhere() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["cluster"]));
    for (name, property) in schema["properties"].as_object().unwrap() {
        if property["type"] == "object" {
            assert!(!accepted(&[name.clone(), "bogus".to_owned()], &json!(1)), "{name}");
        }
    }
    assert!(!accepted(&["bogus".to_owned()], &json!(1)));
}

#[test]
fn the_document_has_a_row_for_every_key_with_its_default() {
    for (path, leaf) in leaves(&schema(), &[]) {
        let key = path.join(".");
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/filter.md has no row for {key}"));
        if let Some(default) = leaf.get("default") {
            let shown = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let cell = row.split('|').nth(2).unwrap_or_default();
            assert!(cell.contains(&format!("`{shown}`")), "{key}: {row}");
        }
    }
    let rows =
        DOCUMENT.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    assert_eq!(rows.count(), leaves(&schema(), &[]).len(), "no rows for keys that are gone");
}

#[test]
fn the_document_names_every_metric() {
    use sealwax_filter_core::metrics::{CALLOUT_MS, Counter, GAUGES};
    let counters = Counter::ALL.iter().map(|counter| counter.name());
    for name in counters.chain(GAUGES).chain([CALLOUT_MS]) {
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name}");
    }
}
