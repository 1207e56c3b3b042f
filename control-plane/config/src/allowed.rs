//! What a configuration value may be: one description for the reader, the errors and the manual.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use sealwax_core::Span;
use sealwax_core::arn::KmsKeyArn;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use url::Url;

use super::arn::{StreamArn, TopicArn};
use super::delivery::BUDGET_MAX;
use super::{AccessField, AccessLog, Kek, LimitsPreset, LogFormat, StoreKind, Target, Targets};

/// Longest value accepted, in bytes; nothing sensible comes near it.
pub(super) const VALUE_BYTES_MAX: usize = 4096;
/// Longest issuer name: it becomes part of store keys, logs and metrics.
const NAME_BYTES_MAX: usize = 64;

/// The values a key accepts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Allowed {
    Address,
    Path,
    Url,
    Duration { min: Span, max: Span },
    Integer { min: u64, max: u64 },
    Flag,
    Choice(&'static [&'static str]),
    Text,
    Name,
    Mails,
    Targets,
    Fields,
    Words(&'static [&'static str]),
    Kek,
    Keks,
    Listen,
    Zones,
    EdgeNumbers,
    EdgeTexts,
    Networks,
    Resolvers,
    Topic,
    Stream,
}

/// The shape a value has in TOML. The environment knows only text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Integer,
    Flag,
    TextOrList,
}

/// A type that configuration values become. `None`: not allowed.
pub(super) trait Read: Sized {
    fn read(text: &str, allowed: Allowed) -> Option<Self>;
}

impl Allowed {
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::Flag => Shape::Flag,
            Self::Integer { .. } => Shape::Integer,
            Self::Mails
            | Self::Targets
            | Self::Fields
            | Self::Words(_)
            | Self::Zones
            | Self::EdgeNumbers
            | Self::EdgeTexts
            | Self::Networks
            | Self::Resolvers
            | Self::Keks => Shape::TextOrList,
            Self::Address
            | Self::Path
            | Self::Url
            | Self::Duration { .. }
            | Self::Choice(_)
            | Self::Text
            | Self::Name
            | Self::Listen
            | Self::Topic
            | Self::Stream
            | Self::Kek => Shape::Text,
        }
    }

    /// Whether an error may repeat the value: someone may put the key itself where its place is
    /// asked for.
    pub(super) const fn shown(self) -> bool {
        !matches!(self, Self::Kek | Self::Keks)
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("an IP address with a port, such as 127.0.0.1:18000"),
            Self::Path => f.write_str("a path"),
            Self::Url => f.write_str("an http:// or https:// URL without user or password"),
            Self::Duration { min, max } => {
                write!(f, "a duration from {} to {}", spelled(*min), spelled(*max))
            }
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Flag => f.write_str("true or false"),
            Self::Choice(words) => {
                for (index, word) in words.iter().enumerate() {
                    let joint = if index == 0 { "" } else { " or " };
                    write!(f, "{joint}\"{word}\"")?;
                }
                Ok(())
            }
            Self::Text => f.write_str("a text that is not empty"),
            Self::Name => f.write_str("1 to 64 characters of a-z, 0-9 and '-'"),
            Self::Mails => f.write_str("a mail address or a list of them"),
            Self::Targets => f.write_str("an IP address or host name, or a list of them"),
            Self::Fields => {
                let words = AccessField::ALL.map(AccessField::as_str);
                write!(f, "a list of {}", words.join(", "))
            }
            Self::Words(words) => write!(f, "a list of {}", words.join(", ")),
            Self::Kek => f.write_str("\"file:PATH\", \"env:VARIABLE\" or \"kms:ARN\""),
            Self::Keks => {
                f.write_str("\"file:PATH\", \"env:VARIABLE\" or \"kms:ARN\", or a list of them")
            }
            Self::Listen => {
                f.write_str("an IP address with a port, such as 127.0.0.1:18000, or \"unix:PATH\"")
            }
            Self::Zones => f.write_str("a domain name or a list of them"),
            Self::EdgeNumbers => {
                write!(f, "a list of \"NODE_ID=NUMBER\", from 1 to {BUDGET_MAX}, each node once")
            }
            Self::EdgeTexts => f.write_str("a list of \"NODE_ID=TEXT\""),
            Self::Networks => {
                f.write_str("an IP address or a network such as 203.0.113.0/24, or a list of them")
            }
            Self::Resolvers => {
                f.write_str("an IP address, with or without a port, or a list of them")
            }
            Self::Topic => {
                f.write_str("the ARN of an SNS topic, such as arn:aws:sns:REGION:ACCOUNT:NAME")
            }
            Self::Stream => f.write_str(
                "the ARN of a Kinesis data stream, such as \
                 arn:aws:kinesis:REGION:ACCOUNT:stream/NAME",
            ),
        }
    }
}

