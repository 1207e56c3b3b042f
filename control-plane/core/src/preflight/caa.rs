//! What CAA records allow (RFC 8659), account and method included (RFC 8657).

use serde::{Deserialize, Serialize};

/// The method certificates are asked for with (RFC 8657 section 4).
const METHOD: &str = "http-01";
/// Properties whose meaning is known here: a critical one of another name forbids (RFC 8659
/// section 4.1).
const KNOWN: [&str; 3] = ["issue", "issuewild", "iodef"];

/// A CAA record, as found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaaRecord {
    /// Whoever does not understand it may not issue.
    pub critical: bool,
    /// What it is about, in lower case.
    pub tag: String,
    /// What it says.
    pub value: String,
}

/// The CAA records that count for a name: those of the closest name above it that has any
/// (RFC 8659 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaaSet {
    /// The name they count for.
    pub at: String,
    /// Where they stand, if that is the target of the CNAME record at [`at`](Self::at): it is asked
    /// in its place (RFC 8659 section 3), and nothing can stand beside it (RFC 1034 section 3.6.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_at: Option<String>,
    /// The records; not empty.
    pub records: Vec<CaaRecord>,
}

/// Who a CA is in CAA records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaaIdentity {
    /// What it calls itself (RFC 8555 section 7.1.1, `caaIdentities`); empty if it does not say.
    pub names: Vec<String>,
    /// The URL of our account with it, if it is known.
    pub account: Option<String>,
}

impl CaaSet {
    /// Whether this CA may issue for a name that is no wildcard.
    ///
    /// # Errors
    /// Why not, in words that follow the records.
    pub fn allows(&self, ca: &CaaIdentity) -> Result<(), String> {
        let unknown = |record: &&CaaRecord| record.critical && !KNOWN.contains(&&*record.tag);
        if let Some(record) = self.records.iter().find(unknown) {
            return Err(format!(
                "{} is critical, and certificate authorities stop at it",
                record.tag
            ));
        }
        // Records for wildcards alone say nothing about other names (RFC 8659 section 4.3).
        let mut issue = self.records.iter().filter(|record| record.tag == "issue").peekable();
        if issue.peek().is_none() || ca.names.is_empty() {
            return Ok(());
        }
        let mut why = format!("none of them names {}", ca.names.join(" or "));
        for entry in issue.filter_map(|record| Issue::parse(&record.value)) {
            if !ca.names.iter().any(|name| name.eq_ignore_ascii_case(entry.domain)) {
                continue;
            }
            match entry.fits(ca.account.as_deref()) {
                Ok(()) => return Ok(()),
                Err(not) => why = not,
            }
        }
        Err(why)
    }
}

