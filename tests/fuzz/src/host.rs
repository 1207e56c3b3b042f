//! Hosts: a name that parses is canonical, and canonical names stay what they are.

use sealwax_protocol::DomainName;

/// One input.
///
/// # Panics
/// When a rule is broken.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(name) = DomainName::parse_authority(bytes) {
        let text = name.as_str();
        assert!((3..=253).contains(&text.len()) && text.contains('.'));
        assert!(text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')));
        assert_eq!(DomainName::parse(text).as_ref(), Ok(&name));
        assert_eq!(DomainName::parse_authority(text.as_bytes()).as_ref(), Ok(&name));
        let shouted = format!("{}.:443", text.to_ascii_uppercase());
        assert_eq!(DomainName::parse_authority(shouted.as_bytes()), Ok(name));
    }
}
