//! What is seen of DNS, by a real name server's answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::net::UdpSocket;

use crate::common::{ip, look, settings};
use sealwax_core::Span;
use sealwax_core::preflight::{Address, CaaSet, Looked, Path};
use sealwax_preflight::{Outlook, OutlookSettings};
use sealwax_protocol::DomainName;
use sealwax_testkit::ChallengeDns;
use tokio::time::{Duration, Instant};

fn found(addresses: &[(&str, Option<bool>)]) -> Looked<Vec<Address>> {
    let one = |&(text, ours): &(&str, Option<bool>)| Address { ip: ip(text), ours };
    Looked::Found(addresses.iter().map(one).collect())
}

fn absent<T>() -> Looked<T> {
    Looked::Nothing { said: "no such record".to_owned() }
}

#[tokio::test]
async fn addresses_of_both_kinds_are_told_apart_from_the_edges() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.point("a.example.com", &[ip("192.0.2.1"), ip("2001:db8::1")]).await.unwrap();
    let outlook = Outlook::new(settings(dns.address())).unwrap();
    let seen = look(&outlook, "a.example.com").await;
    assert_eq!(seen.ipv4, found(&[("192.0.2.1", Some(false))]));
    assert_eq!(seen.ipv6, found(&[("2001:db8::1", Some(false))]));
    assert!(matches!(seen.path, Path::NotTried { .. }), "{}", seen.path);
    let untold = OutlookSettings { edges: Vec::new(), ..settings(dns.address()) };
    let seen = look(&Outlook::new(untold).unwrap(), "a.example.com").await;
    assert_eq!(seen.ipv4, found(&[("192.0.2.1", None)]));
}

#[tokio::test]
async fn the_addresses_of_an_edges_host_are_the_edges() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.point("edge.platform.example", &[ip("192.0.2.9")]).await.unwrap();
    dns.alias("shop.example.com", "edge.platform.example").await.unwrap();
    let edge_hosts = vec![DomainName::parse("edge.platform.example").unwrap()];
    let by_host = OutlookSettings { edges: Vec::new(), edge_hosts, ..settings(dns.address()) };
    let outlook = Outlook::new(by_host).unwrap();
    let seen = look(&outlook, "shop.example.com").await;
    assert_eq!(seen.ipv4, found(&[("192.0.2.9", Some(true))]));
    assert_eq!(seen.aliases, ["edge.platform.example"]);
    // Nobody knows the edges: nobody says that an address is none.
    dns.forget("edge.platform.example").await.unwrap();
    dns.point("other.example.com", &[ip("192.0.2.8")]).await.unwrap();
    let seen = look(&outlook, "other.example.com").await;
    assert_eq!(seen.ipv4, found(&[("192.0.2.8", None)]));
}

#[tokio::test]
async fn what_the_name_servers_say_of_a_host_is_told() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.point("edge.platform.example", &[ip("192.0.2.9"), ip("2001:db8::9")]).await.unwrap();
    dns.forget("away.platform.example").await.unwrap();
    let outlook = Outlook::new(settings(dns.address())).unwrap();
    let told = async |host: &str| outlook.addresses(&DomainName::parse(host).unwrap()).await;
    let both = Looked::Found(vec![ip("192.0.2.9"), ip("2001:db8::9")]);
    assert_eq!(told("edge.platform.example").await, both);
    // Its other kind of record is not there.
    assert_eq!(told("app.platform.example").await, Looked::Found(vec![ip("127.0.0.1")]));
    assert!(matches!(told("away.platform.example").await, Looked::Unknown { .. }));
    dns.forget_default().await.unwrap();
    assert!(matches!(told("app.platform.example").await, Looked::Nothing { .. }));
}

#[tokio::test]
async fn no_record_and_no_answer_are_different_things() {
    let dns = ChallengeDns::start().await.unwrap();
    let outlook = Outlook::new(settings(dns.address())).unwrap();
    dns.forget("broken.example.com").await.unwrap();
    let seen = look(&outlook, "broken.example.com").await;
    assert!(matches!(&seen.ipv4, Looked::Unknown { .. }), "{:?}", seen.ipv4);
    assert!(matches!(&seen.caa, Looked::Unknown { .. }), "{:?}", seen.caa);

    dns.forget_default().await.unwrap();
    let seen = look(&outlook, "absent.example.com").await;
    assert_eq!((seen.ipv4, seen.ipv6), (absent(), absent()));

    // What was mended counts at once.
    dns.point("absent.example.com", &[ip("192.0.2.1")]).await.unwrap();
    let seen = look(&outlook, "absent.example.com").await;
    assert_eq!(seen.ipv4, found(&[("192.0.2.1", Some(false))]));
}

#[tokio::test]
async fn caa_records_count_from_the_closest_name_that_has_any() {
    let dns = ChallengeDns::start().await.unwrap();
    let outlook = Outlook::new(settings(dns.address())).unwrap();
    let caa = async |domain: &str| match look(&outlook, domain).await.caa {
        Looked::Found(CaaSet { at, records, .. }) => {
            let one = records.first().unwrap();
            Some((at, records.len(), format!("{} {}", one.tag, one.value)))
        }
        Looked::Nothing { .. } => None,
        Looked::Unknown { detail } => panic!("{detail}"),
    };
    assert_eq!(caa("a.b.example.com").await, None);
    dns.authorize("example.com", "issue", "ca.example; accounturi=https://ca/1").await.unwrap();
    let of = |at: &str, value: &str| Some((at.to_owned(), 1, value.to_owned()));
    let zone = of("example.com", "issue ca.example; accounturi=https://ca/1");
    assert_eq!(caa("a.b.example.com").await, zone);
    dns.authorize("b.example.com", "issuewild", ";").await.unwrap();
    assert_eq!(caa("a.b.example.com").await, of("b.example.com", "issuewild ;"));
    assert_eq!(caa("c.example.com").await, zone);

    // What the closest name says is not known: neither is what counts.
    dns.forget("b.example.com").await.unwrap();
    let seen = look(&outlook, "a.b.example.com").await;
    assert!(matches!(seen.caa, Looked::Unknown { .. }), "{:?}", seen.caa);
}

#[tokio::test]
async fn caa_records_of_an_aliass_target_are_told_with_the_name_they_stand_at() {
    let dns = ChallengeDns::start().await.unwrap();
    dns.alias("shop.example.com", "shops.host.example").await.unwrap();
    dns.authorize("shops.host.example", "issue", "other.example").await.unwrap();
    let outlook = Outlook::new(settings(dns.address())).unwrap();
    let Looked::Found(set) = look(&outlook, "shop.example.com").await.caa else { panic!() };
    assert_eq!(set.at, "shop.example.com");
    assert_eq!(set.stands_at.as_deref(), Some("shops.host.example"));
}

#[tokio::test]
async fn name_servers_that_do_not_answer_cost_no_more_than_the_time_there_is() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let quick = OutlookSettings {
        timeout: Span::from_millis(200),
        ..settings(silent.local_addr().unwrap())
    };
    let outlook = Outlook::new(quick).unwrap();
    let started = Instant::now();
    let seen = look(&outlook, "a.example.com").await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(matches!(seen.ipv4, Looked::Unknown { .. }), "{:?}", seen.ipv4);
    assert!(matches!(seen.ipv6, Looked::Unknown { .. }), "{:?}", seen.ipv6);
    assert!(matches!(seen.caa, Looked::Unknown { .. }), "{:?}", seen.caa);
    assert!(matches!(seen.path, Path::NotTried { .. }), "{}", seen.path);
}
