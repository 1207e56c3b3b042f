//! Where each item lives: the table's key layout and its indexes.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | domain record | `D#domain` | `meta` |
//! | served certificate | `D#domain` | `cert` |
//! | lifecycle event | `D#domain` | `E#time#version#n` |
//! | challenge answer | `C#token` | `answer` |
//! | ACME account | `A#issuer` | `account` |
//! | change log entry | `G#shard` | `stamp#write id` |
//! | shared document | `B#name` | `document` |
//! | schema, marks of jobs | `S#schema`, `S#mark#job` | `schema`, `mark` |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sealwax_core::store::LifecycleEvent;
use sealwax_protocol::{ChallengeToken, DomainName};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// How many item collections of each index share the load. Fixed: a change of one of these needs
/// every item rewritten.
pub(crate) const DUE_SHARDS: u64 = 16;
/// As [`DUE_SHARDS`], for the listing of all domains and of a state.
pub(crate) const LIST_SHARDS: u64 = 16;
/// As [`DUE_SHARDS`], for one tenant: most are small, one may have everything.
pub(crate) const TENANT_SHARDS: u64 = 4;
/// As [`DUE_SHARDS`], for the change log. Every replica reads each of them at every poll.
pub(crate) const LOG_SHARDS: usize = 4;

/// The hash value under which accounts are listed.
pub(crate) const ACCOUNTS: &str = "accounts";

/// Attribute names. Some are reserved words in expressions, so all are used through placeholders.
pub(crate) mod attribute {
    pub(crate) const PK: &str = "pk";
    pub(crate) const SK: &str = "sk";
    pub(crate) const BODY: &str = "body";
    pub(crate) const RECORD_VERSION: &str = "record_version";
    pub(crate) const CERTIFICATE_VERSION: &str = "certificate_version";
    pub(crate) const WRITE_ID: &str = "write_id";
    pub(crate) const GONE: &str = "gone";
    pub(crate) const TTL: &str = "ttl";
    pub(crate) const CHAIN: &str = "chain";
    pub(crate) const SEALED: &str = "sealed";
    pub(crate) const DOMAIN: &str = "domain";
    pub(crate) const KEY_AUTHORIZATION: &str = "key_authorization";
    pub(crate) const EXPIRES_AT: &str = "expires_at";
    pub(crate) const DUE_SHARD: &str = "due_shard";
    pub(crate) const DUE_AT: &str = "due_at";
    pub(crate) const LIST_SHARD: &str = "list_shard";
    pub(crate) const STATE_SHARD: &str = "state_shard";
    pub(crate) const TENANT_SHARD: &str = "tenant_shard";
    pub(crate) const TENANT_KEY: &str = "tenant_key";
}

/// A global secondary index: keys only, sparse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) hash: &'static str,
    pub(crate) range: &'static str,
    pub(crate) range_is_number: bool,
}

/// What must be looked at when: the time is the sort key, so the oldest entry of a shard is its
/// first, however old it is, and no time bucket can be forgotten.
pub(crate) const DUE: Index = Index {
    name: "due",
    hash: attribute::DUE_SHARD,
    range: attribute::DUE_AT,
    range_is_number: true,
};
/// Every domain, by name; its entries never move, so a walk meets each domain once.
pub(crate) const LISTING: Index = Index {
    name: "listing",
    hash: attribute::LIST_SHARD,
    range: attribute::PK,
    range_is_number: false,
};
/// The domains in a state, by name.
pub(crate) const STATE: Index = Index {
    name: "state",
    hash: attribute::STATE_SHARD,
    range: attribute::PK,
    range_is_number: false,
};
/// The domains of a tenant, by state and name.
pub(crate) const TENANT: Index = Index {
    name: "tenant",
    hash: attribute::TENANT_SHARD,
    range: attribute::TENANT_KEY,
    range_is_number: false,
};
/// Every index of the table.
pub(crate) const INDEXES: [Index; 4] = [DUE, LISTING, STATE, TENANT];

/// Sort key of a record.
pub(crate) const META: &str = "meta";
/// Sort key of the served certificate.
pub(crate) const CERTIFICATE: &str = "cert";
/// What every event's sort key starts with.
pub(crate) const EVENT_PREFIX: &str = "E#";

