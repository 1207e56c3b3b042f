use serde_json::json;

use super::*;

const URL: &str = "https://ca.example/acme/order/7";

fn order(value: &Value) -> OrderBody {
    OrderBody::read(value.to_string().as_bytes(), URL).unwrap()
}

fn authorization(value: &Value) -> AuthorizationBody {
    AuthorizationBody::read(value.to_string().as_bytes(), URL).unwrap()
}

#[test]
fn orders_are_read_whatever_nobody_needs_says() {
    let order = order(&json!({
        "status": "Ready", "replaces": "", "authorizations": null, "identifiers": 3,
        "finalize": "https://other.example:4443/f/7", "notBefore": [], "expires": "soon",
        "error": null, "profile": {},
    }));
    assert_eq!(order.status, OrderStatus::Ready);
    assert_eq!(order.finalize.as_deref(), Some("https://other.example:4443/f/7"));
    assert_eq!((order.authorizations.len(), order.expires, order.error), (0, None, None));
}

#[test]
fn a_valid_order_needs_its_certificate_and_nothing_else() {
    let valid = order(&json!({ "status": "valid", "certificate": "https://ca.example/c/7" }));
    assert_eq!(valid.status, OrderStatus::Valid);
    for none in [json!({ "status": "VALID" }), json!({ "status": "valid", "certificate": "" })] {
        assert_eq!(order(&none).status, OrderStatus::Processing, "{none}");
    }
    let silent = json!({ "certificate": "https://ca.example/c/7" });
    assert_eq!(order(&silent).status, OrderStatus::Valid);
}

#[test]
fn urls_are_seen_from_where_they_were_found_and_absolute_ones_stay_to_the_letter() {
    for (found, wanted) in [
        ("/f/7", "https://ca.example/f/7"),
        ("7/finalize", "https://ca.example/acme/order/7/finalize"),
        ("//other.example/f", "https://other.example/f"),
        ("https://CA.example:443/f", "https://CA.example:443/f"),
    ] {
        let order = order(&json!({ "status": "ready", "finalize": found }));
        assert_eq!(order.finalize.as_deref(), Some(wanted));
    }
}

#[test]
fn expiry_is_read_in_every_form_seen() {
    for form in [
        json!("2026-08-15T00:00:00Z"),
        json!("2026-08-15T02:00:00.123+02:00"),
        json!("Sat, 15 Aug 2026 00:00:00 +0000"),
        json!(1_786_752_000),
        json!("1786752000"),
    ] {
        let order = order(&json!({ "status": "pending", "expires": form }));
        assert_eq!(order.expires, Some(Timestamp::from_secs(1_786_752_000)), "{form}");
    }
}

#[test]
fn what_is_no_order_is_told_so() {
    for body in ["", "<html>", "[]", "null", "3", "{}", r#"{"status": "frozen"}"#, "{\"status\": "]
    {
        OrderBody::read(body.as_bytes(), URL).unwrap_err();
    }
    let failed = json!({ "status": "?", "error": { "type": "urn:ietf:params:acme:error:caa" } });
    assert_eq!(order(&failed).status, OrderStatus::Invalid);
}

#[test]
fn the_challenge_is_found_among_others() {
    let found = authorization(&json!({
        "status": "pending", "wildcard": null, "identifier": null,
        "challenges": [
            null, 7, { "type": "dns-persist-01" }, { "type": 1 },
            { "type": "HTTP-01", "uri": "c/1", "token": "abc", "status": "Processing",
              "validated": "never" },
        ],
    }));
    let challenge = found.http_01().unwrap();
    assert_eq!(challenge.url.as_deref(), Some("https://ca.example/acme/order/c/1"));
    assert_eq!(
        (challenge.token.as_deref(), challenge.status),
        (Some("abc"), ChallengeStatus::Processing)
    );
    let none = authorization(&json!({ "status": null, "challenges": null }));
    assert_eq!((none.status, none.http_01()), (AuthorizationStatus::Pending, None));
}

#[test]
fn an_error_without_a_word_is_an_error_and_an_absent_one_is_none() {
    let error = |value: Value| ChallengeBody::of(&json!({ "error": value }), URL).error;
    assert_eq!(error(json!({})), Some(Problem::default()));
    assert_eq!(error(json!("it timed out")).unwrap().detail, "it timed out");
    let typed = error(json!({ "type": "urn:acme:error:connection", "status": "400" })).unwrap();
    assert_eq!(typed.kind, "connection");
    for none in [json!(null), json!(""), json!([]), json!(false)] {
        assert_eq!(error(none), None);
    }
}
