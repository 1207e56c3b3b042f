use std::sync::{Arc, Mutex};

use sealwax_core::preflight::{Address, Findings, Looked, Path, Preflight};
use sealwax_core::store::Store;
use sealwax_core::{Cause, Failure, Timestamp};
use sealwax_protocol::DomainName;

use super::*;
use crate::metrics::tests::{Stores, change, name, stores, value};
use crate::trail::Trail;

/// Sees what it was told to, once each.
struct Looks(Mutex<Vec<Option<Findings>>>);

#[async_trait::async_trait]
impl Preflight for Looks {
    async fn look(&self, _domain: &DomainName, _now: Timestamp) -> Option<Findings> {
        self.0.lock().unwrap().remove(0)
    }
}

fn findings(path: Path, ipv4: Looked<Vec<Address>>) -> Findings {
    let nothing = || "no such record".to_owned();
    Findings {
        at: Timestamp::from_secs(0),
        ipv4,
        ipv6: Looked::Nothing { said: nothing() },
        aliases: Vec::new(),
        caa: Looked::Nothing { said: nothing() },
        path,
        also: Vec::new(),
        vantage_proven: false,
    }
}

#[tokio::test]
async fn looks_are_counted_by_what_they_saw_and_orders_held_back_by_cause() {
    let (from, words) = ("192.0.2.1".parse().unwrap(), || "said".to_owned());
    let gone = || Looked::Nothing { said: words() };
    let untried = || Path::NotTried { why: words() };
    let seen = vec![
        Some(findings(Path::Answered { from, redirects: 0 }, gone())),
        Some(findings(Path::Elsewhere { from, detail: words(), withheld: false }, gone())),
        Some(findings(Path::Unreachable { detail: words() }, gone())),
        Some(findings(untried(), gone())),
        Some(findings(untried(), Looked::Unknown { detail: words() })),
        None,
    ];
    let (metrics, trail) = (Metrics::new(), Trail::default());
    let looks = Arc::new(Looks(Mutex::new(seen)));
    let preflight = MeteredPreflight::new(looks, metrics.clone(), trail.clone());
    for _ in 0..6 {
        preflight.look(&name("a.example.com"), Timestamp::from_secs(5)).await;
    }
    for seen in ["edge", "elsewhere", "unreachable", "no_address", "unknown", "nothing"] {
        let series = format!("sealwax_preflight_seconds_count{{seen=\"{seen}\"}}");
        assert_eq!(value(&metrics, &series), Some(1.0), "{seen}");
    }
    let steps = trail.woven_into(&name("a.example.com"), Vec::new());
    assert!(steps.iter().all(|step| step.kind == "preflight.seen") && steps.len() > 3);

    let Stores { metrics, store, .. } = stores();
    let failed = |domain: &str, kind: &str| {
        let mut change = change(domain, kind);
        change.record.failure = Some(Failure {
            cause: Cause::ChallengeWrong,
            detail: String::new(),
            attempts: 1,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: None,
            refused: true,
        });
        change
    };
    store.write(failed("a.example.com", "preflight.seen")).await.unwrap();
    // A CA refused this one.
    store.write(failed("b.example.com", "attempt.failed")).await.unwrap();
    let held = "sealwax_preflight_held_total{cause=\"challenge_wrong\"}";
    assert_eq!(value(&metrics, held), Some(1.0));
}
