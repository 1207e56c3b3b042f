//! Takes values out of the file and the environment, and collects everything that is wrong.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::allowed::{Allowed, Read, Shape, VALUE_BYTES_MAX};
use super::keys::{ALL, Absent, Entry, Key, repeats};
use super::problem::Problem;

/// Most sections of one name: of `[[issuer]]`, of `[[notify]]`.
pub(super) const REPEATED_MAX: usize = 8;
/// What every override in the environment starts with.
pub(super) const ENVIRONMENT_PREFIX: &str = "SEALWAX__";

/// Where a key is looked for: most sections are there once, `[[issuer]]` by position.
pub(super) type Position = Option<usize>;

pub(super) struct Reader {
    file: String,
    root: Table,
    environment: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

/// A value as found, with the place it was found in.
struct Found {
    place: String,
    shown: String,
    text: Option<String>,
}

impl Reader {
    pub(super) fn new(
        file: String,
        root: Table,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let environment =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        let mut reader = Self { file, root, environment, problems: Vec::new() };
        reader.refuse_unknown_in_file();
        reader.refuse_unknown_in_environment();
        reader
    }

    /// A value or its default. `None`: a problem was noted.
    pub(super) fn get<T: Read>(&mut self, key: &Key<T>, at: Position) -> Option<T> {
        if let Some(found) = self.find(&key.entry, at) {
            return self.accept(&key.entry, at, &found);
        }
        match key.entry.absent {
            Absent::Value(text) => T::read(text, key.entry.allowed),
            Absent::Unset(_) | Absent::Required => {
                let place = self.file.clone();
                let said = format!("is missing; allowed: {}", key.entry.allowed);
                self.problems.push(Problem::new(place, path(&key.entry, at), None, said));
                None
            }
        }
    }

    /// A value that may be left out. Outer `None`: a problem was noted.
    pub(super) fn optional<T: Read>(&mut self, key: &Key<T>, at: Position) -> Option<Option<T>> {
        match self.find(&key.entry, at) {
            None => Some(None),
            Some(found) => self.accept(&key.entry, at, &found).map(Some),
        }
    }

    /// Notes that a key which is set contradicts something else. Nothing if it is not set.
    pub(super) fn refuse_if_set(&mut self, entry: &Entry, at: Position, said: &str) {
        if let Some(found) = self.find(entry, at) {
            let problem =
                Problem::new(found.place, path(entry, at), Some(found.shown), said.to_owned());
            self.problems.push(problem);
        }
    }

    /// Notes that a key contradicts something else, whether it is set or a default.
    pub(super) fn refuse(&mut self, entry: &Entry, at: Position, said: &str) {
        if self.find(entry, at).is_some() {
            self.refuse_if_set(entry, at, said);
        } else {
            let value =
                if let Absent::Value(text) = entry.absent { Some(quoted(text)) } else { None };
            let place = self.file.clone();
            self.problems.push(Problem::new(place, path(entry, at), value, said.to_owned()));
        }
    }

