//! `sealwax simulate`

use std::path::Path;

use sealwax_core::Span;
use sealwax_simulation::{
    Era, Import, Outage, Outcome as Simulated, Preset, Revocation, RunError, Scenario, Start,
    Verdict, html, run as simulate, text,
};

use super::arguments::Simulate;
use super::exit::{FAILED, Failed, Outcome};
use super::output::{Output, remark, say, stderr_is_terminal};

pub(super) fn run(output: &mut Output, asked: &Simulate) -> Outcome {
    let scenario = scenario(asked);
    let days = scenario.days;
    let progress = stderr_is_terminal();
    let ran = simulate(&scenario, |day| {
        if progress {
            say(&format!("\rday {day} of {days}"));
        }
    });
    if progress {
        say("\r\u{1b}[K");
    }
    let simulated = ran.map_err(|error| {
        let wrong = matches!(error, RunError::Scenario(_));
        if wrong { Failed::usage(error.to_string()) } else { Failed::new(error.to_string()) }
    })?;
    if let Some(path) = &asked.html {
        write_page(path, &simulated)?;
    }
    if output.json {
        output.value(&simulated)?
    } else {
        output.text(&text(&simulated))?
    }
    match simulated.verdict() {
        Verdict::Held => Ok(()),
        Verdict::Broken => Err(Failed::said(FAILED)),
    }
}

fn write_page(path: &Path, simulated: &Simulated) -> Outcome {
    let written = std::fs::write(path, html(simulated));
    written.map_err(|error| Failed::new(format!("{}: {error}", path.display())))?;
    remark(&format!("wrote {}", path.display()));
    Ok(())
}

fn scenario(asked: &Simulate) -> Scenario {
    let mut scenario = Scenario::preset(asked.scenario, asked.domains, asked.days);
    scenario.seed = asked.seed;
    scenario.broken_permille = u64::from(asked.broken) * 10;
    scenario.outages.extend(&asked.ca_outage);
    if asked.together {
        scenario.start = Start::Together;
    }
    if !asked.life.is_empty() {
        scenario.eras.clone_from(&asked.life);
    }
    scenario.import = asked.import.or(scenario.import);
    scenario.revocation = asked.revoke.or(scenario.revocation);
    scenario
}

/// `steady`, `import`, …
pub(super) fn preset(text: &str) -> Result<Preset, String> {
    let words = Preset::ALL.map(Preset::as_str).join(", ");
    let preset = Preset::ALL.into_iter().find(|preset| preset.as_str() == text);
    preset.ok_or_else(|| format!("allowed: {words}"))
}

/// `30d..32d`
pub(super) fn outage(text: &str) -> Result<Outage, String> {
    let read = text.split_once("..").and_then(|(from, to)| Some((span(from)?, span(to)?)));
    let (from, to) = read.ok_or("FROM..TO, each such as 30d or 720h")?;
    if from >= to {
        return Err("it has to end after it begins".to_owned());
    }
    Ok(Outage { from, to })
}

/// `90d`, `45d@120d`
pub(super) fn era(text: &str) -> Result<Era, String> {
    let (life, from) = text.split_once('@').unwrap_or((text, "0d"));
    let read = span(life).and_then(|life| Some(Era { from: span(from)?, life }));
    read.ok_or_else(|| "LIFE or LIFE@FROM, each such as 45d or 160h".to_owned())
}

/// `50000@30d`
pub(super) fn import(text: &str) -> Result<Import, String> {
    let read = text
        .split_once('@')
        .and_then(|(domains, at)| Some(Import { domains: domains.parse().ok()?, at: span(at)? }));
    read.ok_or_else(|| "DOMAINS@WHEN, such as 50000@30d".to_owned())
}

/// `20@30d`
pub(super) fn revocation(text: &str) -> Result<Revocation, String> {
    let read = text.split_once('@').and_then(|(percent, at)| {
        let percent: u64 = percent.trim_end_matches('%').parse().ok()?;
        Some(Revocation { permille: percent.checked_mul(10)?, at: span(at)? })
    });
    let read = read.filter(|revocation| revocation.permille <= 1000);
    read.ok_or_else(|| "PERCENT@WHEN, such as 20@30d".to_owned())
}

fn span(text: &str) -> Option<Span> {
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(number), _) => (number, 86_400),
        (None, Some(number)) => (number, 3_600),
        (None, None) => (text, 86_400),
    };
    let number: u32 = number.parse().ok()?;
    Some(Span::from_secs(u64::from(number) * unit))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::arguments::{Arguments, Command};
    use super::*;

    const DAY: Span = Span::from_secs(86_400);

    fn ends(words: &[&str]) -> Outcome {
        let words = ["sealwax", "simulate"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let Command::Simulate(asked) = arguments.command else { panic!("another command") };
        run(&mut Output::new(arguments.json, std::io::sink()), &asked)
    }

    #[test]
    fn a_fleet_is_run_and_its_page_written() {
        let page = std::env::temp_dir().join(format!("simulate-{}.html", std::process::id()));
        let path = page.to_str().unwrap();
        assert_eq!(ends(&["--domains", "300", "--days", "10", "--html", path]), Ok(()));
        let written = std::fs::read_to_string(&page).unwrap();
        std::fs::remove_file(&page).unwrap();
        assert!(written.contains("<svg") && written.contains("300 domains, 10 days"));
    }

    #[test]
    fn what_expires_ends_it_with_1_and_nonsense_with_2() {
        let outage = ["--domains", "50", "--days", "20", "--life", "6d", "--ca-outage", "1d..19d"];
        assert_eq!(ends(&outage), Err(Failed::said(FAILED)));
        assert_eq!(ends(&["--domains", "0"]).unwrap_err().code, super::super::exit::USAGE);
    }

    #[test]
    fn moments_are_read_in_days_and_hours() {
        let (from, to) = (DAY.scale(30, 1), DAY.scale(32, 1));
        assert_eq!(outage("30d..32d"), Ok(Outage { from, to }));
        assert_eq!(outage("30..768h"), Ok(Outage { from, to }));
        assert_eq!(era("45d@120d"), Ok(Era { from: DAY.scale(120, 1), life: DAY.scale(45, 1) }));
        assert_eq!(import("50000@1"), Ok(Import { at: DAY, domains: 50_000 }));
        assert_eq!(revocation("20%@1d"), Ok(Revocation { at: DAY, permille: 200 }));
        for wrong in ["", "30d", "32d..30d", "a..b", "1d..2w"] {
            assert!(outage(wrong).is_err(), "{wrong}");
        }
        assert!(revocation("101@1d").is_err() && import("1").is_err() && era("d").is_err());
    }
}
