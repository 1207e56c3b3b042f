//! Where events go in AWS: names of SNS topics and Kinesis streams.

use std::fmt;

use sealwax_core::arn::Arn;

/// What the names of topics that keep an order end with.
const FIFO: &str = ".fifo";
/// Longest name of a topic (SNS, CreateTopic).
const TOPIC_BYTES_MAX: usize = 256;
/// Longest name of a stream (Kinesis, CreateStream).
const STREAM_BYTES_MAX: usize = 128;

/// Names an SNS topic: `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicArn(Arn);

impl TopicArn {
    /// `None`: not the ARN of a topic.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text, "sns")?;
        let name = arn.resource();
        let stem = name.strip_suffix(FIFO).unwrap_or(name);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let good = !stem.is_empty() && name.len() <= TOPIC_BYTES_MAX && stem.bytes().all(known);
        good.then_some(Self(arn))
    }

    /// It keeps the order of each message group, and drops what it got already.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.0.resource().ends_with(FIFO)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where it is.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.region()
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
        let good = (1..=STREAM_BYTES_MAX).contains(&name.len()) && name.bytes().all(known);
        good.then_some(Self(arn))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where it is.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.region()
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_topic_names_a_topic() {
        let plain =
            TopicArn::parse("arn:aws:sns:eu-central-1:111122223333:sealwax_events").unwrap();
        let fifo = TopicArn::parse("arn:aws:sns:eu-central-1:111122223333:sealwax.fifo").unwrap();
        assert_eq!((plain.is_fifo(), fifo.is_fifo()), (false, true));
        for wrong in [
            "sealwax",
            "arn:aws:sns:eu-central-1:111122223333:",
            "arn:aws:sns:eu-central-1:111122223333:.fifo",
            "arn:aws:sns:eu-central-1:111122223333:sealwax.events",
            // A subscription.
            "arn:aws:sns:eu-central-1:111122223333:sealwax:8d5f8b9a",
            "arn:aws:sqs:eu-central-1:111122223333:sealwax",
        ] {
            assert_eq!(TopicArn::parse(wrong), None, "{wrong}");
        }
    }

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
