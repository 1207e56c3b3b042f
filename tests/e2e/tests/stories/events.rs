//! What happens to a domain is told: to an SNS topic, into a Kinesis stream.

use sealwax_testkit::{Line, LineSettings, Moto, PATIENCE, wait_until};
use serde_json::{Value, json};

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:sealwax";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:sealwax";
const STREAM: &str = "arn:aws:kinesis:eu-central-1:123456789012:stream/sealwax";

async fn set_up(moto: &Moto) -> String {
    moto.form("sns", "Action=CreateTopic&Name=sealwax").await.unwrap();
    let queue = json!({"QueueName": "sealwax"});
    let queue = moto.call("sqs", "AmazonSQS.CreateQueue", &queue).await.unwrap();
    let subscribe = format!("Action=Subscribe&TopicArn={TOPIC}&Protocol=sqs&Endpoint={QUEUE}");
    moto.form("sns", &subscribe).await.unwrap();
    let stream = json!({"StreamName": "sealwax", "ShardCount": 1});
    moto.call("kinesis", "Kinesis_20131202.CreateStream", &stream).await.unwrap();
    queue["QueueUrl"].as_str().unwrap().to_owned()
}

/// Drops what was delivered before, as every receiver has to.
fn each_once(events: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut once: Vec<Value> = Vec::new();
    for event in events {
        if once.iter().all(|seen| seen["id"] != event["id"]) {
            once.push(event);
        }
    }
    once
}

/// The events in the queue, which are taken out of it.
async fn queued(moto: &Moto, queue: &str) -> Vec<Value> {
    let asked = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
    let answer = moto.call("sqs", "AmazonSQS.ReceiveMessage", &asked).await.unwrap();
    let event = |message: &Value| {
        let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap()
    };
    answer["Messages"].as_array().into_iter().flatten().map(event).collect()
}

/// The kinds of the events in the stream, in its order.
async fn streamed(moto: &Moto) -> Vec<String> {
    let call = async |name: &str, body: Value| {
        moto.call("kinesis", &format!("Kinesis_20131202.{name}"), &body).await.unwrap()
    };
    let shards = call("ListShards", json!({"StreamName": "sealwax"})).await;
    let shard = &shards["Shards"][0]["ShardId"];
    let from = json!({
        "StreamName": "sealwax", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
    });
    let from = call("GetShardIterator", from).await;
    let read = call("GetRecords", json!({"ShardIterator": from["ShardIterator"]})).await;
    let event = |record: &Value| -> Value {
        use base64::Engine as _;
        assert_eq!(record["PartitionKey"], "blog.example.com");
        let data = base64::prelude::BASE64_STANDARD.decode(record["Data"].as_str().unwrap());
        serde_json::from_slice(&data.unwrap()).unwrap()
    };
    let events = each_once(read["Records"].as_array().into_iter().flatten().map(event));
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_domains_life_is_told_to_a_topic_and_into_a_stream_though_another_topic_is_missing() {
    let moto = Moto::start().await.unwrap();
    let queue = set_up(&moto).await;
    let endpoint = format!("endpoint_url = \"http://{}\"", moto.address());
    let more = format!(
        "[[notify]]\nsns_topic = \"{TOPIC}-missing\"\n{endpoint}\n\
         [[notify]]\nsns_topic = \"{TOPIC}\"\n{endpoint}\n\
         [[notify]]\nkinesis_stream = \"{STREAM}\"\n{endpoint}\n"
    );
    let line = Line::start(LineSettings { more, ..LineSettings::default() }).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("blog.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
    let issued = async || (streamed(&moto).await == ["certificate.issued"]).then_some(());
    wait_until("the issuance in the stream", PATIENCE, issued).await.unwrap();

    let doctor = ["--json", "doctor", "--config", "sealwax.toml"];
    let output = line.control_plane.run(&doctor).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let checks: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |receiver: &str| {
        let found = checks.iter().find(|check| check["check"] == format!("events to {receiver}"));
        found.unwrap_or_else(|| panic!("{receiver}: {said}")).clone()
    };
    assert_eq!(of(&format!("sns {TOPIC}"))["verdict"], "ok");
    assert_eq!(of(&format!("kinesis {STREAM}"))["verdict"], "ok");
    let missing = of(&format!("sns {TOPIC}-missing"));
    assert_eq!(missing["verdict"], "failed");
    assert!(missing["detail"].as_str().unwrap().contains("[[notify]] sns_topic"), "{missing}");

    let removed = admin.send("DELETE", "/v1/domains/blog.example.com", "").await.unwrap();
    assert!((200..300).contains(&removed.status), "{}", removed.text());
    let both = ["certificate.issued", "domain.removed"];
    let told = async || (streamed(&moto).await == both).then_some(());
    wait_until("the removal in the stream", PATIENCE, told).await.unwrap();

    let mut events = Vec::new();
    let heard = async || {
        let more = queued(&moto, &queue).await;
        events = each_once(events.drain(..).chain(more));
        (events.len() >= 2).then_some(())
    };
    wait_until("both at the topic", PATIENCE, heard).await.unwrap();
    let mut kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, both);
    assert!(events.iter().all(|event| event["data"]["domain"]["domain"] == "blog.example.com"));
}
