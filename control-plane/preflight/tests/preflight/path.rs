//! How the path of challenges is fetched: as a CA does it, and never where it must not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use crate::common::{Asked, Web, ip, look, moved, ok, settings};
use sealwax_core::Span;
use sealwax_core::preflight::Path;
use sealwax_preflight::{Outlook, OutlookSettings};
use sealwax_testkit::ChallengeDns;
use tokio::time::{Duration, Instant};

const V4: &str = "127.0.0.1:0";

fn anywhere() -> SocketAddr {
    V4.parse().unwrap()
}

/// Looks at a web server through a DNS server that answers every name with this machine.
async fn through(dns: &ChallengeDns, web: &Web) -> Outlook {
    Outlook::new(OutlookSettings { port: web.port, ..settings(dns.address()) }).unwrap()
}

async fn answered_with(text: String) -> Path {
    let dns = ChallengeDns::start().await.unwrap();
    let web = Web::start(anywhere(), move |_| Some(text.clone())).await;
    look(&through(&dns, &web).await, "a.example.com").await.path
}

#[tokio::test]
async fn an_edge_is_known_by_its_answer_and_proves_this_place_for_other_domains() {
    let dns = ChallengeDns::start().await.unwrap();
    let web = Web::start(anywhere(), |asked: Asked| {
        assert!(asked.host.starts_with("a.example.com:") || asked.host.starts_with("b.example"));
        Some(asked.edges_answer())
    })
    .await;
    let outlook = through(&dns, &web).await;
    let good = Path::Answered { from: ip("127.0.0.1"), redirects: 0 };
    let first = look(&outlook, "a.example.com").await;
    assert_eq!((first.path, first.vantage_proven), (good.clone(), false));
    let again = look(&outlook, "a.example.com").await;
    assert!(!again.vantage_proven, "a domain does not vouch for itself");
    let other = look(&outlook, "b.example.com").await;
    assert_eq!((other.path, other.vantage_proven), (good, true));
}

#[tokio::test]
async fn another_servers_answer_is_told() {
    for (text, told) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(), "404 Not Found"),
        (ok("welcome"), "200 with another answer"),
        (ok(&"x".repeat(1_000_000)), "200 with another answer"),
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned(), "without a location"),
        (moved("ftp://a.example.com/"), "neither http nor https"),
        (moved("http://127.0.0.1/"), "its host is no name"),
        (moved("http://[::1]/"), "its host is no name"),
        (moved("http://a.example.com:22/"), "neither 80 nor 443"),
    ] {
        let path = answered_with(text).await;
        let Path::Elsewhere { detail, .. } = &path else { panic!("{told}: {path}") };
        assert!(detail.contains(told), "{told}: {path}");
    }
}

#[tokio::test]
async fn a_front_that_keeps_machines_out_is_not_taken_for_what_a_ca_is_told() {
    let with = |head: &str| format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
    for (text, withheld) in [
        (with("403 Forbidden"), true),
        (with("401 Unauthorized"), true),
        (with("429 Too Many Requests"), true),
        (with("503 Service Unavailable"), true),
        (with("405 Method Not Allowed\r\nx-amzn-waf-action: captcha"), true),
        (ok("<title>Just a moment...</title>"), true),
        (ok("<p>Your new site</p>"), false),
        (with("404 Not Found"), false),
        (moved("ftp://a.example.com/"), false),
    ] {
        let path = answered_with(text.clone()).await;
        let Path::Elsewhere { withheld: seen, .. } = path else { panic!("{text}: {path}") };
        assert_eq!(seen, withheld, "{text}");
    }
}

#[tokio::test]
async fn every_address_of_a_domain_is_looked_at() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.point("a.example.com", &[ip("127.0.0.1"), ip("127.0.0.2")]).await.unwrap();
    let edge = Web::start(anywhere(), |asked: Asked| Some(asked.edges_answer())).await;
    let not_found = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let other = SocketAddr::new(ip("127.0.0.2"), edge.port);
    let _other = Web::start(other, move |_| Some(not_found.to_owned())).await;
    let mut told = OutlookSettings { port: edge.port, ..settings(dns.address()) };
    told.edges.push("127.0.0.2".parse().unwrap());
    let seen = look(&Outlook::new(told).unwrap(), "a.example.com").await;
    // Whichever the name server puts first.
    let mut all = vec![seen.path.clone()];
    all.extend(seen.also.iter().map(|place| place.path.clone()));
    let good = Path::Answered { from: ip("127.0.0.1"), redirects: 0 };
    let is_stale =
        |path: &Path| matches!(path, Path::Elsewhere { from, .. } if *from == other.ip());
    assert!(all.len() == 2 && all.contains(&good) && all.iter().any(is_stale), "{all:?}");
}

