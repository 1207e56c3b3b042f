//! Topics and streams as an independent project implements them (moto).

use aws_sdk_kinesis::types::ShardIteratorType;
use sealwax_core::Timestamp;
use sealwax_core::notice::delivered;
use sealwax_protocol::DomainName;
use sealwax_store::conformance::ManualClock;
use sealwax_testkit::Moto;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::tests::{notice, record};
use super::*;
use sealwax_config::{EVENTS, StreamArn, TopicArn};

pub(super) const ACCOUNT: &str = "arn:aws:sns:eu-central-1:123456789012";
pub(super) const STREAM: &str = "arn:aws:kinesis:eu-central-1:123456789012:stream/sealwax";
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn credentials() -> StaticCredentials {
    StaticCredentials {
        access_key_id: "test".to_owned(),
        secret_access_key: Zeroizing::new("test".to_owned()),
    }
}

pub(super) fn topic(arn: &str, at: &str) -> config::Notify {
    let arn = TopicArn::parse(arn).unwrap();
    let to = Destination::Topic { arn, endpoint_url: Some(at.parse().unwrap()) };
    config::Notify { to, events: EVENTS.iter().map(|&event| event.to_owned()).collect() }
}

pub(super) fn stream(arn: &str, at: &str) -> config::Notify {
    let arn = StreamArn::parse(arn).unwrap();
    let to = Destination::Stream { arn, endpoint_url: Some(at.parse().unwrap()) };
    config::Notify { to, events: EVENTS.iter().map(|&event| event.to_owned()).collect() }
}

/// The sinks, their clock, and what stands for the first one in records.
pub(super) async fn open(configured: &[config::Notify]) -> (Sinks, Arc<ManualClock>, String) {
    let clock = ManualClock::at(NOW);
    let sinks = Sinks::open_as(configured, Arc::clone(&clock) as _, Some(&credentials())).await;
    let sinks = sinks.unwrap();
    let first = sinks.receivers("certificate.issued").remove(0).name;
    (sinks, clock, first)
}

fn event(to: &str, id: &str, kind: &str) -> Notice {
    Notice { id: id.to_owned(), kind: kind.to_owned(), ..notice(to) }
}

fn of_tenant(tenant: &str) -> DomainRecord {
    let mut record = record();
    record.registration.tenant = Some(tenant.to_owned());
    record
}

fn named(domain: &str) -> DomainRecord {
    DomainRecord { domain: DomainName::parse(domain).unwrap(), ..record() }
}

/// moto, and clients that set things up in it.
struct Cloud {
    moto: Moto,
    url: String,
    sns: aws_sdk_sns::Client,
    kinesis: aws_sdk_kinesis::Client,
}

impl Cloud {
    async fn start() -> Self {
        let moto = Moto::start().await.unwrap();
        let url = format!("http://{}", moto.address());
        let at = AwsEndpoint { url: Some(url.clone()), credentials: Some(credentials()) };
        let config = at.config("eu-central-1", &aws::PATIENCE).await;
        let (sns, kinesis) =
            (aws_sdk_sns::Client::new(&config), aws_sdk_kinesis::Client::new(&config));
        Self { moto, url, sns, kinesis }
    }

    /// What SQS answers to a call.
    async fn sqs(&self, call: &str, body: Value) -> Value {
        self.moto.call("sqs", &format!("AmazonSQS.{call}"), &body).await.unwrap()
    }

    /// A topic, and the URL of a queue that gets what fits `filter`.
    async fn topic(&self, name: &str, filter: Value) -> (String, String) {
        let fifo = name.ends_with(".fifo");
        let made = self.sns.create_topic().name(name);
        let made = if fifo { made.attributes("FifoTopic", "true") } else { made };
        let arn = made.send().await.unwrap().topic_arn.unwrap();
        let attributes = if fifo { json!({"FifoQueue": "true"}) } else { json!({}) };
        let queue =
            self.sqs("CreateQueue", json!({"QueueName": name, "Attributes": attributes})).await;
        let subscribed = self
            .sns
            .subscribe()
            .topic_arn(&arn)
            .protocol("sqs")
            .endpoint(arn.replace(":sns:", ":sqs:"))
            .attributes("RawMessageDelivery", "true")
            .attributes("FilterPolicy", filter.to_string());
        subscribed.send().await.unwrap();
        (arn, queue["QueueUrl"].as_str().unwrap().to_owned())
    }

