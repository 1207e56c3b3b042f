//! Names as people write them.

use sealwax_protocol::{DomainName, DomainNameError};

/// Longest name read, in bytes: Unicode may take several for what becomes one.
const NAME_BYTES_MAX: usize = 1024;

/// Reads a name as a person or a script wrote it. Unicode becomes A-labels (UTS 46), which is
/// how every other part knows it.
///
/// # Errors
/// Which rule it breaks.
pub fn parse_name(text: &str) -> Result<DomainName, NameError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::Name(DomainNameError::TooLong));
    }
    if text.is_ascii() {
        return Ok(DomainName::parse(text)?);
    }
    let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::NotInternational)?;
    Ok(DomainName::parse(&ascii)?)
}

/// Why a text is not a name that can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No host name.
    #[error(transparent)]
    Name(#[from] DomainNameError),
    /// Not a valid international name.
    #[error("the name has characters that no international domain name has")]
    NotInternational,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_becomes_a_labels() {
        assert_eq!(parse_name("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        assert_eq!(parse_name("ＡＢＣ。example").unwrap().as_str(), "abc.example");
        assert_eq!(parse_name("BLOG.example.com.").unwrap().as_str(), "blog.example.com");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(parse_name("１２７.0.0.1"), Err(NameError::Name(DomainNameError::IpAddress)));
        assert!(parse_name("a\u{202e}b.example").is_err());
        assert!(parse_name(&"ä".repeat(600)).is_err());
        assert_eq!(parse_name("*.example.com"), Err(NameError::Name(DomainNameError::Wildcard)));
    }
}
