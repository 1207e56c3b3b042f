//! The documents, held to their word: their commands are run, their links followed, their units
//! checked.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealwax_testkit::{Line, LineSettings, PATIENCE, checkout, sealwax_binary};

use crate::sandbox;

#[tokio::test]
async fn every_command_of_the_tutorial_does_what_it_says() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, line.pebble.root_pem()).unwrap();
    std::fs::copy(line.control_plane.config_file(), folder.path().join("sealwax.toml")).unwrap();
    let binary = sealwax_binary().unwrap();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());

    let tutorial = std::fs::read_to_string(checkout().unwrap().join("docs/tutorial.md")).unwrap();
    let blocks = sandbox::blocks(&tutorial, "sh");
    assert!(blocks.len() >= 10, "{}", blocks.len());
    let mut said = String::new();
    for block in blocks {
        let mut shell = tokio::process::Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &block])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("SEALWAX_SERVER", format!("http://{}", line.control_plane.admin_address()))
            .env("EDGE", line.https().to_string())
            .env("ROOT", &root)
            .env("DNS", format!("http://{}", line.pebble.dns().management()))
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, shell.output()).await.expect(&block).unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{}\n{out}\n{err}", output.status);
        said.push_str(&out);
    }
    for part in [
        "pending",
        "issued",
        "shop9.example.com",
        "sealwax_domains",
        "ready",
        "an order was placed",
        "no certificate",
        "Who must act",
    ] {
        assert!(said.contains(part), "{part} is nowhere in:\n{said}");
    }
    let admin = line.control_plane.admin();
    for name in ["shop1.example.com", "shop2.example.com"] {
        assert_eq!(admin.show(name).await.unwrap()["state"], "issued", "{name}");
    }
    assert!(admin.show("shop10.example.com").await.is_err());
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = checkout().unwrap();
    let mut looked_at = 0;
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with('#') || link.is_empty() {
                continue;
            }
            let file = link.split('#').next().unwrap_or_default();
            let target = document.parent().unwrap().join(file);
            assert!(target.exists(), "{} links to {link}", document.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

/// What someone comes to a document for, which no command in it shows.
const COMES_FOR: [(&str, &[&str]); 8] = [
    ("README.md", &["## See it", "## Use it", "docs/tutorial.md", "CONTRIBUTING.md"]),
    ("CONTRIBUTING.md", &["To find your way:", "docs/architecture.md", "docs/invariants.md"]),
    (
        "docs/architecture.md",
        &["```text", "in the order to read them", "## Why it is built this way"],
    ),
    ("docs/deploying.md", &["## Upgrade, and back", "## How much of what"]),
    ("docs/operating.md", &["## A runbook for each cause", "iam-policy.json", "store init"]),
    ("docs/threat-model.md", &["## What is worth protecting", "## What is not protected"]),
    ("docs/migrating.md", &["## nginx with certbot", "## Caddy", "## lua-resty-auto-ssl"]),
    ("control-plane/store/docs/access-patterns.md", &["| index | hash | range | holds |"]),
];
/// Two screens.
const README_LINES_MAX: usize = 100;

#[test]
fn every_document_has_what_one_comes_to_it_for() {
    let root = checkout().unwrap();
    let read = |document: &str| std::fs::read_to_string(root.join(document)).unwrap();
    for (document, parts) in COMES_FOR {
        let text = read(document);
        for part in parts {
            assert!(text.contains(part), "{document} lacks {part:?}");
        }
    }
    assert!(read("README.md").lines().count() <= README_LINES_MAX);
    let decisions = std::fs::read_dir(root.join("docs/adr")).unwrap();
    assert!(decisions.count() > 5);
}

pub(crate) fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_units_are_sound_and_tight() {
    let root = checkout().unwrap();
    let binary = sealwax_binary().unwrap();
    for unit in ["sealwax.service", "envoy.service"] {
        let text = std::fs::read_to_string(root.join("docs/systemd").join(unit)).unwrap();
        // It is looked at whether the program is there; any will do.
        let program = binary.to_str().unwrap();
        let text = text.replace("/usr/local/bin/sealwax", program);
        let text = text.replace("/usr/local/bin/envoy", program);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(unit);
        std::fs::write(&path, text).unwrap();
        for arguments in
            [&["verify", "--man=no"][..], &["security", "--offline=true", "--threshold=25"]]
        {
            let output = Command::new("systemd-analyze")
                .args(arguments)
                .arg(&path)
                .output()
                .expect("systemd-analyze is missing: run `make setup`");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains(unit), "{arguments:?}: {said}");
        }
    }
}
