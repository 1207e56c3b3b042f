//! A DNS host name in its one canonical spelling.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name in its textual form, without the trailing dot (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 253;
/// Longest label (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// A host name a public CA could put into a certificate: lower case, LDH labels (RFC 5890
/// section 2.3.1, so A-labels for international names), at least two labels, no trailing dot,
/// no port, no wildcard, not an IP address.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(Arc<str>);

/// Why a text is not a [`DomainName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainNameError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("the name is longer than 253 bytes")]
    TooLong,
    /// An IPv4 or IPv6 address; certificates for addresses are not issued.
    #[error("this is an IP address, not a domain name")]
    IpAddress,
    /// Two dots in a row, or a dot in front.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A label of more than [`LABEL_BYTES_MAX`] bytes.
    #[error("a label of the name is longer than 63 bytes")]
    LabelTooLong,
    /// A byte other than a letter, a digit or a hyphen; non-ASCII names are written as A-labels.
    #[error("the name has a character other than a-z, 0-9, '-' and '.'")]
    BadCharacter,
    /// A hyphen at a label's start or end.
    #[error("a label of the name starts or ends with '-'")]
    BadHyphen,
    /// Only one label: no public CA issues for it.
    #[error("the name has a single label; a public name has at least two")]
    SingleLabel,
    /// `*.example.com`: not reachable through http-01.
    #[error("wildcard names are not issued through http-01")]
    Wildcard,
    /// The port after the colon is not a number from 0 to 65535.
    #[error("the port after the host is not a number from 0 to 65535")]
    BadPort,
}

