//! What is written about metrics fits what there is.

use std::collections::BTreeSet;

use super::manual;
use super::names::ALL;

fn repository(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_manual_of_metrics_is_up_to_date() {
    let written = repository("docs/metrics.md");
    assert!(written == manual(), "run: sealwax docs metrics > docs/metrics.md");
}

#[test]
fn dashboard_and_alerts_name_only_metrics_and_labels_there_are() {
    let grafana = repository("docs/monitoring/grafana.json");
    let panels: serde_json::Value = serde_json::from_str(&grafana).unwrap();
    let expressions: Vec<String> = panels["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap().clone())
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(expressions.len() > 30);
    let used = used_in(&expressions.join("\n"));
    for described in ALL.iter().filter(|one| one.name.starts_with("sealwax_")) {
        let on_it = used.contains(described.name) || described.name == "sealwax_census_seconds";
        assert!(on_it, "{} is on no panel", described.name);
    }
    let alerts = repository("docs/monitoring/alerts.yaml");
    for text in [expressions.join("\n"), alerts] {
        for metric in used_in(&text) {
            let described = ALL.iter().find(|one| one.name == metric);
            assert!(described.is_some(), "there is no metric {metric}");
        }
        for (metric, label) in matched(&text) {
            let described = ALL.iter().find(|one| one.name == metric).unwrap();
            let there = described.labels.contains(&label.as_str()) || label == "job";
            assert!(there, "{metric} has no label {label}");
        }
    }
}

/// The names of metrics in PromQL, without the suffixes histograms have.
fn used_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_');
    words.filter(|word| word.starts_with("sealwax_")).map(|word| bare(word).to_owned()).collect()
}

fn bare(word: &str) -> &str {
    let suffixes = ["_bucket", "_count", "_sum"];
    let bare = suffixes.iter().find_map(|suffix| word.strip_suffix(suffix));
    bare.filter(|bare| ALL.iter().any(|one| one.name == *bare)).unwrap_or(word)
}

/// Each metric with a label matched on it: `metric{label="…"}`.
fn matched(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('{') {
        let (before, after) = text.split_at(at);
        let before = before.rsplit(|one: char| !one.is_ascii_alphanumeric() && one != '_');
        let metric = before.into_iter().next().unwrap_or_default();
        if !metric.starts_with("sealwax_") {
            continue;
        }
        let inside = after.trim_start_matches('{').split('}').next().unwrap_or_default();
        for label in inside.split("\",").filter_map(|part| part.split(['=', '!']).next()) {
            found.push((bare(metric).to_owned(), label.trim().trim_start_matches(',').to_owned()));
        }
    }
    found
}
