//! Reads JSON objects key by key, notes every error, and refuses keys nobody asked for.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{EXEMPT_PATH_BYTES_MAX, EXEMPT_PATHS_MAX};

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, dotted; empty for the whole document.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub reason: String,
}

/// Everything wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors; unknown keys come last within their object.
    #[must_use]
    pub fn all(&self) -> &[ConfigError] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, key: &str, reason: String) {
        self.0.push(ConfigError { key: key.to_owned(), reason });
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ConfigError { key, reason }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let key = if key.is_empty() { "configuration" } else { key };
            write!(f, "{separator}{key}: {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One JSON object of the configuration.
pub(super) struct Section<'e> {
    path: String,
    map: Map<String, Value>,
    errors: &'e mut ConfigErrors,
}

impl<'e> Section<'e> {
    pub(super) fn new(path: &str, map: Map<String, Value>, errors: &'e mut ConfigErrors) -> Self {
        Self { path: path.to_owned(), map, errors }
    }

    /// The object under `key`; nothing there reads as an empty one.
    pub(super) fn section(&mut self, key: &str) -> Section<'_> {
        let map = match self.map.remove(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.wrong(key, "an object", &other);
                Map::new()
            }
        };
        let path = self.full(key);
        Section::new(&path, map, self.errors)
    }

    pub(super) fn present(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.map.remove(key) {
            None => default,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.wrong(key, "true or false", &other);
                default
            }
        }
    }

    pub(super) fn number<N>(&mut self, key: &str, default: N, range: RangeInclusive<N>) -> N
    where
        N: TryFrom<u64> + Copy + PartialOrd + fmt::Display,
    {
        let Some(value) = self.map.remove(key) else {
            return default;
        };
        let number = whole(&value).and_then(|number| N::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let allowed = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong(key, &allowed, &value);
                default
            }
        }
    }

    pub(super) fn one_of(&mut self, key: &str, default: u16, allowed: &[u16]) -> u16 {
        let Some(value) = self.map.remove(key) else {
            return default;
        };
        let number = whole(&value).and_then(|number| u16::try_from(number).ok());
        match number.filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                self.wrong(key, &format!("one of {allowed:?}"), &value);
                default
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)], default: T) -> T {
        let Some(value) = self.map.remove(key) else {
            return default;
        };
        let word = value.as_str().unwrap_or_default();
        match words.iter().find(|(name, _)| *name == word) {
            Some((_, choice)) => *choice,
            None => {
                let names: Vec<_> = words.iter().map(|(name, _)| format!("{name:?}")).collect();
                self.wrong(key, &names.join(" or "), &value);
                default
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, default: Option<&str>, bytes_max: usize) -> String {
        let value = match (self.map.remove(key), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return default.to_owned(),
            (None, None) => {
                let key = self.full(key);
                self.errors.add(&key, "required".to_owned());
                return String::new();
            }
        };
        match value.as_str() {
            Some(text) if is_name(text, bytes_max) => text.to_owned(),
            _ => {
                let allowed = format!("1 to {bytes_max} visible ASCII characters");
                self.wrong(key, &allowed, &value);
                String::new()
            }
        }
    }

    pub(super) fn paths(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.map.remove(key) else {
            return Vec::new();
        };
        let paths = value.as_array().filter(|items| items.len() <= EXEMPT_PATHS_MAX);
        let paths: Option<Vec<String>> = paths.and_then(|items| {
            let path = |item: &Value| item.as_str().filter(|text| is_path(text)).map(str::to_owned);
            items.iter().map(path).collect()
        });
        paths.unwrap_or_else(|| {
            let allowed = format!(
                "a list of at most {EXEMPT_PATHS_MAX} paths, each starting with '/', without \
                 query, at most {EXEMPT_PATH_BYTES_MAX} visible ASCII characters"
            );
            self.wrong(key, &allowed, &value);
            Vec::new()
        })
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong(&mut self, key: &str, allowed: &str, value: &Value) {
        let key = self.full(key);
        let mut shown = value.to_string();
        if shown.len() > 60 {
            shown = shown.chars().take(60).chain("…".chars()).collect();
        }
        self.errors.add(&key, format!("{shown} is not {allowed}"));
    }
}

/// The end of a section refuses what was not asked for.
impl Drop for Section<'_> {
    fn drop(&mut self) {
        for key in self.map.keys() {
            self.errors.add(&self.full(key), "unknown key".to_owned());
        }
    }
}

/// Envoy turns a protobuf `Struct` into JSON, where every number is a double: 1000 may arrive as
/// `1000.0`.
fn whole(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let float = value.as_f64()?;
    // Every number allowed anywhere is far below 2^32, where doubles are exact.
    let in_range = (0.0..=f64::from(u32::MAX)).contains(&float) && float.fract() == 0.0;
    in_range.then(|| format!("{float:.0}").parse().ok()).flatten()
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('?') && is_name(text, EXEMPT_PATH_BYTES_MAX)
}
