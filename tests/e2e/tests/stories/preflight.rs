//! A domain is looked at before a CA hears of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::net::Ipv4Addr;

use sealwax_testkit::{Admin, Line, LineSettings, PATIENCE};
use serde_json::Value;

async fn explained(admin: &Admin, domain: &str) -> Value {
    let answer = admin.send("GET", &format!("/v1/domains/{domain}/explain"), "").await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

/// What was seen when `what` was looked at.
fn seen<'a>(told: &'a Value, what: &str) -> &'a str {
    let all = told["preflight"]["seen"].as_array().unwrap();
    let one = all.iter().find(|one| one["what"] == what).unwrap();
    one["seen"].as_str().unwrap()
}

#[tokio::test]
async fn a_domain_that_points_elsewhere_is_explained_and_ordered_when_it_is_mended() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let admin = line.control_plane.admin();
    let elsewhere = "127.0.0.9".parse().unwrap();
    let record = line.refuse_elsewhere("shop.example.com", elsewhere).await.unwrap();
    assert_eq!(record["failure"]["cause"], "challenge_wrong");
    assert_eq!(record["failure"]["who"], "customer");
    assert!(record["failure"]["next_attempt_at"].is_string());
    let told = explained(&admin, "shop.example.com").await;
    assert_eq!(seen(&told, "A"), "127.0.0.9 (not an edge)");
    assert_eq!(seen(&told, "AAAA"), "none: no such record");
    assert!(seen(&told, "challenge path").contains("not on the internet"), "{told}");
    let printed = line.control_plane.run(&["explain", "shop.example.com"]).await.unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("127.0.0.9 (not an edge)"), "{printed}");
    assert_eq!(line.pebble.orders(), 0, "the CA heard nothing of it");

    // Trying again looks again; force does not, and the CA sees for itself.
    let run = |arguments: &'static [&'static str]| line.control_plane.run(arguments);
    let again = run(&["domain", "renew", "shop.example.com"]).await.unwrap();
    assert!(again.status.success(), "{again:?}");
    let attempts = |count: u64| move |record: &Value| record["failure"]["attempts"] == count;
    admin.show_until("shop.example.com", PATIENCE, attempts(2)).await.unwrap();
    assert_eq!(line.pebble.orders(), 0);
    let forced = run(&["domain", "renew", "--force", "shop.example.com"]).await.unwrap();
    assert!(forced.status.success(), "{forced:?}");
    admin.show_until("shop.example.com", PATIENCE, attempts(3)).await.unwrap();
    assert_eq!(line.pebble.orders(), 1);

    // Mended: the look comes through Envoy to the control plane, and the order follows.
    line.pebble.dns().point("shop.example.com", &[]).await.unwrap();
    assert!(run(&["domain", "renew", "shop.example.com"]).await.unwrap().status.success());
    admin.await_state("shop.example.com", "issued", PATIENCE).await.unwrap();
    line.visitor().unwrap().visit(line.https(), "shop.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (2, 1));
    let told = explained(&admin, "shop.example.com").await;
    assert_eq!(told["preflight"], Value::Null, "nothing is wrong any more");
    let moments = told["timeline"].as_array().unwrap();
    let reached = moments.iter().rev().find(|moment| moment["kind"] == "preflight.seen").unwrap();
    let detail = reached["detail"].as_str().unwrap();
    assert!(detail.ends_with("challenge path answered by an edge at 127.0.0.1"), "{detail}");
}

#[tokio::test]
async fn a_first_handshake_gets_its_certificate_with_a_look_before_it() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("blog.example.com").await.unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));

    // An address beside the edges' that leads nowhere is told while it works.
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 8).into()];
    line.pebble.dns().point("stale.example.com", &addresses).await.unwrap();
    admin.register("stale.example.com").await.unwrap();
    visitor.visit(line.https(), "stale.example.com").await.unwrap();
    let told = explained(&admin, "stale.example.com").await;
    let mut moments = told["timeline"].as_array().unwrap().iter();
    let warned = moments.find(|moment| moment["kind"] == "preflight.warned");
    let warned = warned.expect("it is warned of")["detail"].as_str().unwrap();
    assert!(warned.contains("127.0.0.8") && !warned.contains("127.0.0.1"), "{warned}");
}

#[tokio::test]
async fn a_zone_that_fails_is_told_as_that_and_not_as_a_closed_port() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let admin = line.control_plane.admin();
    let domain = "shop.example.com";
    line.pebble.dns().forget(domain).await.unwrap();
    admin.register(domain).await.unwrap();
    assert!(line.visitor().unwrap().visit(line.https(), domain).await.is_err());
    let record = admin.await_state(domain, "refused", PATIENCE).await.unwrap();
    assert_eq!(record["failure"]["cause"], "dns_failed", "{record}");
    let told = explained(&admin, domain).await;
    let forward = told["forward"].as_str().unwrap();
    assert!(forward.contains("seen from here: A: DNS error"), "{forward}");
    assert!(forward.contains("Repair the domain's DNS"), "{forward}");
}

#[tokio::test]
async fn caa_records_of_an_aliass_target_are_told_where_they_stand() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let admin = line.control_plane.admin();
    let (domain, target) = ("shop.example.com", "shops.host.example");
    line.pebble.dns().alias(domain, target).await.unwrap();
    line.pebble.dns().authorize(target, "issue", "other.example").await.unwrap();
    admin.register(domain).await.unwrap();
    assert!(line.visitor().unwrap().visit(line.https(), domain).await.is_err());
    let record = admin.await_state(domain, "refused", PATIENCE).await.unwrap();
    assert_eq!(record["failure"]["cause"], "caa_forbids", "{record}");
    let change = explained(&admin, domain).await["change"].as_str().unwrap().to_owned();
    let line = format!("\n{target}. IN CAA 0 issue \"pebble.letsencrypt.org\"\n");
    assert!(change.contains(&line), "{change}");
    assert!(!change.contains(&format!("\n{domain}. IN CAA")), "{change}");
}