    async fn received(&self, queue: &str) -> Vec<Value> {
        let asked = json!({
            "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        let answer = self.sqs("ReceiveMessage", asked).await;
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }

    /// What is in the stream, with each record's key, shard by shard.
    async fn streamed(&self) -> Vec<(String, Value)> {
        let shards = self.kinesis.list_shards().stream_arn(STREAM).send().await.unwrap();
        let mut all = Vec::new();
        for shard in shards.shards() {
            // By its name: moto's iterators are lost without it.
            let from = self.kinesis.get_shard_iterator().stream_name("sealwax");
            let from = from.shard_id(shard.shard_id());
            let from = from.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
            let iterator = from.unwrap().shard_iterator.unwrap();
            let read = self.kinesis.get_records().shard_iterator(iterator).send().await.unwrap();
            all.extend(read.records().iter().map(|record| {
                let body = serde_json::from_slice(record.data().as_ref()).unwrap();
                (record.partition_key().unwrap().to_owned(), body)
            }));
        }
        all
    }
}

#[tokio::test]
async fn a_topic_gets_events_with_attributes_that_subscriptions_filter_by() {
    let cloud = Cloud::start().await;
    let filter = json!({"type": ["certificate.issued"], "tenant": ["acme"]});
    let (arn, queue) = cloud.topic("sealwax", filter).await;
    let (sinks, _clock, to) = open(&[topic(&arn, &cloud.url)]).await;
    assert!(!sinks.receivers("certificate.issued")[0].in_order, "a standard topic keeps none");
    let acme = of_tenant("acme");
    for (record, notice) in [
        (&acme, event(&to, "msg_1", "certificate.issued")),
        (&acme, event(&to, "msg_2", "domain.parked")),
        (&of_tenant("globex"), event(&to, "msg_3", "certificate.issued")),
        (&record(), event(&to, "msg_4", "certificate.issued")),
    ] {
        assert_eq!(sinks.deliver(&notice, record).await, Delivery::Done);
    }
    let received = cloud.received(&queue).await;
    assert_eq!(received.len(), 1, "{received:?}");
    let body: Value = serde_json::from_str(received[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["id"], &body["type"]), (&json!("msg_1"), &json!("certificate.issued")));
    assert_eq!(body["data"]["domain"]["tenant"], "acme");
    let attributes = &received[0]["MessageAttributes"];
    for (name, value) in [
        ("id", "msg_1"),
        ("type", "certificate.issued"),
        ("domain", "a.example.com"),
        ("tenant", "acme"),
    ] {
        assert_eq!(attributes[name]["StringValue"], value, "{attributes}");
    }
    let standing = sinks.standings().remove(0);
    assert_eq!((standing.kind.as_str(), standing.receiver), ("sns", arn));
    assert!(standing.last_success_at.is_some() && standing.last_error.is_none());
}

#[tokio::test]
async fn a_fifo_topic_gets_each_event_once_and_a_domains_in_one_group() {
    let cloud = Cloud::start().await;
    let (arn, queue) = cloud.topic("sealwax.fifo", json!({})).await;
    let (sinks, _clock, to) = open(&[topic(&arn, &cloud.url)]).await;
    assert!(sinks.receivers("certificate.issued")[0].in_order);
    // The second is the first again: its answer got lost.
    for id in ["msg_1", "msg_1", "msg_2"] {
        let notice = event(&to, id, "certificate.issued");
        assert_eq!(sinks.deliver(&notice, &record()).await, Delivery::Done);
    }
    let received = cloud.received(&queue).await;
    let told = |message: &Value| {
        let attributes = &message["Attributes"];
        assert_eq!(attributes["MessageGroupId"], "a.example.com", "{message}");
        attributes["MessageDeduplicationId"].as_str().unwrap().to_owned()
    };
    assert_eq!(received.iter().map(told).collect::<Vec<_>>(), ["msg_1", "msg_2"]);
}

#[tokio::test]
async fn a_stream_has_each_domains_events_in_their_order() {
    let cloud = Cloud::start().await;
    let made = cloud.kinesis.create_stream().stream_name("sealwax").shard_count(3);
    made.send().await.unwrap();
    let (sinks, _clock, to) = open(&[stream(STREAM, &cloud.url)]).await;
    assert!(sinks.receivers("certificate.issued")[0].in_order);
    let kinds = ["certificate.failed", "certificate.issued", "certificate.renewed"];
    let domains: Vec<_> = (0..6).map(|n| format!("shop-{n}.example.com")).collect();
    for kind in kinds {
        for domain in &domains {
            let notice = event(&to, &format!("{kind} {domain}"), kind);
            assert_eq!(sinks.deliver(&notice, &named(domain)).await, Delivery::Done);
        }
    }
    let streamed = cloud.streamed().await;
    assert_eq!(streamed.len(), kinds.len() * domains.len());
    for domain in &domains {
        let of_it = streamed.iter().filter(|(key, _)| key == domain);
        let told: Vec<_> = of_it.map(|(_, body)| body["type"].as_str().unwrap()).collect();
        assert_eq!(told, kinds, "{domain}");
        let names = streamed.iter().filter(|(key, _)| key == domain);
        assert!(names.clone().all(|(_, body)| body["data"]["domain"]["domain"] == *domain));
    }
}

#[tokio::test]
async fn a_topic_or_stream_that_is_not_there_is_given_up_in_days_and_says_what_to_do() {
    let cloud = Cloud::start().await;
    let missing = format!("{ACCOUNT}:nowhere");
    for (configured, words) in [
        (topic(&missing, &cloud.url), ["nowhere", "[[notify]] sns_topic"]),
        (stream(STREAM, &cloud.url), ["stream/sealwax", "[[notify]] kinesis_stream"]),
    ] {
        let (sinks, clock, to) = open(std::slice::from_ref(&configured)).await;
        let mut record = record();
        record.outbox.push(Notice { in_order: true, ..event(&to, "msg_1", "domain.parked") });
        let (mut now, mut last) = (NOW, String::new());
        while let Some(waiting) = record.outbox.first().cloned() {
            now = now.max(waiting.next_at);
            clock.set(now);
            let outcome = sinks.deliver(&waiting, &record).await;
            let (Delivery::Failed { detail } | Delivery::Busy { detail, .. }) = &outcome else {
                panic!("{outcome:?}");
            };
            last.clone_from(detail);
            record =
                delivered(record, "msg_1", &outcome, now, &sealwax_system::SystemJitter::default())
                    .0;
        }
        assert!(words.iter().all(|word| last.contains(word)), "{last}");
        let days = now.since(NOW).secs() / 86_400;
        assert!((2..5).contains(&days), "{days}");
        let standing = sinks.standings().remove(0);
        assert!(standing.misconfigured && standing.last_error.as_deref() == Some(last.as_str()));
    }
}
