//! Registered domains by the public suffix list (<https://publicsuffix.org>), private section
//! included, as CAs read it.

use psl::Type;
use sealwax_protocol::DomainName;

/// The name one label below the public suffix: what limits per registered domain count by. A
/// public suffix stands for itself.
#[must_use]
pub fn registered_domain(domain: &DomainName) -> &str {
    let name = domain.as_str();
    psl::domain_str(name).unwrap_or(name)
}

/// The name is a public suffix that others register names under: CAs do not issue for it. A suffix
/// of the list's private section belongs to somebody, who may have a certificate for it.
#[must_use]
pub fn is_public_suffix(domain: &DomainName) -> bool {
    let name = domain.as_str().as_bytes();
    psl::suffix(name).is_some_and(|suffix| {
        suffix.as_bytes() == name && suffix.is_known() && suffix.typ() == Some(Type::Icann)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_followed_private_section_included() {
        for (name, registered) in [
            ("example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("shop.example.co.uk", "example.co.uk"),
            ("blog.someone.github.io", "someone.github.io"),
            ("www.city.kawasaki.jp", "city.kawasaki.jp"),
            ("co.uk", "co.uk"),
            ("a.b.unlistedtld", "b.unlistedtld"),
        ] {
            let domain = DomainName::parse(name).unwrap();
            assert_eq!(registered_domain(&domain), registered, "{name}");
        }
        for (name, suffix) in [("co.uk", true), ("github.io", false), ("example.com", false)] {
            assert_eq!(is_public_suffix(&DomainName::parse(name).unwrap()), suffix, "{name}");
        }
    }
}
