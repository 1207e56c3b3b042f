//! Names as people write them.

use sealwax_protocol::{DomainName, DomainNameError};

/// Longest name read, in bytes: Unicode may take several for what becomes one.
const NAME_BYTES_MAX: usize = 1024;

/// Reads a name as a person or a script wrote it. Unicode becomes A-labels (UTS 46), which is
/// how every other part knows it.
///
/// # Errors
/// Which rule it breaks, and the name that was probably meant where there is one in it.
pub fn parse_name(text: &str) -> Result<DomainName, NameError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::Name(DomainNameError::TooLong));
    }
    read(text).map_err(|error| meant(text).map_or(error, NameError::Meant))
}

/// The name within what was pasted: an address from a browser, one with a port, a mail address.
fn meant(text: &str) -> Option<DomainName> {
    let pasted = text.trim();
    let rest = pasted.split_once("://").map_or(pasted, |(_, rest)| rest);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match host.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => host,
    };
    // Nothing was around it: what is wrong is the name itself.
    (host != text).then(|| read(host).ok())?
}

fn read(text: &str) -> Result<DomainName, NameError> {
    if text.is_ascii() {
        return Ok(DomainName::parse(text)?);
    }
    let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::NotInternational)?;
    Ok(DomainName::parse(&ascii)?)
}

/// Why a text is not a name that can be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name with something around it.
    #[error(
        "this is more than a domain name; did you mean {0}? Give the name alone, without scheme, port and path"
    )]
    Meant(DomainName),
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
    fn of_what_was_pasted_the_name_is_told() {
        let shop = DomainName::parse("shop.example.com").unwrap();
        for pasted in [
            "https://shop.example.com/",
            "HTTPS://Shop.example.com",
            "shop.example.com:443",
            "shop.example.com/path?x=1",
            "//shop.example.com",
            "https://user:secret@shop.example.com:8443/a#b",
            "info@shop.example.com",
            " shop.example.com ",
            "https://shop.example.com./",
        ] {
            let refused = parse_name(pasted).unwrap_err();
            assert_eq!(refused, NameError::Meant(shop.clone()), "{pasted}");
            assert!(refused.to_string().contains("did you mean shop.example.com?"), "{refused}");
        }
        let bücher = parse_name("https://bücher.example/").unwrap_err();
        assert!(bücher.to_string().contains("xn--bcher-kva.example"), "{bücher}");
        for address in ["https://127.0.0.1/", "127.0.0.1:443", "[::1]:443", "::1"] {
            assert_eq!(parse_name(address), Err(NameError::Name(DomainNameError::IpAddress)));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(parse_name("１２７.0.0.1"), Err(NameError::Name(DomainNameError::IpAddress)));
        assert!(parse_name("a\u{202e}b.example").is_err());
        assert!(parse_name(&"ä".repeat(600)).is_err());
        assert_eq!(parse_name("*.example.com"), Err(NameError::Name(DomainNameError::Wildcard)));
    }
}