#[tokio::test]
async fn what_is_no_http_or_too_long_is_no_answer() {
    let flood = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(100_000));
    for text in ["SSH-2.0-OpenSSH_9.2\r\n".to_owned(), String::new(), flood] {
        let path = answered_with(text).await;
        assert!(matches!(path, Path::Unreachable { .. }), "{path}");
    }
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    for (hops, reached) in [(1, true), (10, true), (11, false)] {
        let dns = ChallengeDns::start().await.unwrap();
        let web = Web::start(anywhere(), move |asked: Asked| {
            let (path, made) = asked.path.split_once('?').unwrap_or((&asked.path, "0"));
            let made: u32 = made.parse().unwrap();
            let port = asked.host.rsplit(':').next().unwrap();
            Some(if made == hops {
                asked.edges_answer()
            } else {
                moved(&format!("http://hop{made}.example.net:{port}{path}?{}", made + 1))
            })
        })
        .await;
        let path = look(&through(&dns, &web).await, "a.example.com").await.path;
        let wanted = Path::Answered { from: ip("127.0.0.1"), redirects: hops };
        assert_eq!(path == wanted, reached, "{hops}: {path}");
    }
}

#[tokio::test]
async fn ipv6_goes_first_and_ipv4_is_for_when_it_cannot_be_connected_to() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.point("a.example.com", &[ip("127.0.0.1"), ip("::1")]).await.unwrap();
    let four = Web::start(anywhere(), |asked: Asked| Some(asked.edges_answer())).await;
    let outlook = through(&dns, &four).await;
    let seen = look(&outlook, "a.example.com").await;
    assert_eq!(seen.path, Path::Answered { from: ip("127.0.0.1"), redirects: 0 });

    let not_found = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let six = SocketAddr::new(ip("::1"), four.port);
    let _six = Web::start(six, move |_| Some(not_found.to_owned())).await;
    let seen = look(&outlook, "a.example.com").await;
    assert!(
        matches!(seen.path, Path::Elsewhere { from, .. } if from == ip("::1")),
        "{}",
        seen.path
    );
}

#[tokio::test]
async fn nothing_in_the_operators_network_is_connected_to_but_the_edges() {
    let dns = ChallengeDns::start().await.unwrap();
    let web = Web::start(anywhere(), |asked: Asked| Some(asked.edges_answer())).await;
    let untold = OutlookSettings { edges: Vec::new(), port: web.port, ..settings(dns.address()) };
    let seen = look(&Outlook::new(untold).unwrap(), "a.example.com").await;
    assert_eq!(
        seen.path.to_string(),
        "not tried: 127.0.0.1 is not on the internet and not among the edges"
    );
    assert_eq!(web.asked.load(Ordering::SeqCst), 0);

    // Nor by a redirect: only 127.0.0.1 is an edge.
    dns.point("inside.example.com", &[ip("127.0.0.2")]).await.unwrap();
    let edge = Web::start(anywhere(), |asked: Asked| {
        let port = asked.host.rsplit(':').next().unwrap();
        Some(moved(&format!("http://inside.example.com:{port}/admin")))
    })
    .await;
    let inside = Web::start(SocketAddr::new(ip("127.0.0.2"), edge.port), |_| None).await;
    let seen = look(&through(&dns, &edge).await, "a.example.com").await;
    assert_eq!(
        seen.path.to_string(),
        "not tried: 127.0.0.2 is not on the internet and not among the edges"
    );
    assert_eq!(inside.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_no_more_than_the_time_there_is() {
    let dns = ChallengeDns::start().await.unwrap();
    let web = Web::start(anywhere(), |_| None).await;
    let quick = OutlookSettings {
        timeout: Span::from_millis(500),
        port: web.port,
        ..settings(dns.address())
    };
    let started = Instant::now();
    let seen = look(&Outlook::new(quick).unwrap(), "a.example.com").await;
    assert!(matches!(seen.path, Path::Unreachable { .. }), "{}", seen.path);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(web.asked.load(Ordering::SeqCst), 1);
}
