//! Texts that several rooms write the same way.

use std::error::Error;
use std::fmt::Write as _;

/// An error with everything below it: `what: why: why that`.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        source = deeper.source();
    }
    text
}

/// Lower-case hexadecimal. Not for secrets: what it returns is not wiped.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text never fails.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_digits_each_and_errors_say_why() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        let inner = "x".parse::<u8>().unwrap_err();
        let outer = std::io::Error::other(inner.clone());
        assert!(error_chain(&outer).ends_with(&inner.to_string()));
    }
}
