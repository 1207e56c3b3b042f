//! What `doctor` finds, what the log tells, and what tokens open.

use std::process::Output;

use sealwax_testkit::{ChallengeDns, Line, LineSettings, PATIENCE, wait_until};
use serde_json::Value;

use crate::plain::Plain;

fn checks(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verdict<'a>(checks: &'a [Value], check: &str) -> &'a str {
    let found = checks.iter().find(|one| one["check"].as_str().unwrap().starts_with(check));
    found.and_then(|one| one["verdict"].as_str()).unwrap_or("not there")
}

#[tokio::test]
async fn the_doctor_finds_a_healthy_line_healthy_down_to_the_way_of_challenges() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("shop.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "shop.example.com").await.unwrap();
    let connected = async || {
        let edges = admin.send("GET", "/v1/edges", "").await.ok()?;
        edges.text().contains("edge-1").then_some(())
    };
    wait_until("the edge to be connected", PATIENCE, connected).await.unwrap();
    let edge = format!("http://{}", line.envoy.http());
    let doctor = ["--json", "doctor", "--config", "sealwax.toml", "--edge-http", &edge];
    let output = line.control_plane.run(&doctor).await.unwrap();
    let found = checks(&output);
    assert!(output.status.success(), "{found:?}");
    for check in [
        "admin API",
        "store",
        "token",
        "edges",
        "key",
        "xDS",
        "edge API",
        "CA pebble",
        "clock",
        "account at pebble",
        "permission endpoint",
        "work",
        "limits",
        "certificates",
        "challenges through",
    ] {
        assert_eq!(verdict(&found, check), "ok", "{check}: {found:?}");
    }

    // The origin's port is no edge: whatever it answers, the question does not come through.
    let wrong = format!("http://{}", line.origin.address());
    let output = line
        .control_plane
        .run(&["--json", "doctor", "--config", "sealwax.toml", "--edge-http", &wrong])
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(verdict(&checks(&output), "challenges through"), "failed");
}

#[tokio::test]
async fn the_doctor_names_what_is_missing_and_how_to_mend_it() {
    let plain = Plain::start("token_file = \"token\"").await.unwrap();
    let wrong = plain.run(&["--json", "doctor", "--config", "sealwax.toml"]).await.unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(verdict(&checks(&wrong), "token"), "failed");
    let doctor = ["--json", "--token-file", "token", "doctor", "--config", "sealwax.toml"];
    let output = plain.run(&doctor).await.unwrap();
    let found = checks(&output);
    assert_eq!(output.status.code(), Some(1), "its CA does not answer");
    assert_eq!(verdict(&found, "CA away"), "failed");
    assert_eq!(verdict(&found, "edges"), "warning");
    for (check, word) in [("CA away", "[[issuer]] directory"), ("edges", "envoy bootstrap")] {
        let one = found.iter().find(|one| one["check"] == check).unwrap();
        assert!(one["detail"].as_str().unwrap().contains(word), "{one}");
    }
    let told = plain.run(&["--token-file", "token", "doctor", "--config", "sealwax.toml"]).await;
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    assert_eq!(told.lines().count(), found.len() + 1, "one line each, and a heading: {told}");
}

/// How the doctor sees the look at domains, with these lines in `[preflight]`.
async fn look(resolvers: std::net::SocketAddr, edge: &str) -> Vec<(String, String)> {
    let lines =
        format!("[preflight]\nenabled = true\nresolvers = \"{resolvers}\"\ntimeout = \"2s\"\n");
    let plain = Plain::start(&lines).await.unwrap();
    let config = plain.folder.path().join("sealwax.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[edge]\n", &format!("[edge]\npublic = \"{edge}\"\n"));
    std::fs::write(config, text).unwrap();
    let output = plain.run(&["--json", "doctor", "--config", "sealwax.toml"]).await.unwrap();
    let found = checks(&output).into_iter().filter(|one| one["check"] == "look before orders");
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    found.map(|one| (word(&one, "verdict"), word(&one, "detail"))).collect()
}

#[tokio::test]
async fn the_doctor_tries_the_name_servers_that_domains_are_looked_at_with() {
    let dns = ChallengeDns::start().await.unwrap();
    let well = look(dns.address(), "edge.platform.example").await;
    assert_eq!(well, [("ok".to_owned(), String::new())]);

    dns.forget_default().await.unwrap();
    let lost = look(dns.address(), "edge.platform.example").await;
    assert_eq!((lost.len(), lost[0].0.as_str(), lost[1].0.as_str()), (2, "ok", "warning"));
    assert!(lost[1].1.contains("edge.platform.example") && lost[1].1.contains("[edge] public"));

    // Nobody answers there.
    let away = look("127.0.0.1:1".parse().unwrap(), "192.0.2.7").await;
    let [(verdict, detail)] = &away[..] else { panic!("{away:?}") };
    assert!(verdict == "warning" && detail.contains("[preflight] resolvers"), "{away:?}");
}

#[tokio::test]
async fn changes_are_audited_requests_are_logged_and_no_token_is_in_the_log() {
    let plain =
        Plain::start("token_file = \"token\"\nread_token_file = \"read-token\"").await.unwrap();
    let writer = plain.admin().with_token("0123456789abcdef-write");
    let reader = plain.admin().with_token("0123456789abcdef-read");
    writer.register("a.example.com").await.unwrap();
    assert!(reader.show("a.example.com").await.is_ok());
    let refused = reader.send("DELETE", "/v1/domains/a.example.com", "").await.unwrap();
    assert_eq!(refused.status, 403);
    let secret = plain.admin().send("GET", "/v1/domains?tenant=in-the-query", "").await.unwrap();
    assert_eq!(secret.status, 401);

    let log = plain.log();
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |target: &str| {
        let wanted = lines.iter().filter(|line| line["target"] == target);
        wanted.cloned().collect::<Vec<_>>()
    };
    let audit = of("sealwax::audit");
    assert_eq!(audit.len(), 1, "{log}");
    assert_eq!((&audit[0]["method"], &audit[0]["caller"]), (&"PUT".into(), &"keys".into()));
    assert_eq!(audit[0]["path"], "/v1/domains/a.example.com");
    let access = of("sealwax::access");
    let statuses: Vec<_> = access.iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses[statuses.len() - 4..], [201, 200, 403, 401], "{log}");
    assert_eq!(access.last().unwrap()["caller"], "stranger");
    assert!(access.last().unwrap().get("user_agent").is_none(), "not configured");
    assert!(!log.contains("0123456789abcdef") && !log.contains("in-the-query"), "{log}");
}
