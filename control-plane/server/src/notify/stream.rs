//! A Kinesis stream: one record for each event, a domain's all in one shard.

use std::fmt;

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use sealwax_store::{Arn, AwsEndpoint};

use super::aws::{Named, PATIENCE};
use super::event::Event;
use super::sink::{SendError, Sink};

/// Longest name of a stream (Kinesis, CreateStream).
const NAME_BYTES_MAX: usize = 128;

/// Names a Kinesis data stream: `arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamArn(Arn);

impl StreamArn {
    /// `None`: not the ARN of a data stream.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text, "kinesis")?;
        let name = arn.resource().strip_prefix("stream/")?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let good = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(known);
        good.then_some(Self(arn))
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) struct Stream {
    arn: StreamArn,
    client: Client,
}

impl Stream {
    pub(super) async fn open(arn: &StreamArn, at: &AwsEndpoint) -> Self {
        let client = Client::new(&at.config(arn.0.region(), &PATIENCE).await);
        Self { arn: arn.clone(), client }
    }

    fn named(&self) -> Named<'_> {
        Named {
            what: "Kinesis stream",
            arn: self.arn.0.as_str(),
            key: "kinesis_stream",
            action: "kinesis:PutRecord",
        }
    }
}

#[async_trait]
impl Sink for Stream {
    async fn send(&self, event: &Event<'_>, _now_secs: u64) -> Result<(), SendError> {
        let sent = self
            .client
            .put_record()
            .stream_arn(self.arn.0.as_str())
            // At most 253 bytes, of 256 that a key may have.
            .partition_key(event.domain)
            .data(Blob::new(event.body.as_bytes()))
            .send()
            .await;
        sent.map(drop).map_err(|error| self.named().judge(&error))
    }

    fn keeps_order(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_data_stream_names_one() {
        let text = "arn:aws:kinesis:eu-central-1:111122223333:stream/sealwax.events";
        assert_eq!(StreamArn::parse(text).unwrap().to_string(), text);
        for wrong in [
            "sealwax",
            "arn:aws:kinesis:eu-central-1:111122223333:stream/",
            "arn:aws:kinesis:eu-central-1:111122223333:stream/a/consumer/b:1",
            "arn:aws:firehose:eu-central-1:111122223333:deliverystream/sealwax",
        ] {
            assert_eq!(StreamArn::parse(wrong), None, "{wrong}");
        }
    }
}
