//! A firewall forgets the connections to the CA: they stay open, and nothing gets through.

use std::sync::Arc;
use std::time::Duration;

use sealwax_testkit::{Line, LineSettings, PATIENCE, TestClock};
use tokio::time::Instant;

const DOMAIN: &str = "after.example.com";

/// What a name met that was asked for just when the connections went silent.
#[derive(Debug)]
struct Met {
    /// When the connection was given up.
    given_up: Duration,
    /// When there was a certificate.
    issued: Duration,
    /// All orders at the CA.
    orders: usize,
}

/// `bent`: the CA speaks HTTP/1.1, else HTTP/2.
async fn met(bent: bool) -> Met {
    let settings = LineSettings { bent, ..LineSettings::default() };
    let mut line = Line::start(settings).await.unwrap();
    let clock = Arc::new(TestClock::new().unwrap());
    line.control_plane.set_clock(&clock);
    line.control_plane.restart().await.unwrap();
    let admin = line.control_plane.admin();
    for domain in ["before.example.com", DOMAIN] {
        admin.register(domain).await.unwrap();
    }
    line.control_plane.edge().ask("before.example.com").await.unwrap();
    admin.await_state("before.example.com", "issued", PATIENCE).await.unwrap();

    line.to_ca.freeze();
    let asked = Instant::now();
    line.control_plane.edge().ask(DOMAIN).await.unwrap();
    let (step, pause) = (Duration::from_millis(250), Duration::from_millis(20));
    let until = async |state: &str| {
        while admin.show(DOMAIN).await.unwrap()["state"] != state {
            assert!(clock.ahead() < Duration::from_secs(90), "{}", line.control_plane.log());
            clock.pass(step, step, pause).await.unwrap();
        }
        asked.elapsed() + clock.ahead()
    };
    let (given_up, issued) = (until("deferred").await, until("issued").await);
    Met { given_up, issued, orders: line.pebble.orders() }
}

#[tokio::test]
async fn connections_to_the_ca_that_went_silent_are_given_up_and_used_no_more() {
    let (http2, http1) = tokio::join!(met(false), met(true));
    // Asked every ten seconds, an HTTP/2 connection has five to answer; a request has thirty.
    let soon = |met: &Met, secs| met.given_up < Duration::from_secs(secs) && met.orders == 2;
    assert!(soon(&http2, 20) && soon(&http1, 35), "{http2:?} {http1:?}");
    let again = |met: &Met| met.issued - met.given_up < Duration::from_secs(30);
    assert!(again(&http2) && again(&http1), "{http2:?} {http1:?}");
}
