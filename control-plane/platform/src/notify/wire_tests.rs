//! Topics and streams behind a wire that fails as it is told, under the SDK's own retries.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::aws_tests::{ACCOUNT, NOW, STREAM, open, stream, topic};
use super::tests::{notice, record};
use super::*;

/// What a wire does with one request.
#[derive(Clone)]
enum Wire {
    Answers(u16, &'static str),
    /// It is done, and the connection ends without a word.
    LosesTheAnswer,
    /// No answer ever.
    Hangs,
}

/// An endpoint that does as the script says, the last line again and again; and what it got.
async fn scripted(script: Vec<Wire>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&got);
    tokio::spawn(async move {
        let mut hung = Vec::new();
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let Some(request) = request(&mut connection).await else { continue };
            let turn = {
                let mut seen = seen.lock().unwrap();
                seen.push(request);
                script[(seen.len() - 1).min(script.len() - 1)].clone()
            };
            match turn {
                Wire::LosesTheAnswer => {}
                Wire::Hangs => hung.push(connection),
                Wire::Answers(status, body) => {
                    let answer = format!(
                        "HTTP/1.1 {status} It\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    connection.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        }
    });
    (url, got)
}

/// A whole request with its body; `None` when there is none.
async fn request(connection: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    loop {
        let mut buffer = [0_u8; 4096];
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => got.extend_from_slice(&buffer[..count]),
        }
        let text = String::from_utf8_lossy(&got).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

const SNS_THROTTLES: Wire = Wire::Answers(
    400,
    "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded\
     </Message></Error><RequestId>r</RequestId></ErrorResponse>",
);
const SNS_TAKES: Wire = Wire::Answers(
    200,
    "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
);
const SNS_DENIES: Wire = Wire::Answers(
    403,
    "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not \
     authorized to perform: SNS:Publish</Message></Error></ErrorResponse>",
);
const KINESIS_THROTTLES: Wire = Wire::Answers(
    400,
    r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded for shard"}"#,
);
const KINESIS_FAILS: Wire = Wire::Answers(500, r#"{"__type":"InternalFailureException"}"#);
const KINESIS_TAKES: Wire =
    Wire::Answers(200, r#"{"ShardId":"shardId-000000000000","SequenceNumber":"1"}"#);

#[tokio::test]
async fn throttling_and_lost_answers_are_tried_again_within_a_delivery() {
    let (sns, at_sns) = scripted(vec![SNS_THROTTLES, Wire::LosesTheAnswer, SNS_TAKES]).await;
    let (sinks, _clock, to) = open(&[topic(&format!("{ACCOUNT}:t"), &sns)]).await;
    assert_eq!(sinks.deliver(&notice(&to), &record()).await, Delivery::Done);
    let got = at_sns.lock().unwrap().clone();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|request| request.contains("msg_1")), "the same event: {got:?}");

    let (kinesis, at_kinesis) =
        scripted(vec![KINESIS_THROTTLES, KINESIS_FAILS, KINESIS_TAKES]).await;
    let (sinks, _clock, to) = open(&[stream(STREAM, &kinesis)]).await;
    assert_eq!(sinks.deliver(&notice(&to), &record()).await, Delivery::Done);
    assert_eq!(at_kinesis.lock().unwrap().len(), 3);
    assert_eq!(sinks.standings()[0].errors_in_a_row, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_goes_on_failing_is_tried_later_and_then_left_alone() {
    for (wire, word) in [
        (KINESIS_THROTTLES, "ProvisionedThroughputExceeded"),
        (KINESIS_FAILS, "InternalFailure"),
        (Wire::Hangs, "timed out"),
        (Wire::LosesTheAnswer, "dispatch failure"),
    ] {
        let (at, _got) = scripted(vec![wire]).await;
        let (sinks, _clock, to) = open(&[stream(STREAM, &at)]).await;
        for _ in 0..sealwax_core::health::FAILURES_MAX {
            let failed = sinks.deliver(&notice(&to), &record()).await;
            let Delivery::Failed { detail } = &failed else { panic!("{word}: {failed:?}") };
            assert!(detail.contains(word) && detail.contains(STREAM), "{word}: {detail}");
        }
        let left = sinks.deliver(&notice(&to), &record()).await;
        assert!(matches!(left, Delivery::Busy { until: Some(_), .. }), "{word}: {left:?}");
        assert!(!sinks.standings()[0].misconfigured, "{word}");
    }
}

#[tokio::test]
async fn a_sink_that_denies_is_asked_once_an_hour_and_works_when_it_is_mended() {
    let (at, got) = scripted(vec![SNS_DENIES, SNS_TAKES]).await;
    let (sinks, clock, to) = open(&[topic(&format!("{ACCOUNT}:t"), &at)]).await;
    let denied = sinks.deliver(&notice(&to), &record()).await;
    let Delivery::Failed { detail } = denied else { panic!("{denied:?}") };
    assert!(detail.contains("allow sns:Publish") && detail.contains("AuthorizationError"));
    let left = sinks.deliver(&notice(&to), &record()).await;
    let Delivery::Busy { until: Some(until), detail: why } = left else { panic!("{left:?}") };
    assert_eq!((until.since(NOW).secs(), why), (3_600, detail));
    assert_eq!(got.lock().unwrap().len(), 1, "not tried again at once");
    clock.set(until);
    assert_eq!(sinks.deliver(&notice(&to), &record()).await, Delivery::Done);
    let standing = sinks.standings().remove(0);
    assert!(!standing.misconfigured && standing.errors_in_a_row == 0);
}

/// What a request asks for, as IAM names it.
fn action(request: &str) -> String {
    let target = request.lines().find_map(|line| line.strip_prefix("x-amz-target: Kinesis_"));
    if let Some((_, name)) = target.and_then(|target| target.split_once('.')) {
        return format!("kinesis:{name}");
    }
    let (_, form) = request.split_once("\r\n\r\n").unwrap();
    let name = form.split('&').find_map(|pair| pair.strip_prefix("Action="));
    format!("sns:{}", name.unwrap())
}

#[tokio::test]
async fn the_policy_allows_what_is_asked_of_topics_and_streams_and_nothing_else() {
    let mut asked = Vec::new();
    let (kinesis, at_kinesis) = scripted(vec![KINESIS_TAKES]).await;
    let (sns, at_sns) = scripted(vec![SNS_TAKES]).await;
    let fifo = format!("{ACCOUNT}:t.fifo");
    for (configured, got) in [(stream(STREAM, &kinesis), at_kinesis), (topic(&fifo, &sns), at_sns)]
    {
        let (sinks, _clock, to) = open(&[configured]).await;
        assert_eq!(sinks.deliver(&notice(&to), &record()).await, Delivery::Done);
        asked.extend(got.lock().unwrap().iter().map(|request| action(request)));
    }
    let policy = include_str!("../../../store/docs/iam-policy.json");
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let events = statements.iter().find(|statement| statement["Sid"] == "Events").unwrap();
    assert_eq!(events["Action"], json!(asked));
}
