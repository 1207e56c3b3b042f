//! What documents name exists: metrics, paths, configuration keys.

use std::collections::BTreeSet;

use super::{below, code_words, read, root};

fn documents() -> Vec<String> {
    let mut all = below("docs", ".md");
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned));
    all.retain(|path| root().join(path).exists());
    all
}

/// Suffixes of a histogram's series.
const SERIES: [&str; 3] = ["_bucket", "_count", "_sum"];

#[test]
fn every_metric_in_a_document_exists() {
    // Written from the table of metrics, which a test of that table checks.
    let manual = read("docs/metrics.md");
    let there: BTreeSet<&str> = manual.split('`').filter(|word| is_metric(word)).collect();
    assert!(there.len() > 40, "{there:?}");
    // What an older version had may be gone.
    for document in documents().into_iter().filter(|document| document != "CHANGELOG.md") {
        for word in code_words(&read(&document)) {
            let name = word.split(['{', ' ', '=', '>', '<', '[', '(']).next().unwrap_or_default();
            if !is_metric(name) {
                continue;
            }
            let bare = SERIES.iter().find_map(|end| name.strip_suffix(end));
            let known = there.contains(name) || bare.is_some_and(|bare| there.contains(bare));
            assert!(known, "{document} names the metric {name}, which does not exist");
        }
    }
}

fn is_metric(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.starts_with("sealwax_") && word.bytes().all(plain) && !NOT_METRICS.contains(&word)
}

/// Names of other things that look like one: modules of Rust, clusters of Envoy's configuration,
/// the filter's module.
const NOT_METRICS: [&str; 4] = ["sealwax_filter", "sealwax_edge", "sealwax_xds", "sealwax_core"];

#[test]
fn every_path_in_a_document_exists() {
    let tops = ["control-plane/", "filter/", "envoy/", "tests/", "docs/"];
    for document in documents() {
        // What an older version had may be gone.
        if document == "CHANGELOG.md" || document.starts_with("docs/adr/") {
            continue;
        }
        for word in code_words(&read(&document)) {
            let path = word.trim_end_matches('/');
            let plain = !path.contains([' ', '*', '{', '…', '<']);
            if plain && tops.iter().any(|top| path.starts_with(top)) {
                assert!(
                    root().join(path).exists(),
                    "{document} names {path}, which does not exist"
                );
            }
        }
    }
}

/// What a message tells people to read is there.
#[test]
fn every_document_that_the_program_names_exists() {
    let mut seen = 0;
    let sources = ["control-plane", "filter"].map(|folder| below(folder, ".rs"));
    for source in sources.concat() {
        let text = read(&source);
        for (at, _) in text.match_indices("docs/") {
            // From the last quote, blank or bracket to the next one: the whole path.
            let ends = |one: char| one.is_whitespace() || "\"`()[]".contains(one);
            let (before, after) = text.split_at(at);
            let start = before.rsplit(ends).next().unwrap_or_default();
            let path = format!("{start}{}", after.split(ends).next().unwrap_or_default());
            let path = path
                .trim_start_matches("../")
                .trim_start_matches('/')
                .trim_end_matches(['.', ',', ';', ':', '\\']);
            if path.contains("://") || path.ends_with('/') || path.contains(['{', '*']) {
                continue;
            }
            seen += 1;
            let inside = |part| source.split(part).next().unwrap_or_default();
            let crate_folder = inside("/src/").min(inside("/tests/"));
            let found = [
                path.to_owned(),
                format!("{crate_folder}/{path}"),
                format!("control-plane/{path}"),
            ];
            assert!(
                found.iter().any(|path| root().join(path).exists()),
                "{source} names {path}, which does not exist"
            );
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn every_configuration_key_in_a_document_exists() {
    let keys = keys();
    assert!(keys.len() > 60, "{}", keys.len());
    for document in documents() {
        for word in code_words(&read(&document)) {
            let Some((section, key)) = named(&word) else { continue };
            assert!(
                keys.contains(&(section.clone(), key.clone())),
                "{document} names the key [{section}] {key}, which does not exist"
            );
        }
    }
}

/// `[section] key`, as documents write it, with or without a value.
fn named(word: &str) -> Option<(String, String)> {
    let (section, rest) = word.strip_prefix('[')?.split_once("] ")?;
    let section = section.trim_start_matches('[').trim_end_matches(']');
    let key = rest.split([' ', '=']).next().unwrap_or_default();
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    (plain(section) && plain(key)).then(|| (section.to_owned(), key.to_owned()))
}

/// From the reference, which is written from the table of keys.
fn keys() -> BTreeSet<(String, String)> {
    let reference = read("docs/configuration.md");
    let (mut section, mut keys) = (String::new(), BTreeSet::new());
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("## `") {
            section = heading.trim_matches(['[', ']', '`']).to_owned();
        } else if let Some(key) = line.strip_prefix("### `") {
            keys.insert((section.clone(), key.trim_matches('`').to_owned()));
        }
    }
    keys
}