    /// How many `[[issuer]]` sections there are (or others that repeat), in the file or beyond it
    /// in the environment.
    pub(super) fn repeated(&mut self, section: &str) -> usize {
        let in_file = self.root.get(section).and_then(Value::as_array).map_or(0, Vec::len);
        let in_environment = self
            .environment
            .keys()
            .filter_map(|name| environment_parts(name))
            .filter(|(found, ..)| found.eq_ignore_ascii_case(section))
            .filter_map(|(_, position, _)| position)
            .max()
            .map_or(0, |last| last.saturating_add(1));
        let count = in_file.max(in_environment);
        if count > REPEATED_MAX {
            let said = format!("is there {count} times; allowed: at most {REPEATED_MAX}");
            self.problems.push(Problem::new(self.file.clone(), section.to_owned(), None, said));
        }
        count.min(REPEATED_MAX)
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    fn accept<T: Read>(&mut self, entry: &Entry, at: Position, found: &Found) -> Option<T> {
        let text = found.text.as_deref().filter(|text| text.len() <= VALUE_BYTES_MAX);
        let read = text.and_then(|text| T::read(text, entry.allowed));
        if read.is_none() {
            let said = format!("allowed: {}", entry.allowed);
            let shown = Some(found.shown.clone());
            self.problems.push(Problem::new(found.place.clone(), path(entry, at), shown, said));
        }
        read
    }

    /// The environment goes before the file.
    fn find(&self, entry: &Entry, at: Position) -> Option<Found> {
        let name = environment_name(entry, at);
        if let Some(text) = self.environment.get(&name) {
            let shown = shown(entry.allowed, || quoted(text));
            let place = format!("environment {name}");
            return Some(Found { place, shown, text: Some(text.clone()) });
        }
        let section = self.root.get(entry.section)?;
        let section = match at {
            Some(position) => section.as_array()?.get(position)?,
            None => section,
        };
        let value = section.as_table()?.get(entry.name)?;
        let shown = shown(entry.allowed, || quoted_value(value));
        Some(Found { place: self.file.clone(), shown, text: text_of(value, entry.allowed.shape()) })
    }

    fn refuse_unknown_in_file(&mut self) {
        let mut unknown = Vec::new();
        for (section, value) in &self.root {
            let names = names_in(section);
            if names.is_empty() {
                unknown.push((section.clone(), format!("is no section; allowed: {}", sections())));
                continue;
            }
            for (path, table) in tables_of(section, value) {
                let Some(table) = table else {
                    let said = if repeats(section) {
                        format!("is written as [[{section}]]")
                    } else {
                        "is a section".to_owned()
                    };
                    unknown.push((path, said));
                    continue;
                };
                for name in table.keys().filter(|name| !names.contains(&name.as_str())) {
                    let said = format!("is no key; allowed: {}", names.join(", "));
                    unknown.push((format!("{path}.{name}"), said));
                }
            }
        }
        for (path, said) in unknown {
            self.problems.push(Problem::new(self.file.clone(), path, None, said));
        }
    }

    fn refuse_unknown_in_environment(&mut self) {
        for name in self.environment.keys() {
            let known = environment_parts(name).is_some_and(|(section, position, key)| {
                let section = section.to_ascii_lowercase();
                position.is_some() == repeats(&section)
                    && names_in(&section).iter().any(|known| known.to_ascii_uppercase() == key)
            });
            if !known {
                let said = "is no key; allowed: SEALWAX__SECTION__KEY, and \
                            SEALWAX__ISSUER__0__KEY for the first [[issuer]]";
                let place = "environment".to_owned();
                self.problems.push(Problem::new(place, name.clone(), None, said.to_owned()));
            }
        }
    }
}

/// How the environment spells a key.
pub(super) fn environment_name(entry: &Entry, at: Position) -> String {
    let section = entry.section.to_ascii_uppercase();
    let position = at.map(|position| format!("__{position}")).unwrap_or_default();
    format!("{ENVIRONMENT_PREFIX}{section}{position}__{}", entry.name.to_ascii_uppercase())
}

/// Section, position and key of an override's name.
fn environment_parts(name: &str) -> Option<(&str, Position, &str)> {
    let (section, rest) = name.strip_prefix(ENVIRONMENT_PREFIX)?.split_once("__")?;
    match rest.split_once("__") {
        None => Some((section, None, rest)),
        Some((position, key)) => Some((section, Some(position.parse().ok()?), key)),
    }
}

/// The tables of a section, each with its path; `None`: not a table.
fn tables_of<'a>(section: &str, value: &'a Value) -> Vec<(String, Option<&'a Table>)> {
    if !repeats(section) {
        return vec![(section.to_owned(), value.as_table())];
    }
    let Some(tables) = value.as_array() else { return vec![(section.to_owned(), None)] };
    let numbered = tables.iter().enumerate();
    numbered.map(|(position, table)| (format!("{section}[{position}]"), table.as_table())).collect()
}

fn names_in(section: &str) -> Vec<&'static str> {
    ALL.iter().filter(|entry| entry.section == section).map(|entry| entry.name).collect()
}

fn sections() -> String {
    let mut names: Vec<_> = ALL.iter().map(|entry| entry.section).collect();
    names.dedup();
    names.join(", ")
}

fn path(entry: &Entry, at: Position) -> String {
    match at {
        Some(position) => format!("{}[{position}].{}", entry.section, entry.name),
        None => format!("{}.{}", entry.section, entry.name),
    }
}

/// A value as text, if it has the shape the key asks for.
fn text_of(value: &Value, shape: Shape) -> Option<String> {
    match (value, shape) {
        (Value::String(text), Shape::Text | Shape::TextOrList) => Some(text.clone()),
        (Value::Integer(number), Shape::Integer) => Some(number.to_string()),
        (Value::Boolean(flag), Shape::Flag) => Some(flag.to_string()),
        (Value::Array(values), Shape::TextOrList) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn shown(allowed: Allowed, value: impl FnOnce() -> String) -> String {
    if allowed.shown() { value() } else { "(not shown)".to_owned() }
}

/// Longest piece of a bad value repeated in an error, in characters.
const SHOWN_CHARS_MAX: usize = 80;

fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}

fn quoted_value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(moment) => moment.to_string(),
        Value::Array(_) => "[…]".to_owned(),
        Value::Table(_) => "{…}".to_owned(),
    }
}