impl DomainName {
    /// Reads a name as it stands in configuration, an API path, or a TLS SNI: case and one
    /// trailing dot are normalised, a port is not accepted.
    ///
    /// # Errors
    /// Says which rule of [`DomainName`] the text breaks.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        Self::parse_bytes(text.as_bytes())
    }

    /// [`Self::parse`] for bytes from the network, which may not be UTF-8.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, DomainNameError> {
        let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
        check(bytes)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DomainNameError::BadCharacter)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// Reads the value of a `Host` or `:authority` header: a name with an optional port
    /// (RFC 9110 section 7.2). An IPv6 literal in brackets is an address, not a name.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`DomainNameError::BadPort`].
    pub fn parse_authority(bytes: &[u8]) -> Result<Self, DomainNameError> {
        if bytes.first() == Some(&b'[') {
            return Err(DomainNameError::IpAddress);
        }
        let Some(colon) = bytes.iter().position(|&byte| byte == b':') else {
            return Self::parse_bytes(bytes);
        };
        let (host, port) = bytes.split_at(colon);
        let port = port.get(1..).unwrap_or_default();
        if port.contains(&b':') {
            return Err(DomainNameError::IpAddress);
        }
        check_port(port)?;
        Self::parse_bytes(host)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_port(port: &[u8]) -> Result<(), DomainNameError> {
    let mut number: u32 = 0;
    for &byte in port {
        if !byte.is_ascii_digit() {
            return Err(DomainNameError::BadPort);
        }
        number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
        if number > u32::from(u16::MAX) {
            return Err(DomainNameError::BadPort);
        }
    }
    Ok(())
}

fn check(bytes: &[u8]) -> Result<(), DomainNameError> {
    if bytes.is_empty() {
        return Err(DomainNameError::Empty);
    }
    if bytes.contains(&b':') {
        return Err(DomainNameError::IpAddress);
    }
    if bytes.len() > NAME_BYTES_MAX {
        return Err(DomainNameError::TooLong);
    }
    if bytes.starts_with(b"*.") {
        return Err(DomainNameError::Wildcard);
    }
    let mut labels = 0_usize;
    let mut last: &[u8] = &[];
    for label in bytes.split(|&byte| byte == b'.') {
        check_label(label)?;
        labels += 1;
        last = label;
    }
    // RFC 3696 section 2: a top-level domain is never all-numeric, so this is an IPv4 address
    // in one of its spellings (1.2.3.4, 127.1).
    if last.iter().all(u8::is_ascii_digit) {
        return Err(DomainNameError::IpAddress);
    }
    if labels < 2 {
        return Err(DomainNameError::SingleLabel);
    }
    Ok(())
}

fn check_label(label: &[u8]) -> Result<(), DomainNameError> {
    if label.is_empty() {
        return Err(DomainNameError::EmptyLabel);
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(DomainNameError::LabelTooLong);
    }
    if label.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-') {
        return Err(DomainNameError::BadCharacter);
    }
    if label.first() == Some(&b'-') || label.last() == Some(&b'-') {
        return Err(DomainNameError::BadHyphen);
    }
    Ok(())
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for DomainName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DomainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, DomainNameError> {
        DomainName::parse(text).map(String::from)
    }

    #[test]
    fn case_and_one_trailing_dot_are_normalised() {
        assert_eq!(parsed("Blog.Example.COM."), Ok("blog.example.com".to_owned()));
        assert_eq!(parsed("blog.example.com.."), Err(DomainNameError::EmptyLabel));
    }

    #[test]
    fn a_label_name_passes_and_raw_unicode_does_not() {
        assert_eq!(parsed("xn--bcher-kva.example"), Ok("xn--bcher-kva.example".to_owned()));
        assert_eq!(parsed("bücher.example"), Err(DomainNameError::BadCharacter));
    }

    #[test]
    fn addresses_in_every_spelling_are_not_names() {
        for text in ["1.2.3.4", "127.1", "2130706433", "::1", "fe80::1", "1.2.3.4."] {
            assert_eq!(parsed(text), Err(DomainNameError::IpAddress), "{text}");
        }
        assert_eq!(DomainName::parse_authority(b"[::1]:80"), Err(DomainNameError::IpAddress));
        assert_eq!(DomainName::parse_authority(b"::1"), Err(DomainNameError::IpAddress));
    }

    #[test]
    fn broken_names_say_which_rule_they_break() {
        for (text, error) in [
            ("", DomainNameError::Empty),
            (".", DomainNameError::Empty),
            ("localhost", DomainNameError::SingleLabel),
            (".example.com", DomainNameError::EmptyLabel),
            ("a..example.com", DomainNameError::EmptyLabel),
            ("-a.example.com", DomainNameError::BadHyphen),
            ("a-.example.com", DomainNameError::BadHyphen),
            ("a_b.example.com", DomainNameError::BadCharacter),
            ("a b.example.com", DomainNameError::BadCharacter),
            ("*.example.com", DomainNameError::Wildcard),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded_exactly() {
        let label = "a".repeat(LABEL_BYTES_MAX);
        assert!(parsed(&format!("{label}.example")).is_ok());
        assert_eq!(parsed(&format!("{label}a.example")), Err(DomainNameError::LabelTooLong));
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), NAME_BYTES_MAX);
        assert!(parsed(&longest).is_ok());
        assert_eq!(parsed(&format!("{longest}b")), Err(DomainNameError::TooLong));
    }

    #[test]
    fn an_authority_may_carry_a_port() {
        let name = |bytes: &[u8]| DomainName::parse_authority(bytes).map(String::from);
        assert_eq!(name(b"A.example.com:8080"), Ok("a.example.com".to_owned()));
        assert_eq!(name(b"a.example.com:"), Ok("a.example.com".to_owned()));
        assert_eq!(name(b"a.example.com:65536"), Err(DomainNameError::BadPort));
        assert_eq!(name(b"a.example.com:80x"), Err(DomainNameError::BadPort));
        assert_eq!(name(b"\xff.example.com"), Err(DomainNameError::BadCharacter));
    }

    #[test]
    fn json_refuses_what_parse_refuses() {
        assert!(serde_json::from_str::<DomainName>("\"a.example.com\"").is_ok());
        assert!(serde_json::from_str::<DomainName>("\"1.2.3.4\"").is_err());
    }
}
