//! The dashboard in a browser, as an operator uses it.

use sealwax_testkit::{Envoy, EnvoyPorts, EnvoySettings, Line, LineSettings, PATIENCE};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::plain::Plain;
use crate::terminal::Terminal;

#[tokio::test]
async fn a_failing_domain_is_found_explained_and_seen_to_recover_without_a_reload() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    let mut browser = Browser::start().await.unwrap();
    browser.open(&format!("http://{}/", line.control_plane.admin_address())).await.unwrap();
    browser.until_shown("Certificate authorities").await.unwrap();
    browser.until("document.getElementById('live').textContent === 'live'").await.unwrap();

    // What happens appears by itself.
    for name in ["shop.example.com", "broken.example.com"] {
        admin.register(name).await.unwrap();
        browser.until_shown(name).await.unwrap();
    }
    line.visitor().unwrap().visit(line.https(), "shop.example.com").await.unwrap();
    browser.until_shown("certificate.issued").await.unwrap();
    browser.until_shown("1 orders; 1 issued").await.unwrap();
    line.pebble.dns().forget("broken.example.com").await.unwrap();
    line.visitor().unwrap().handshake(line.https(), "broken.example.com").await;
    let failed = |record: &Value| !record["failure"].is_null();
    admin.show_until("broken.example.com", PATIENCE, failed).await.unwrap();
    browser.until_shown("attempt.failed").await.unwrap();

    // Counted: when certificates expire, and in which hour orders were placed.
    for plot in [
        "Certificates that expire on each of the next 90 days",
        "Certificates by the time until they expire",
        "Orders placed in each of the last 48 hours",
    ] {
        let bars = format!("document.querySelectorAll('svg[aria-label=\"{plot}\"] title')");
        browser
            .until(&format!("[...{bars}].some((bar) => !bar.textContent.endsWith(': 0'))"))
            .await
            .unwrap();
    }

    // The edges, in short and in full: names, memory budgets, refusals.
    browser.until_shown("edge-1").await.unwrap();
    browser.until("document.querySelector('meter[title=\"1 of 50000\"]') !== null").await.unwrap();
    browser.value("location.hash = '#/edges'").await.unwrap();
    browser.until_shown("edge-1").await.unwrap();

    // The list, filtered.
    browser.value("location.hash = '#/domains?state=issued'").await.unwrap();
    browser.until("document.querySelector('h1').innerText === 'Domains'").await.unwrap();
    browser.until_shown("shop.example.com").await.unwrap();
    let text = browser.value("document.getElementById('main').innerText").await.unwrap();
    assert!(!text.as_str().unwrap().contains("broken.example.com"), "{text}");

    // The search, by keyboard alone: the slash goes there.
    browser.value("document.activeElement.blur()").await.unwrap();
    browser.press("/", "/").await.unwrap();
    browser.until("document.activeElement.id === 'name'").await.unwrap();
    browser.write("broken.example.com").await.unwrap();
    browser.press("Enter", "\r").await.unwrap();
    browser.until_shown("Who must act").await.unwrap();
    browser.until_shown("[edge] public is not set").await.unwrap();
    browser.until_shown("connection_failed").await.unwrap();

    // The customer repairs it; someone presses the button; the page tells the rest.
    line.pebble.dns().remember("broken.example.com").await.unwrap();
    browser.value("document.getElementById('renew').click()").await.unwrap();
    browser.until("document.querySelector('h1').innerText.includes('issued')").await.unwrap();
    assert_eq!(browser.complaints(), [""; 0], "the console is clean");
}

#[tokio::test]
async fn a_campaign_is_watched_on_the_first_page_to_its_end() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    for name in ["one.example.com", "two.example.com", "three.example.com"] {
        admin.register(name).await.unwrap();
        line.visitor().unwrap().visit(line.https(), name).await.unwrap();
        admin.await_state(name, "issued", PATIENCE).await.unwrap();
    }
    let mut browser = Browser::start().await.unwrap();
    browser.open(&format!("http://{}/", line.control_plane.admin_address())).await.unwrap();
    browser.until_shown("Certificate authorities").await.unwrap();
    browser.until("document.getElementById('live').textContent === 'live'").await.unwrap();
    let text = browser.value("document.body.innerText").await.unwrap();
    assert!(!text.as_str().unwrap().contains("Replacing many"), "there never was one: {text}");

    // At a terminal it says how fast it is and how long it takes.
    let start = "campaign start --before 1h --rate 1 --reason 'a <b>weak</b> key' --watch";
    let server = format!("http://{}", line.control_plane.admin_address());
    let mut terminal = Terminal::open(line.control_plane.folder(), &server, start);
    browser.until_shown("Replacing many certificates").await.unwrap();
    browser.until_shown("a <b>weak</b> key").await.unwrap();
    browser.until("document.querySelector('meter[title=\"3 of 3\"]') !== null").await.unwrap();
    browser.until_shown("finished").await.unwrap();
    terminal.until_shown("/s, ").await;
    let (status, shown) = terminal.ended().await;
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains(" of 3, ") && shown.contains("s left"), "{shown}");
    assert!(shown.contains("finished") && shown.contains("3 of 3"), "{shown}");
    let metrics = admin.send("GET", "/metrics", "").await.unwrap().text();
    for line in [
        "sealwax_campaign{state=\"finished\"} 1",
        "sealwax_campaign_domains{standing=\"replaced\"} 3",
        "sealwax_campaign_late 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    assert_eq!(browser.complaints(), [""; 0], "the console is clean");
}

