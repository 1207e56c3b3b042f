//! The manual of every key, written from the same table the reader uses.

use super::keys::{ALL, Absent, Entry, SECTIONS, repeats};
use super::reader::environment_name;

const HEAD: &str = "\
# Configuration

`sealwax serve --config FILE` reads a TOML file. Without a file everything has its default: the
embedded store in `./sealwax-data`, listeners on loopback, and Let's Encrypt's staging environment.
Relative paths start at the working directory. Durations are a whole number and a unit: `250ms`,
`10s`, `5m`, `2h`, `30d`.

Every key can be set in the environment instead, which goes before the file. Unknown keys, values
that are not allowed and contradictions are refused at start, all of them at once, with exit
status 2.

<!-- Written by `sealwax docs configuration`; do not edit. -->
";

/// The configuration manual in Markdown: what `docs/configuration.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (section, about) in SECTIONS {
        let heading =
            if repeats(section) { format!("[[{section}]]") } else { format!("[{section}]") };
        text.push_str(&format!("\n## `{heading}`\n\n{about}\n"));
        for entry in ALL.iter().filter(|entry| entry.section == section) {
            describe(&mut text, entry);
        }
    }
    text
}

fn describe(text: &mut String, entry: &Entry) {
    let position = repeats(entry.section).then_some(0);
    let absent = match entry.absent {
        Absent::Value(value) => format!("default `{value}`"),
        Absent::Unset(words) => format!("default: {words}"),
        Absent::Required => "required".to_owned(),
    };
    text.push_str(&format!(
        "\n### `{}`\n\n{}\n\n{}; {absent}; environment `{}`\n",
        entry.name,
        entry.doc,
        capitalised(&entry.allowed.to_string()),
        environment_name(entry, position),
    ));
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