/// The value of an `issue` property (RFC 8659 section 4.2).
struct Issue<'a> {
    /// Empty: nobody.
    domain: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Issue<'a> {
    /// `None`: malformed, which allows nobody.
    fn parse(value: &'a str) -> Option<Self> {
        let mut parts = value.split(';').map(|part| part.trim_matches([' ', '\t']));
        let domain = parts.next()?;
        let parameters = parts.filter(|part| !part.is_empty()).map(|part| {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) =
                (tag.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
            let good_tag = !tag.is_empty()
                && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (good_tag && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some((tag, value))
        });
        Some(Self { domain, parameters: parameters.collect::<Option<_>>()? })
    }

    fn fits(&self, account: Option<&str>) -> Result<(), String> {
        let of = |wanted: &'static str| {
            let named = move |(tag, _): &&(&str, &str)| tag.eq_ignore_ascii_case(wanted);
            self.parameters.iter().filter(named).map(|(_, value)| *value)
        };
        // Two of them can never both be meant (RFC 8657 section 3).
        if of("accounturi").count() > 1 || of("validationmethods").count() > 1 {
            return Err("it names accounturi or validationmethods twice".to_owned());
        }
        if let (Some(wanted), Some(ours)) = (of("accounturi").next(), account)
            && wanted != ours
        {
            return Err(format!("it allows the account {wanted} only, and ours is {ours}"));
        }
        match of("validationmethods").next() {
            Some(methods) if !methods.split(',').any(|method| method.trim() == METHOD) => {
                Err(format!("it allows the methods {methods} only, and not {METHOD}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.example/acct/7";

    fn allows(records: &[(&str, &str)]) -> bool {
        let record = |(tag, value): &(&str, &str)| CaaRecord {
            critical: tag.starts_with('!'),
            tag: tag.trim_start_matches('!').to_owned(),
            value: (*value).to_owned(),
        };
        let records = records.iter().map(record).collect();
        let set = CaaSet { at: "example.com".to_owned(), stands_at: None, records };
        let names = vec!["ca.example".to_owned(), "old.ca.example".to_owned()];
        set.allows(&CaaIdentity { names, account: Some(ACCOUNT.to_owned()) }).is_ok()
    }

    #[test]
    fn records_allow_whom_they_name() {
        for (records, allowed) in [
            (&[("issue", "ca.example")][..], true),
            (&[("issue", "CA.Example")], true),
            (&[("issue", "old.ca.example")], true),
            (&[("issue", " ca.example ;")], true),
            (&[("issue", "other.example")], false),
            (&[("issue", "other.example"), ("issue", "ca.example")], true),
            (&[("issue", ";")], false),
            (&[("issue", "")], false),
            (&[("issue", "evilca.example")], false),
            // Nothing about names that are no wildcards.
            (&[("issuewild", ";")], true),
            (&[("issuewild", "ca.example"), ("issue", ";")], false),
            (&[("iodef", "mailto:a@example.com")], true),
            (&[("issuemail", ";")], true),
            // Critical.
            (&[("!issue", "ca.example")], true),
            (&[("!tbs", "Unknown"), ("issue", "ca.example")], false),
            (&[("tbs", "Unknown"), ("issue", "ca.example")], true),
            // Malformed ones allow nobody.
            (&[("issue", "ca.example; %%%%%")], false),
            (&[("issue", "ca.example; a=b c")], false),
            (&[("issue", "ca.example; =b")], false),
        ] {
            assert_eq!(allows(records), allowed, "{records:?}");
        }
    }

    #[test]
    fn account_and_method_are_part_of_it() {
        for (value, allowed) in [
            (format!("ca.example; accounturi={ACCOUNT}"), true),
            (format!("ca.example;AccountURI = {ACCOUNT}"), true),
            ("ca.example; accounturi=https://ca.example/acct/8".to_owned(), false),
            (format!("ca.example; accounturi={ACCOUNT}; accounturi={ACCOUNT}"), false),
            ("ca.example; validationmethods=http-01".to_owned(), true),
            ("ca.example; validationmethods=dns-01,http-01".to_owned(), true),
            ("ca.example; validationmethods=dns-01".to_owned(), false),
            (format!("ca.example; accounturi={ACCOUNT}; validationmethods=dns-01"), false),
            ("ca.example; unknown=parameter".to_owned(), true),
        ] {
            assert_eq!(allows(&[("issue", &value)]), allowed, "{value}");
        }
    }

    #[test]
    fn what_is_not_known_of_the_ca_forbids_nothing() {
        let record = |value: &str| CaaRecord {
            critical: false,
            tag: "issue".to_owned(),
            value: value.to_owned(),
        };
        let set = |value: &str| CaaSet {
            at: "a.example".to_owned(),
            stands_at: None,
            records: vec![record(value)],
        };
        assert!(set(";").allows(&CaaIdentity::default()).is_ok());
        let nameless = CaaIdentity { names: vec!["ca.example".to_owned()], account: None };
        assert!(set("ca.example; accounturi=https://a/1").allows(&nameless).is_ok());
    }
}
