//! What may be built in: `deny.toml`, as far as it can be checked without a network and without
//! another program.

use std::collections::BTreeSet;
use std::process::Command;

use spdx::{Expression, ParseMode};

use super::{read, root};

/// A package of the build, for any target and every use.
struct Package {
    /// Name and version.
    name: String,
    license: String,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--workspace", "--locked", "--offline", "--target", "all"])
        .args(["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let lines: BTreeSet<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines
        .into_iter()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, license)| Package { name: name.to_owned(), license: license.to_owned() })
        .collect()
}

fn policy() -> toml::Table {
    read("deny.toml").parse().unwrap()
}

fn words<'a>(policy: &'a toml::Table, section: &str, key: &str) -> Vec<&'a str> {
    policy[section][key].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_package_has_an_allowed_licence_and_none_is_banned() {
    let policy = policy();
    let allowed = words(&policy, "licenses", "allow");
    let banned: Vec<_> = policy["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["name"].as_str().unwrap())
        .collect();
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    for Package { name, license } in packages {
        let plain = name.split(' ').next().unwrap_or_default();
        assert!(!banned.contains(&plain), "{plain} is banned by deny.toml");
        let license = Expression::parse_mode(&license, ParseMode::LAX).unwrap_or_else(|error| {
            panic!("{name}: its licence cannot be read: {error}");
        });
        let fits = license.evaluate(|wanted| allowed.contains(&wanted.to_string().as_str()));
        assert!(fits, "{name}: deny.toml does not allow {license}");
    }
}

#[test]
fn every_package_comes_from_the_one_registry() {
    let policy = policy();
    let registries: Vec<_> = words(&policy, "sources", "allow-registry")
        .into_iter()
        .map(|url| format!("registry+{url}"))
        .collect();
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        // Packages of the workspace have no source.
        if let Some(source) = package.get("source") {
            let source = source.as_str().unwrap();
            let name = package["name"].as_str().unwrap();
            assert!(registries.iter().any(|one| one == source), "{name} comes from {source}");
        }
    }
}
