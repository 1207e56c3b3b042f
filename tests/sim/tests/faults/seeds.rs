//! Two thousand seeds, and again those that failed once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::path::PathBuf;

use sealwax_sim::{Plan, Report, run, run_seeds};

/// How many; `SEEDS=FROM..TO` runs others.
const SEEDS: std::ops::Range<u64> = 0..2_000;
const THREADS: usize = 2;

fn seeds() -> Vec<u64> {
    let asked = std::env::var("SEEDS").ok();
    let range = asked.map(|asked| {
        let (from, to) = asked.split_once("..").expect("SEEDS=FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    range.unwrap_or(SEEDS).collect()
}

/// Seeds that failed once: files named by them, which say why.
fn corpus() -> Vec<u64> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).unwrap();
    let seeds = files.filter_map(|file| file.unwrap().path().file_stem()?.to_str()?.parse().ok());
    seeds.collect()
}

/// `TRACE=1` notes each effect.
fn traced(seed: u64) -> Plan {
    Plan { traced: std::env::var_os("TRACE").is_some(), ..Plan::of(seed) }
}

fn assert_held(reports: &[Report]) {
    let failed: Vec<_> = reports.iter().filter(|report| !report.broken.is_empty()).collect();
    let stories = failed.iter().take(3).map(|report| run(traced(report.seed)).story());
    let stories: Vec<_> = stories.collect();
    let seeds: Vec<_> = failed.iter().map(|report| report.seed).collect();
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed: {seeds:?}\n{}",
        failed.len(),
        reports.len(),
        stories.join("\n")
    );
}

#[test]
fn the_invariants_hold_whatever_the_seed_does() {
    let reports = run_seeds(&seeds(), THREADS);
    if std::env::var_os("LIST").is_some() {
        for report in reports.iter().filter(|report| !report.broken.is_empty()) {
            println!("{} {}", report.seed, report.broken[0]);
        }
    }
    assert_held(&reports);
    if std::env::var_os("SEEDS").is_some() {
        return;
    }
    // The runs did something, and something was done to them.
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let count = u64::try_from(reports.len()).unwrap();
    assert!(sum(|report| report.certificates) > 4 * count);
    let trials = sum(|report| u64::try_from(report.trials).unwrap());
    assert!(trials > count, "{trials} trials");
    let recalled = sum(|report| u64::try_from(report.recalled).unwrap());
    assert!(recalled > count / 10, "{recalled} names of campaigns");
    println!(
        "{count} seeds: {} certificates, {} effects, {trials} trials, {} orders over a limit",
        sum(|report| report.certificates),
        sum(|report| report.effects),
        sum(|report| u64::try_from(report.refused.len()).unwrap()),
    );
    assert!(sum(|report| u64::try_from(report.notes.len()).unwrap()) > count);
}

#[test]
fn seeds_that_failed_once_hold() {
    let seeds = corpus();
    assert!(!seeds.is_empty(), "the corpus is there");
    assert_held(&run_seeds(&seeds, THREADS));
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..10 {
        let (one, other) = (run(Plan::of(seed)), run(Plan::of(seed)));
        assert_eq!((one.digest, one.notes), (other.digest, other.notes), "seed {seed}");
    }
    assert_ne!(run(Plan::of(1)).digest, run(Plan::of(2)).digest);
}
