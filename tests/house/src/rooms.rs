//! `docs/architecture.md` says what each crate must not know.

use std::collections::{BTreeMap, BTreeSet};

use super::{code_words, read, root};

/// Put all the others together, so they reach all of them.
const TOGETHER: [&str; 2] = ["control-plane/server", "control-plane/cli"];

struct Room {
    /// The package's name.
    name: String,
    /// Packages it depends on, dependencies of tests left out.
    knows: BTreeSet<String>,
}

/// The rooms by their folder.
fn rooms() -> BTreeMap<String, Room> {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let mut rooms = BTreeMap::new();
    for folder in members.iter().map(|member| member.as_str().unwrap()) {
        let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
        let knows = manifest.get("dependencies").and_then(toml::Value::as_table);
        let knows = knows.into_iter().flat_map(|all| all.keys().cloned()).collect();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        rooms.insert(folder.to_owned(), Room { name, knows });
    }
    rooms
}

fn reached(rooms: &BTreeMap<String, Room>, folder: &str) -> BTreeSet<String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for known in &rooms[&folder].knows {
            let next = rooms.iter().find(|(_, room)| room.name == *known);
            if reached.insert(known.clone())
                && let Some((folder, _)) = next
            {
                open.push(folder.clone());
            }
        }
    }
    reached
}

/// A crate of ours, or a foreign one, by what the table calls it.
fn meant(rooms: &BTreeMap<String, Room>, word: &str) -> String {
    let ours = format!("sealwax-{word}");
    if rooms.values().any(|room| room.name == ours) {
        return ours;
    }
    let workspace = read("Cargo.toml");
    assert!(
        workspace.lines().any(|line| line.starts_with(&format!("{word} = "))),
        "`{word}` in the last cell is neither a crate of ours nor one we depend on"
    );
    word.to_owned()
}

#[test]
fn no_room_knows_what_the_architecture_says_it_must_not() {
    let rooms = rooms();
    let text = read("docs/architecture.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut described = BTreeSet::new();
    for row in &rows {
        let [room, _, forbidden] = row.as_slice() else { panic!("three cells: {row:?}") };
        let folder = room.trim_matches('`');
        assert!(rooms.contains_key(folder), "there is no {folder}");
        described.insert(folder.to_owned());
        let forbidden = code_words(forbidden);
        assert!(!forbidden.is_empty(), "{folder}: its last cell names nothing that can be checked");
        let known = if TOGETHER.contains(&folder) {
            rooms[folder].knows.clone()
        } else {
            reached(&rooms, folder)
        };
        for word in forbidden {
            let meant = meant(&rooms, &word);
            let through = if meant.starts_with("sealwax-") { &known } else { &rooms[folder].knows };
            assert!(!through.contains(&meant), "{folder} knows {word}");
        }
    }
    for folder in rooms.keys().filter(|folder| !folder.starts_with("tests/")) {
        assert!(described.contains(folder), "docs/architecture.md has no row for {folder}");
    }
    assert!(root().join("control-plane/cli/src/main.rs").exists());
}
