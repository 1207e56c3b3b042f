//! A Kinesis stream: one record for each event, a domain's all in one shard.

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use sealwax_store::AwsEndpoint;

use super::aws::{Named, PATIENCE};
use super::event::Event;
use super::sink::{SendError, Sink};
use sealwax_config::StreamArn;

pub(super) struct Stream {
    arn: StreamArn,
    client: Client,
}

impl Stream {
    pub(super) async fn open(arn: &StreamArn, at: &AwsEndpoint) -> Self {
        let client = Client::new(&at.config(arn.region(), &PATIENCE).await);
        Self { arn: arn.clone(), client }
    }

    fn named(&self) -> Named<'_> {
        Named {
            what: "Kinesis stream",
            arn: self.arn.as_str(),
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
            .stream_arn(self.arn.as_str())
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