/// A span as the configuration spells it: the largest unit that leaves no rest.
pub(super) fn spelled(span: Span) -> String {
    let millis = span.millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis != 0 && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

/// A whole number and its unit: `250ms`, `10s`, `5m`, `2h`, `30d`.
pub fn parse_span(text: &str) -> Option<Span> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let length = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(length).map(Span::from_millis)
}

impl Read for SocketAddr {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        text.parse().ok()
    }
}

impl Read for PathBuf {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| Self::from(text))
    }
}

impl Read for Url {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let url = Self::parse(text).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
    }
}

impl Read for Span {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        let Allowed::Duration { min, max } = allowed else { return None };
        parse_span(text).filter(|span| (min..=max).contains(span))
    }
}

impl Read for u64 {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        let Allowed::Integer { min, max } = allowed else { return None };
        text.parse().ok().filter(|number| (min..=max).contains(number))
    }
}

impl Read for usize {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        u64::read(text, allowed).and_then(|number| Self::try_from(number).ok())
    }
}

impl Read for bool {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        text.parse().ok()
    }
}

impl Read for String {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        let name_byte =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let good = match allowed {
            Allowed::Name => text.len() <= NAME_BYTES_MAX && text.as_bytes().iter().all(name_byte),
            Allowed::Address
            | Allowed::Path
            | Allowed::Url
            | Allowed::Duration { .. }
            | Allowed::Integer { .. }
            | Allowed::Flag
            | Allowed::Choice(_)
            | Allowed::Text
            | Allowed::Mails
            | Allowed::Targets
            | Allowed::Fields
            | Allowed::Words(_)
            | Allowed::Kek
            | Allowed::Listen
            | Allowed::Zones
            | Allowed::EdgeNumbers
            | Allowed::EdgeTexts
            | Allowed::Networks
            | Allowed::Resolvers
            | Allowed::Topic
            | Allowed::Stream
            | Allowed::Keks => !text.chars().any(char::is_control),
        };
        (good && !text.is_empty()).then(|| text.to_owned())
    }
}

/// Mail addresses, without `mailto:`, or words of a list.
impl Read for Vec<String> {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        let parts = text.split(',').map(str::trim);
        if let Allowed::Words(words) = allowed {
            return parts.map(|part| words.contains(&part).then(|| part.to_owned())).collect();
        }
        parts.map(mail_address).collect()
    }
}

impl Read for AccessLog {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let field =
            |word: &str| AccessField::ALL.into_iter().find(|field| field.as_str() == word.trim());
        text.split(',').map(field).collect::<Option<_>>().map(Self)
    }
}

impl Read for Targets {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        text.split(',').map(|target| one_target(target.trim())).collect::<Option<_>>().map(Self)
    }
}

fn one_target(text: &str) -> Option<Target> {
    let address = text.parse().ok().map(Target::Address);
    address.or_else(|| DomainName::parse(text).ok().map(Target::Host))
}

fn mail_address(text: &str) -> Option<String> {
    let mail = text.strip_prefix("mailto:").unwrap_or(text);
    let (user, host) = mail.split_once('@')?;
    let odd = |character: char| character.is_control() || character.is_whitespace();
    let good = !user.is_empty() && host.contains('.') && !host.contains('@') && !mail.contains(odd);
    good.then(|| mail.to_owned())
}

impl Read for StoreKind {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "embedded" => Some(Self::Embedded),
            "dynamodb" => Some(Self::Dynamodb),
            _ => None,
        }
    }
}

impl Read for LimitsPreset {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "letsencrypt" => Some(Self::LetsEncrypt),
            "letsencrypt-staging" => Some(Self::LetsEncryptStaging),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

impl Read for LogFormat {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Read for KeyType {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "ecdsa_p256" => Some(Self::EcdsaP256),
            "ecdsa_p384" => Some(Self::EcdsaP384),
            "rsa2048" => Some(Self::Rsa2048),
            "rsa4096" => Some(Self::Rsa4096),
            _ => None,
        }
    }
}

impl Read for Kek {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let variable_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match text.split_once(':')? {
            ("file", path) => PathBuf::read(path, Allowed::Path).map(Self::File),
            ("env", name) if !name.is_empty() && name.bytes().all(variable_byte) => {
                Some(Self::Env(name.to_owned()))
            }
            ("kms", arn) => KmsKeyArn::parse(arn).map(Self::Kms),
            _ => None,
        }
    }
}

impl Read for TopicArn {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        Self::parse(text)
    }
}

impl Read for StreamArn {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        Self::parse(text)
    }
}

impl Read for Vec<Kek> {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        text.split(',').map(|one| Kek::read(one.trim(), allowed)).collect()
    }
}
