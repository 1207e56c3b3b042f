//! Certificate authorities that are not as the RFC draws them, or forget what they were told.

use sealwax_testkit::{Bend, Line, LineSettings, PATIENCE, wait_until};
use serde_json::Value;

pub(crate) async fn bent_line() -> Line {
    Line::start(LineSettings { bent: true, ..LineSettings::default() }).await.unwrap()
}

pub(crate) fn bend(line: &Line, bends: &[Bend]) {
    line.bent.as_ref().unwrap().bend(bends);
}

async fn metric(line: &Line, name: &str) -> f64 {
    let metrics = line.control_plane.admin().send("GET", "/metrics", "").await.unwrap().text();
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn orders_are_read_however_they_are_written_and_failures_are_told_for_what_they_are() {
    let line = bent_line().await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    let edge = line.control_plane.edge();
    for domain in ["telia", "smallstep", "zerossl", "caa"] {
        admin.register(&format!("{domain}.example.com")).await.unwrap();
    }
    bend(&line, &[Bend::Telia]);
    let read = visitor.visit(line.https(), "telia.example.com").await.is_ok();
    let once = (line.pebble.orders(), line.pebble.certificates()) == (1, 1);

    // The first try fails, which is told, and the answer is sent again.
    bend(&line, &[Bend::SmallStep]);
    let answered_again = visitor.visit(line.https(), "smallstep.example.com").await.is_ok();
    let path = "/v1/domains/smallstep.example.com/explain";
    let told = admin.send("GET", path, "").await.unwrap().text();
    let reason = told.contains("validation.retried")
        && told.contains("connection_failed: could not connect");

    bend(&line, &[Bend::ZeroSsl]);
    line.validations.cut();
    edge.ask("zerossl.example.com").await.unwrap();
    let failed = |record: &Value| !record["failure"].is_null();
    let zerossl = admin.show_until("zerossl.example.com", PATIENCE, failed).await.unwrap();
    let owner = zerossl["failure"]["who"] == "customer" && zerossl["failure"]["detail"] != "";
    line.validations.pass();

    bend(&line, &[Bend::Caa]);
    edge.ask("caa.example.com").await.unwrap();
    let caa = admin.show_until("caa.example.com", PATIENCE, failed).await.unwrap();
    assert_eq!(caa["failure"]["cause"], "caa_forbids", "{caa}");

    let seen = [read, once, answered_again, reason, owner];
    assert_eq!(seen, [true; 5], "{told}\n{zerossl}\n{}", line.control_plane.log());
}

#[tokio::test]
async fn a_ca_that_starts_empty_knows_everybody_again_within_a_minute() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    for label in ["held", "flying", "new"] {
        admin.register(&format!("{label}.example.com")).await.unwrap();
    }
    let visitor = line.visitor().unwrap();
    visitor.visit(line.https(), "held.example.com").await.unwrap();
    let before = admin.await_state("held.example.com", "issued", PATIENCE).await.unwrap();

    // An order is in flight when the CA forgets it, and the account it belongs to.
    line.validations.hold();
    let https = line.https();
    let flying = tokio::spawn(async move {
        drop(visitor.visit(https, "flying.example.com").await);
    });
    wait_until("the order in flight", PATIENCE, async || (line.pebble.orders() == 2).then_some(()))
        .await
        .unwrap();
    line.pebble.kill();
    line.validations.pass();
    line.pebble.restart().await.unwrap();
    flying.await.unwrap();

    let visitor = line.visitor().unwrap();
    visitor.visit(line.https(), "new.example.com").await.unwrap();
    admin.renew("held.example.com").await.unwrap();
    let serial = |record: &Value| record["certificate"]["serial"].clone();
    let renewed = |record: &Value| serial(record) != serial(&before);
    admin.show_until("held.example.com", PATIENCE, renewed).await.unwrap();
    // Nobody asks for this one: it goes on by itself.
    let minute = std::time::Duration::from_secs(90);
    admin.await_state("flying.example.com", "issued", minute).await.unwrap();
    assert_eq!(metric(&line, "sealwax_ca_accounts_replaced_total").await, 1.0, "told once");
}

#[tokio::test]
async fn a_closed_account_is_told_as_that_and_replaced_by_a_command() {
    let line = bent_line().await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for label in ["open", "closed"] {
        admin.register(&format!("{label}.example.com")).await.unwrap();
    }
    visitor.visit(line.https(), "open.example.com").await.unwrap();
    bend(&line, &[Bend::ClosedAccount]);
    visitor.visit(line.https(), "closed.example.com").await.unwrap_err();
    let failed = |record: &Value| record["failure"]["cause"] == "ca_account";
    let record = admin.show_until("closed.example.com", PATIENCE, failed).await.unwrap();
    let detail = record["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("deactivated") && detail.contains("account reset pebble"), "{detail}");

    let reset = line.control_plane.run(&["account", "reset", "pebble"]).await.unwrap();
    let (out, err) = (&reset.stdout, &reset.stderr);
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(err));
    assert!(String::from_utf8_lossy(out).contains("is the account now"));
    admin.renew("closed.example.com").await.unwrap();
    admin.await_state("closed.example.com", "issued", PATIENCE).await.unwrap();
    assert_eq!(metric(&line, "sealwax_ca_accounts_replaced_total").await, 1.0);
}

#[tokio::test]
async fn a_ca_that_knows_no_account_is_not_asked_for_ever() {
    let line = bent_line().await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("a.example.com").await.unwrap();
    bend(&line, &[Bend::NoSuchAccount]);
    visitor.visit(line.https(), "a.example.com").await.unwrap_err();
    let failed = |record: &Value| record["failure"]["cause"] == "ca_account";
    admin.show_until("a.example.com", PATIENCE, failed).await.unwrap();
    assert!(line.pebble.accounts() <= 1, "{} accounts", line.pebble.accounts());
    bend(&line, &[]);
}
