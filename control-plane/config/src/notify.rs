//! `[[notify]]`: where events go.

use std::path::PathBuf;

use url::Url;

use super::arn::{StreamArn, TopicArn};
use super::keys::{self, Key};
use super::loopback;
use super::reader::{Position, Reader};

/// Every event that can be told.
pub const EVENTS: &[&str] = &[
    "certificate.issued",
    "certificate.renewed",
    "certificate.failed",
    "certificate.expiring",
    "certificate.revoked",
    "domain.refused",
    "domain.parked",
    "domain.removed",
];

/// `[[notify]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Where to.
    pub to: Destination,
    /// What for.
    pub events: Vec<String>,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An HTTP endpoint of the platform's.
    Webhook {
        /// Where it is.
        url: Url,
        /// The file with the secret that signs.
        secret_file: PathBuf,
    },
    /// An SNS topic.
    Topic {
        /// Which.
        arn: TopicArn,
        /// Another endpoint than the region's.
        endpoint_url: Option<Url>,
    },
    /// A Kinesis stream.
    Stream {
        /// Which.
        arn: StreamArn,
        /// Another endpoint than the region's.
        endpoint_url: Option<Url>,
    },
}

impl Destination {
    /// Whether both are one and the same place.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Webhook { url, .. }, Self::Webhook { url: other, .. }) => url == other,
            (Self::Topic { arn, .. }, Self::Topic { arn: other, .. }) => arn == other,
            (Self::Stream { arn, .. }, Self::Stream { arn: other, .. }) => arn == other,
            (Self::Webhook { .. } | Self::Topic { .. } | Self::Stream { .. }, _) => false,
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<Vec<Notify>> {
    let count = reader.repeated(keys::NOTIFY);
    let read: Vec<Option<Notify>> =
        (0..count).map(|position| read_one(reader, Some(position))).collect();
    let all: Vec<Notify> = read.into_iter().collect::<Option<_>>()?;
    for (position, one) in all.iter().enumerate() {
        // A notice in the store names its destination, so that must tell the section.
        if all.iter().take(position).any(|earlier| earlier.to.is(&one.to)) {
            let said = "is that of an earlier [[notify]] too; give that one all the events";
            for entry in places() {
                reader.refuse_if_set(&entry, Some(position), said);
            }
        }
    }
    Some(all)
}

/// The keys of which a section has exactly one.
const fn places() -> [keys::Entry; 3] {
    [keys::NOTIFY_URL.entry, keys::NOTIFY_SNS_TOPIC.entry, keys::NOTIFY_KINESIS_STREAM.entry]
}

fn read_one(reader: &mut Reader, at: Position) -> Option<Notify> {
    let url = reader.optional(&keys::NOTIFY_URL, at);
    let topic = reader.optional(&keys::NOTIFY_SNS_TOPIC, at);
    let stream = reader.optional(&keys::NOTIFY_KINESIS_STREAM, at);
    let secret_file = reader.optional(&keys::NOTIFY_SECRET_FILE, at);
    let endpoint_url = reader.optional(&keys::NOTIFY_ENDPOINT_URL, at);
    let events = reader.optional(&keys::NOTIFY_EVENTS, at);
    let to = match (url?, topic?, stream?) {
        (Some(url), None, None) => {
            refuse_open(reader, at, &keys::NOTIFY_URL, &url);
            let said = "is only allowed together with sns_topic or kinesis_stream";
            reader.refuse_if_set(&keys::NOTIFY_ENDPOINT_URL.entry, at, said);
            let Some(secret_file) = secret_file? else {
                let said = "is missing; required together with url";
                reader.refuse(&keys::NOTIFY_SECRET_FILE.entry, at, said);
                return None;
            };
            Destination::Webhook { url, secret_file }
        }
        (None, Some(arn), None) => {
            Destination::Topic { arn, endpoint_url: read_endpoint(reader, at, endpoint_url?) }
        }
        (None, None, Some(arn)) => {
            Destination::Stream { arn, endpoint_url: read_endpoint(reader, at, endpoint_url?) }
        }
        (None, None, None) => {
            let said = "is missing; required is one of url, sns_topic and kinesis_stream";
            reader.refuse(&keys::NOTIFY_URL.entry, at, said);
            return None;
        }
        (_, _, _) => {
            let said = "is only allowed without the others of url, sns_topic and kinesis_stream";
            places().iter().for_each(|entry| reader.refuse_if_set(entry, at, said));
            return None;
        }
    };
    let all = || EVENTS.iter().map(|&event| event.to_owned()).collect();
    Some(Notify { to, events: events?.unwrap_or_else(all) })
}

/// Of a topic or a stream, which knows no secret: requests are signed with AWS credentials.
fn read_endpoint(reader: &mut Reader, at: Position, endpoint_url: Option<Url>) -> Option<Url> {
    let said = "is only allowed together with url";
    reader.refuse_if_set(&keys::NOTIFY_SECRET_FILE.entry, at, said);
    if let Some(url) = &endpoint_url {
        refuse_open(reader, at, &keys::NOTIFY_ENDPOINT_URL, url);
    }
    endpoint_url
}

fn refuse_open(reader: &mut Reader, at: Position, key: &Key<Url>, url: &Url) {
    if url.scheme() != "https" && !loopback(url) {
        let said = "is neither https nor on a loopback address: events would be read on the way";
        reader.refuse(&key.entry, at, said);
    }
}

#[cfg(test)]
mod tests;