/// An Envoy that takes no certificate without a staple (RFC 6960), which nobody gives it.
async fn strict(line: &Line) -> Envoy {
    let settings = EnvoySettings {
        node_id: "edge-strict".to_owned(),
        config: line.control_plane.config_file(),
        origin: line.origin.address(),
    };
    let ports = EnvoyPorts::free().unwrap();
    let yaml = Envoy::bootstrap(&ports, &settings).unwrap();
    let loose = "          disable_stateful_session_resumption: true\n";
    assert!(yaml.contains(loose), "{yaml}");
    let yaml = yaml.replace(loose, &format!("{loose}          ocsp_staple_policy: MUST_STAPLE\n"));
    Envoy::run(&yaml, ports).await.unwrap()
}

#[tokio::test]
async fn what_an_edge_refuses_is_shown_and_explained_in_the_edges_own_words() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let folder = line.control_plane.folder().to_owned();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test"])
        .args(["-newkey", "rsa:2048", "-addext", "subjectAltName=DNS:odd.example.com"])
        .args(["-out", "odd.pem", "-keyout", "odd.key"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let import = ["cert", "import", "--chain", "odd.pem", "--key", "odd.key"];
    let imported = line.control_plane.run(&import).await.unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let strict = strict(&line).await;
    let attempt = line.visitor().unwrap().handshake(strict.https(), "odd.example.com").await;
    assert!(attempt.outcome.is_err());

    let words = "OCSP";
    let mut browser = Browser::start().await.unwrap();
    let dashboard = format!("http://{}/", line.control_plane.admin_address());
    browser.open(&format!("{dashboard}#/edges")).await.unwrap();
    browser.until_shown(words).await.unwrap();
    browser.value("location.hash = '#/domain/odd.example.com'").await.unwrap();
    browser.until_shown("an edge refused the certificate").await.unwrap();
    browser.until_shown(words).await.unwrap();
    let told = line.control_plane.run(&["explain", "odd.example.com"]).await.unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("an edge refused the certificate") && told.contains(words), "{told}");
    assert_eq!(browser.complaints(), [""; 0], "the console is clean");
}

#[tokio::test]
async fn the_token_is_asked_for_once_and_every_screen_can_be_read() {
    // A CA with limits: what is left of them is shown.
    let issuer = "[[issuer]]\nname = \"limited\"\ndirectory = \"https://ca.example/dir\"";
    let plain = Plain::start(&format!("token_file = \"token\"\n{issuer}")).await.unwrap();
    let mut browser = Browser::start().await.unwrap();
    browser.open(&format!("http://{}/", plain.address())).await.unwrap();
    browser.until("document.getElementById('ask').open").await.unwrap();
    browser.write("wrong").await.unwrap();
    browser.press("Enter", "\r").await.unwrap();
    browser.until_shown("That token was refused").await.unwrap();
    browser.write("0123456789abcdef-write").await.unwrap();
    browser.press("Enter", "\r").await.unwrap();
    browser.until("document.getElementById('live').textContent === 'live'").await.unwrap();
    browser.until_shown("issued").await.unwrap();
    browser.until_shown("300 of 300").await.unwrap();
    browser.value("window.before = true").await.unwrap();
    browser.call("Page.reload", json!({})).await.unwrap();
    let again = "!window.before && document.getElementById('live')?.textContent === 'live'";
    browser.until(again).await.unwrap();
    let asked = browser.value("document.getElementById('ask').open").await.unwrap();
    assert_eq!(asked, false, "not a second time");
    let address = browser.value("location.href + document.cookie").await.unwrap();
    assert!(!address.as_str().unwrap().contains("0123456789abcdef"));

    // A name that is nobody's, and one that would be markup, were it not text.
    let admin = plain.admin().with_token("0123456789abcdef-write");
    let body = r#"{"tenant":"<img src=x onerror=alert(1)>"}"#;
    admin.send("PUT", "/v1/domains/a.example.com", body).await.unwrap();
    browser.value("location.hash = '#/domain/nobody.example.com'").await.unwrap();
    browser.until_shown("is not registered").await.unwrap();
    browser.value("location.hash = '#/domains'").await.unwrap();
    browser.until_shown("<img src=x onerror=alert(1)>").await.unwrap();

    // Dark and light, wide and narrow.
    let back = "getComputedStyle(document.body).backgroundColor";
    let mut seen = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", feature).await.unwrap();
        seen.push(browser.value(back).await.unwrap());
    }
    assert_ne!(seen[0], seen[1]);
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone).await.unwrap();
    for (hash, shown) in [("#/", "Fleet"), ("#/domains", "a.example.com"), ("#/edges", "No Envoy")]
    {
        browser.value(&format!("location.hash = '{hash}'")).await.unwrap();
        browser.until_shown(shown).await.unwrap();
        let fits = "document.documentElement.scrollWidth <= window.innerWidth";
        assert_eq!(browser.value(fits).await.unwrap(), true, "{hash} is wider than a phone");
    }
    // The browser itself notes each refused or unknown thing that was asked for.
    let other = |said: &&String| !said.contains("401") && !said.contains("404");
    let others: Vec<_> = browser.complaints().iter().filter(other).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn a_domains_page_shows_the_dns_answers_that_hold_its_order_back() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    line.refuse_elsewhere("shop.example.com", "127.0.0.9".parse().unwrap()).await.unwrap();
    let mut browser = Browser::start().await.unwrap();
    let dashboard = format!("http://{}/", line.control_plane.admin_address());
    browser.open(&format!("{dashboard}#/domain/shop.example.com")).await.unwrap();
    browser.until_shown("What was seen of it").await.unwrap();
    let seen = browser.value("document.getElementById('seen').innerText").await.unwrap();
    assert!(seen.as_str().unwrap().starts_with("A: 127.0.0.9 (not an edge)\n"), "{seen}");
    assert_eq!(browser.complaints(), [""; 0], "the console is clean");
}
