//! CAs as they are: what they leave out, write otherwise, or say in places of their own.

use sealwax_acme::AcmeIssuer;
use sealwax_core::Cause;
use sealwax_core::issuer::{Issuer as _, OrderStatus};
use sealwax_fake_acme::{Bend, Endpoint, Fault, FaultKind, Problem, Validation};
use sealwax_testkit::{Pebble, PebbleSettings, TcpProxy};
use serde_json::{Value, json};

use crate::ca::settings_for;
use crate::drive::{challenge_of, issue, order_for, until_status};
use crate::parts::{AccountStore, MarkingSealer, WallClock};
use crate::stage::{NAME, Stage};

/// Ways to write an order, an authorization and a challenge that are seen, or not far from it.
const BENDS: [(&str, Bend); 7] = [
    ("telia", |_, value| {
        if value.get("identifiers").is_some() && value.get("authorizations").is_some() {
            value["replaces"] = json!("");
            if value["status"] == "ready" {
                value["authorizations"] = Value::Null;
            }
        }
    }),
    ("no finalize, no identifiers", |endpoint, value| {
        if endpoint == Endpoint::Order {
            let fields = value.as_object_mut().unwrap();
            fields.remove("identifiers");
            if fields["status"] != "ready" {
                fields.remove("finalize");
            }
        }
    }),
    ("capitals", |_, value| {
        if let Some(status) = value.get_mut("status") {
            *status = json!(status.as_str().unwrap_or_default().to_ascii_uppercase());
        }
    }),
    ("odd types", |_, value| {
        for field in ["expires", "wildcard", "notBefore", "profile", "error", "replaces"] {
            if value.get("identifiers").is_some() || value.get("challenges").is_some() {
                value[field] = json!({});
            }
        }
        if value.get("status") != Some(&json!("invalid")) {
            value.as_object_mut().unwrap().remove("error");
        }
    }),
    ("other challenges first", |_, value| {
        if let Some(challenges) = value.get_mut("challenges").and_then(Value::as_array_mut) {
            challenges.insert(0, json!({ "type": "dns-persist-01", "status": 3 }));
            challenges.insert(0, Value::Null);
        }
    }),
    ("relative", |endpoint, value| {
        if endpoint == Endpoint::Directory {
            return;
        }
        relative(value);
    }),
    ("says nothing of what it took", |endpoint, value| {
        if matches!(endpoint, Endpoint::Challenge | Endpoint::Finalize | Endpoint::NewOrder) {
            *value = json!([]);
        }
    }),
];

/// URLs of this server without the server.
fn relative(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((_, rest)) = text.split_once("//")
                && let Some((_, path)) = rest.split_once('/')
            {
                *text = format!("/{path}");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(relative),
        Value::Object(fields) => fields.values_mut().for_each(relative),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn certificates_come_of_orders_however_they_are_written() {
    for (what, bend) in BENDS {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        stage.ca.adjust(|knobs| {
            knobs.bend = Some(bend);
            knobs.validation_looks = 1;
            knobs.processing_looks = 2;
        });
        issue(&issuer, &stage.responder, &order_for(NAME)).await;
        assert_eq!(stage.ca.certificates_for(NAME), 1, "{what}");
        assert_eq!(stage.ca.journal().orders_for(NAME), 1, "{what}");
    }
}

#[tokio::test]
async fn a_ca_that_calls_an_unknown_predecessor_an_error_of_its_own_issues_all_the_same() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let mut request = order_for(NAME);
    request.replaces = issue(&issuer, &stage.responder, &request).await.facts.ari_id;
    let said = "could not find an order for the given certificate";
    let kind = FaultKind::Problem(Problem::new(500, "serverInternal", said));
    let fault = Fault { endpoint: Endpoint::NewOrder, times: 1, kind };
    stage.ca.adjust(|knobs| knobs.faults.push(fault));
    issue(&issuer, &stage.responder, &request).await;
    assert_eq!(stage.ca.certificates_for(NAME), 2);
}

#[tokio::test]
async fn a_valid_order_without_its_certificate_is_not_done_yet() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| {
        knobs.processing_looks = 1;
        knobs.bend = Some(|_, value| {
            if value.get("status") == Some(&json!("processing")) && value.get("token").is_none() {
                value["status"] = json!("valid");
            }
        });
    });
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
}

