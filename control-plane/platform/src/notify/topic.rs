//! An SNS topic: one message for each event, with attributes that subscriptions filter by.

use std::borrow::Cow;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use sealwax_core::text::hex;
use sealwax_store::AwsEndpoint;

use super::aws::{Named, PATIENCE};
use super::event::Event;
use super::sink::{SendError, Sink};
use sealwax_config::TopicArn;

/// Longest message group (SNS, Publish); a domain name may be longer.
const GROUP_BYTES_MAX: usize = 128;

pub(super) struct Topic {
    arn: TopicArn,
    client: Client,
}

impl Topic {
    pub(super) async fn open(arn: &TopicArn, at: &AwsEndpoint) -> Self {
        let client = Client::new(&at.config(arn.region(), &PATIENCE).await);
        Self { arn: arn.clone(), client }
    }

    fn named(&self) -> Named<'_> {
        Named { what: "SNS topic", arn: self.arn.as_str(), key: "sns_topic", action: "sns:Publish" }
    }
}

#[async_trait]
impl Sink for Topic {
    async fn send(&self, event: &Event<'_>, _now_secs: u64) -> Result<(), SendError> {
        let mut call = self.client.publish().topic_arn(self.arn.as_str()).message(&event.body);
        let attributes = [
            ("id", Some(event.id)),
            ("type", Some(event.kind)),
            ("domain", Some(event.domain)),
            ("tenant", event.tenant),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                call = call.message_attributes(name, text(value)?);
            }
        }
        if self.arn.is_fifo() {
            call = call.message_group_id(group(event.domain)).message_deduplication_id(event.id);
        }
        let sent = call.send().await;
        sent.map(drop).map_err(|error| self.named().judge(&error))
    }

    fn keeps_order(&self) -> bool {
        self.arn.is_fifo()
    }
}

fn text(value: &str) -> Result<MessageAttributeValue, SendError> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().map_err(|error| SendError::Retry(error.to_string()))
}

/// A domain's own group.
fn group(domain: &str) -> Cow<'_, str> {
    if domain.len() <= GROUP_BYTES_MAX {
        return Cow::Borrowed(domain);
    }
    let hash = digest(&SHA256, domain.as_bytes());
    Cow::Owned(hex(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_fits_however_long_the_domain_is() {
        assert_eq!(group("a.example.com"), "a.example.com");
        let (one, other) =
            (format!("{}.com", "a.".repeat(100)), format!("{}.com", "b.".repeat(100)));
        assert_eq!(group(&one).len(), 64);
        assert_ne!(group(&one), group(&other));
    }
}
