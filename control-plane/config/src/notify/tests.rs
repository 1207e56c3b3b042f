use super::super::tests::{lines, parse};
use super::*;

const TOPIC: &str = "sns_topic = \"arn:aws:sns:eu-central-1:111122223333:sealwax.fifo\"\n";
const STREAM: &str = "kinesis_stream = \"arn:aws:kinesis:us-east-1:111122223333:stream/sealwax\"\n";

#[test]
fn events_go_to_topics_and_streams_too() {
    let text = format!(
        "[[notify]]\n{TOPIC}events = [\"domain.parked\"]\n\
         [[notify]]\n{STREAM}endpoint_url = \"https://vpce.example\"\n"
    );
    let config = parse(&text, &[]).unwrap();
    let Destination::Topic { arn, endpoint_url: None } = &config.notify[0].to else {
        panic!("{:?}", config.notify[0]);
    };
    assert_eq!(arn.to_string(), "arn:aws:sns:eu-central-1:111122223333:sealwax.fifo");
    assert_eq!(config.notify[0].events, ["domain.parked"]);
    let Destination::Stream { endpoint_url: Some(at), .. } = &config.notify[1].to else {
        panic!("{:?}", config.notify[1]);
    };
    assert_eq!(at.as_str(), "https://vpce.example/");
    let name = "SEALWAX__NOTIFY__0__SNS_TOPIC";
    let config = parse("", &[(name, "arn:aws:sns:eu-central-1:1:t")]).unwrap();
    assert_eq!(config.notify.len(), 1);
}

#[test]
fn a_place_for_events_is_one_place_and_has_what_it_needs() {
    let webhook = "url = \"https://platform.example/\"\n";
    for (text, word) in [
        ("events = [\"domain.parked\"]\n".to_owned(), "notify[0].url is missing"),
        (webhook.to_owned(), "notify[0].secret_file is missing"),
        (
            format!("{webhook}secret_file = \"s\"\nendpoint_url = \"https://a.example\"\n"),
            "notify[0].endpoint_url",
        ),
        (format!("{TOPIC}secret_file = \"s\"\n"), "notify[0].secret_file"),
        (format!("{STREAM}endpoint_url = \"http://a.example\"\n"), "neither https nor"),
        ("sns_topic = \"arn:aws:sns:eu-central-1:1:a.b\"\n".to_owned(), "ARN of an SNS topic"),
        ("kinesis_stream = \"sealwax\"\n".to_owned(), "ARN of a Kinesis data stream"),
        (format!("{STREAM}[[notify]]\n{STREAM}"), "notify[1].kinesis_stream"),
    ] {
        let found = lines(&format!("[[notify]]\n{text}"), &[]);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(word), "{found:#?}");
    }
    let both = lines(&format!("[[notify]]\n{TOPIC}{STREAM}"), &[]);
    assert_eq!(both.len(), 2, "{both:#?}");
}
