//! What a CA allows, and what it says of it.

use std::time::Duration;

use sealwax_testkit::{Bend, Line, LineSettings, PATIENCE, wait_until};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::odd_cas::{bend, bent_line};

/// In how many seconds it is tried again.
fn next_in(record: &Value) -> i64 {
    let at = record["failure"]["next_attempt_at"].as_str().unwrap();
    let at = OffsetDateTime::parse(at, &Rfc3339).unwrap();
    (at - OffsetDateTime::now_utc()).whole_seconds()
}

#[tokio::test]
async fn a_limit_without_a_moment_rests_what_it_is_about_for_a_minute_and_nothing_else() {
    let line = bent_line().await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for label in ["held", "first", "other"] {
        admin.register(&format!("{label}.example.com")).await.unwrap();
    }
    visitor.visit(line.https(), "held.example.com").await.unwrap();
    let before = admin.await_state("held.example.com", "issued", PATIENCE).await.unwrap();
    let limited = |record: &Value| record["failure"]["cause"] == "ca_rate_limited";

    bend(&line, &[Bend::Limited]);
    line.control_plane.edge().ask("first.example.com").await.unwrap();
    let first = admin.show_until("first.example.com", PATIENCE, limited).await.unwrap();
    // The limit is about new names, and a renewal that goes well does not end it.
    admin.renew("held.example.com").await.unwrap();
    let serial = |record: &Value| record["certificate"]["serial"].clone();
    let renewed = |record: &Value| serial(record) != serial(&before);
    let renewed = admin.show_until("held.example.com", PATIENCE, renewed).await.map(drop);
    line.control_plane.edge().ask("other.example.com").await.unwrap();
    admin.show_until("other.example.com", PATIENCE, limited).await.unwrap();
    let refused = line.bent.as_ref().unwrap().asks().refused;

    bend(&line, &[Bend::Busy]);
    admin.renew("held.example.com").await.unwrap();
    let busy = admin.show_until("held.example.com", PATIENCE, limited).await.unwrap();
    let waits = (next_in(&first), next_in(&busy));
    let short = waits.0 <= 120 && waits.1 <= 120;
    assert!(
        short && renewed.is_ok() && refused == 1,
        "tried again in {waits:?} s, {renewed:?}, {refused} refused"
    );
}

#[tokio::test]
async fn a_limit_that_is_raised_holds_for_who_waits_already() {
    let settings = LineSettings {
        issuer: "limits = \"letsencrypt\"\n",
        more: "[limits]\norders_per_3h = 1\n".to_owned(),
        ..LineSettings::default()
    };
    let mut line = Line::start(settings).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for domain in ["one.example.com", "two.example.com"] {
        admin.register(domain).await.unwrap();
    }
    visitor.visit(line.https(), "one.example.com").await.unwrap();
    line.control_plane.edge().ask("two.example.com").await.unwrap();
    let waits = |record: &Value| record["failure"]["cause"] == "ca_rate_limited";
    admin.show_until("two.example.com", PATIENCE, waits).await.unwrap();
    assert_eq!(line.pebble.orders(), 1);

    let file = line.control_plane.config_file();
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("orders_per_3h = 1\n", "orders_per_3h = 100000\n"))
        .unwrap();
    line.control_plane.restart().await.unwrap();
    let served = wait_until("who waits to be served", Duration::from_secs(20), async || {
        visitor.visit(line.https(), "two.example.com").await.ok()
    });
    served.await.unwrap();
    assert_eq!(line.pebble.orders(), 2);
}
