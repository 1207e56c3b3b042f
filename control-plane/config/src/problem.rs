//! What is wrong with a configuration, in lines someone can act on.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: String,
    key: String,
    value: Option<String>,
    said: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub(super) const fn new(
        place: String,
        key: String,
        value: Option<String>,
        said: String,
    ) -> Self {
        Self { place, key, value, said }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.key)?;
        match &self.value {
            Some(value) => write!(f, " = {value}: {}", self.said),
            None => write!(f, " {}", self.said),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let joint = if index == 0 { "" } else { "\n" };
            write!(f, "{joint}{problem}")?;
        }
        Ok(())
    }
}