#[tokio::test]
async fn an_order_that_has_no_location_is_one_fault_and_no_second_order() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let mut request = order_for(NAME);
    request.replaces = issue(&issuer, &stage.responder, &request).await.facts.ari_id;
    stage.ca.adjust(|knobs| knobs.location_withheld = true);
    for request in [order_for(NAME), request] {
        let before = stage.ca.journal().orders_for(NAME);
        let error = issuer.place_order(&request).await.unwrap_err();
        assert!(error.to_string().contains("no Location"), "{error}");
        assert_eq!(stage.ca.journal().orders_for(NAME), before + 1);
    }
    stage.ca.adjust(|knobs| {
        knobs.bend = Some(|_, value| {
            if let Some(url) = value.get_mut("finalize") {
                let order = url.as_str().unwrap().replace("/finalize/", "/order/");
                *url = json!(format!("{order}/finalize"));
            }
        });
    });
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    challenge_of(&issuer, &url).await;
}

#[tokio::test]
async fn a_failed_challenge_without_a_reason_is_a_failed_validation() {
    const WORDLESS: [Bend; 3] = [
        |_, value| errors(value, Some(json!({}))),
        |_, value| errors(value, Some(json!({ "status": "400" }))),
        |_, value| errors(value, None),
    ];
    for bend in WORDLESS {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        stage.ca.adjust(|knobs| {
            let problem = Problem::new(400, "connection", "refused");
            knobs.validations.insert(NAME.to_owned(), Validation::Fails(problem));
            knobs.bend = Some(bend);
        });
        let url = issuer.place_order(&order_for(NAME)).await.unwrap();
        issuer.answer(&url).await.unwrap();
        let failure = until_status(&issuer, &url, OrderStatus::Invalid).await.failure.unwrap();
        assert_eq!(failure.cause, Cause::ChallengeWrong);
        assert!(failure.detail.contains("gave no reason"), "{}", failure.detail);
    }
}

fn errors(value: &mut Value, error: Option<Value>) {
    let Some(list) = value.get_mut("challenges").and_then(Value::as_array_mut) else { return };
    for challenge in list {
        let fields = challenge.as_object_mut().unwrap();
        fields.remove("error");
        fields.extend(error.clone().map(|error| ("error".to_owned(), error)));
    }
}

#[tokio::test]
async fn a_challenge_that_is_left_open_says_why_and_is_answered_again() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| {
        let problem = Problem::new(400, "connection", "Timeout during connect");
        let fails = Validation::FailsOpen { problem, times: 2 };
        knobs.validations.insert(NAME.to_owned(), fails);
    });
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    for _ in 0..2 {
        issuer.answer(&url).await.unwrap();
        let view = issuer.observe(&url).await.unwrap();
        assert_eq!(view.status, OrderStatus::Pending);
        let challenge = view.challenge.unwrap();
        assert!(!challenge.processing);
        let error = challenge.error.expect("the CA says what it found");
        assert_eq!(error.cause, Cause::ConnectionFailed);
        assert_eq!(error.detail, "Timeout during connect");
    }
    issuer.answer(&url).await.unwrap();
    until_status(&issuer, &url, OrderStatus::Ready).await;
    assert_eq!(stage.ca.journal().count(Endpoint::Challenge), 3);
}

#[tokio::test]
async fn an_answer_in_other_clothes_is_an_answer() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    let text = FaultKind::Text { status: 503, text: "come back later".to_owned() };
    stage.fail(Endpoint::NewOrder, text);
    let busy = issuer.place_order(&order_for(NAME)).await.unwrap_err();
    assert!(busy.to_string().contains("come back later"), "{busy}");
}

/// HTTP/2 puts every request on one connection: one that a firewall dropped would take them all.
#[tokio::test]
async fn a_connection_that_went_silent_is_used_once_and_never_again() {
    let pebble = Pebble::start(PebbleSettings::believing()).await.unwrap();
    let wire = TcpProxy::start(pebble.address()).await.unwrap();
    let mut settings = settings_for(&pebble.directory_at(wire.address()), &pebble.tls_root_file());
    settings.request_timeout = std::time::Duration::from_secs(2);
    let store = AccountStore::shared();
    let (sealer, clock) = (std::sync::Arc::new(MarkingSealer), std::sync::Arc::new(WallClock));
    let issuer = AcmeIssuer::new(settings, store, sealer, clock).unwrap();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    issuer.observe(&url).await.unwrap();
    assert_eq!(wire.accepted(), 1, "HTTP/2");
    wire.freeze();
    issuer.observe(&url).await.unwrap_err();
    issuer.observe(&url).await.expect("over a new connection");
    assert_eq!(wire.accepted(), 2);
}