const DOMAIN_PREFIX: &str = "D#";
const ACCOUNT_PREFIX: &str = "A#";

/// A text value.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A whole number.
pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The key of an item.
pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([(attribute::PK.to_owned(), text(pk)), (attribute::SK.to_owned(), text(sk))])
}

/// Partition of everything that belongs to a domain.
pub(crate) fn domain_pk(domain: &DomainName) -> String {
    format!("{DOMAIN_PREFIX}{domain}")
}

/// The domain whose partition this is.
pub(crate) fn domain_of(pk: &str) -> Option<DomainName> {
    DomainName::parse(pk.strip_prefix(DOMAIN_PREFIX)?).ok()
}

/// Key of a domain's record.
pub(crate) fn record_key(domain: &DomainName) -> Item {
    key(domain_pk(domain), META)
}

/// Key of a domain's served certificate.
pub(crate) fn certificate_key(domain: &DomainName) -> Item {
    key(domain_pk(domain), CERTIFICATE)
}

/// Key of an event. The version makes events of one millisecond distinct and keeps their order.
pub(crate) fn event_key(
    domain: &DomainName,
    event: &LifecycleEvent,
    version: u64,
    n: usize,
) -> Item {
    key(domain_pk(domain), format!("{EVENT_PREFIX}{:015}#{version:012}#{n:02}", event.at.millis()))
}

/// Key of a challenge's answer.
pub(crate) fn challenge_key(token: &ChallengeToken) -> Item {
    key(format!("C#{}", token.as_str()), "answer")
}

/// Key of an account.
pub(crate) fn account_key(issuer: &str) -> Item {
    key(format!("{ACCOUNT_PREFIX}{issuer}"), "account")
}

/// The issuer whose account this is.
pub(crate) fn issuer_of(pk: &str) -> Option<&str> {
    pk.strip_prefix(ACCOUNT_PREFIX)
}

/// Partition of one shard of the change log.
pub(crate) fn log_pk(shard: usize) -> String {
    format!("G#{shard}")
}

/// Sort key of a change log entry, or where a reading starts if the id is empty.
pub(crate) fn log_sk(stamp: u64, id: &str) -> String {
    format!("{stamp:015}#{id}")
}

/// The stamp in a change log entry's sort key.
pub(crate) fn log_stamp(sk: &str) -> Option<u64> {
    sk.split_once('#').and_then(|(stamp, _)| stamp.parse().ok())
}

/// Key of the item that says which layout the table has.
pub(crate) fn schema_key() -> Item {
    key("S#schema", "schema")
}

/// Key of a long job's bookmark.
pub(crate) fn mark_key(job: &str) -> Item {
    key(format!("S#mark#{job}"), "mark")
}

/// Key of a shared document.
pub(crate) fn document_key(name: &str) -> Item {
    key(format!("B#{name}"), "document")
}

/// The shard of a name among `shards`.
pub(crate) fn shard_of(name: &str, shards: u64) -> u64 {
    let hash = spread(name);
    // The low bits of FNV-1a alone are weak for names that differ in one letter.
    (hash ^ (hash >> 32)) % shards.max(1)
}

/// FNV-1a, 64 bits: stable across versions and machines, which `std`'s hashers are not.
pub(crate) fn spread(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The value of a shard in an index's hash attribute.
pub(crate) fn shard_value(prefix: &str, shard: u64) -> String {
    format!("{prefix}#{shard:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_evenly_over_the_shards() {
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            let shard = shard_of(&format!("shop{n}.example.com"), DUE_SHARDS);
            counts[usize::try_from(shard).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_layout_does_not_change_by_accident() {
        // Published test vectors of FNV-1a: with another function every item would be elsewhere.
        assert_eq!(spread(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(spread("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(spread("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(shard_value("issued", 7), "issued#07");
    }

    #[test]
    fn keys_read_back() {
        let domain = DomainName::parse("a.example.com").unwrap();
        assert_eq!(domain_of(&domain_pk(&domain)), Some(domain));
        assert_eq!(domain_of("A#x"), None);
        assert_eq!(log_stamp(&log_sk(1_767_225_600_000, "ab")), Some(1_767_225_600_000));
        assert_eq!(issuer_of("A#le"), Some("le"));
    }
}
