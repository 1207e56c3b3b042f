//! What the filter costs is what is recorded and what the documentation says.

use sealwax_filter_tests::cost::{OFF_PERCENT_MAX, baseline, measure};

use crate::support::program;

const DOCUMENT: &str = include_str!("../../../../docs/filter.md");
/// Fewer than `make bench` takes, and past what fills every cache.
const HOSTS: u32 = 3_000;

#[test]
fn no_figure_is_off_its_baseline() {
    let baseline = baseline().unwrap();
    let measured = measure(program(), HOSTS).unwrap();
    assert_eq!(measured.len(), baseline.len());
    for cost in measured {
        let recorded = baseline[cost.name].as_u64().unwrap();
        assert!(
            !cost.is_worse_than(recorded),
            "{}: {}, more than {OFF_PERCENT_MAX} % above the recorded {recorded}",
            cost.name,
            cost.value
        );
        assert!(
            !cost.is_better_than(recorded),
            "{}: {}, recorded {recorded}: `filter-fuel --write-baseline` records the better one",
            cost.name,
            cost.value
        );
    }
}

#[test]
fn the_document_says_what_is_recorded() {
    let baseline = baseline().unwrap();
    for (name, what) in [
        ("filter.fuel_bypass", "| a request that passes, its domain's verdict cached | # |"),
        ("filter.fuel_redirect", "| a redirect from the cache | # |"),
        ("filter.fuel_challenge", "| a challenge answered from the cache | # |"),
        (
            "filter.fuel_miss",
            "| a request for an unseen domain, its callout and its redirect | # |",
        ),
        ("filter.module_bytes", "The module has # bytes"),
    ] {
        let line = what.replace('#', &grouped(baseline[name].as_u64().unwrap()));
        assert!(DOCUMENT.contains(&line), "docs/filter.md does not say: {line}");
    }
    assert_eq!(baseline["filter.growth_1m_hosts_bytes"], 0, "the document says: no memory");
}

/// 12345 as 12,345.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
