//! The outcome, for people.

mod plot;

use std::fmt::Write as _;

use crate::outcome::{MARGINS, Outcome, Verdict};
use plot::{Area, Bars};

/// A summary in lines.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut lines = String::new();
    for (what, value) in rows(outcome) {
        // Writing to a string does not fail.
        writeln!(lines, "{what:<24} {value}").ok();
    }
    lines
}

/// A page with plots. Needs nothing from anywhere else.
#[must_use]
pub fn html(outcome: &Outcome) -> String {
    let mut table = String::new();
    for (what, value) in rows(outcome) {
        writeln!(table, "<tr><th>{}</th><td>{}</td></tr>", escaped(what), escaped(&value)).ok();
    }
    let orders = Area {
        title: "Orders in each hour",
        days: outcome.days,
        values: &outcome.orders_per_hour,
        line: Some((outcome.mean_per_hour, "mean")),
        scale: 1.0,
        unit: "",
    };
    let failures = Area {
        title: "Failed attempts in each hour",
        values: &outcome.failures_per_hour,
        line: None,
        ..orders
    };
    let budget = Area {
        title: "The account's new orders: used of the CA's limit",
        values: &outcome.budget_permille,
        line: Some((1000.0, "limit")),
        scale: 0.1,
        unit: " %",
        ..orders
    };
    let margins = Bars {
        title: "Renewals by the life that was left",
        values: &outcome.margins,
        labels: (0..MARGINS).map(|part| format!("{} %", part * 100 / MARGINS)).collect(),
    };
    let (verdict, colour) = match outcome.verdict() {
        Verdict::Held => ("held", "#1a7f37"),
        Verdict::Broken => ("broken", "#b3261e"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>sealwax simulate</title>\n<style>body{{font:15px/1.5 sans-serif;max-width:60rem;\
         margin:2rem auto;padding:0 1rem}}th{{text-align:left;padding-right:2rem;\
         font-weight:normal;color:#555}}svg{{width:100%;height:auto;margin:1rem 0}}</style></head>\n\
         <body><h1>{domains} domains, {days} days: <span style=\"color:{colour}\">{verdict}</span>\
         </h1>\n<table>\n{table}</table>\n{orders}{margins}{budget}{failures}</body></html>\n",
        domains = grouped(u64::from(outcome.domains)),
        days = outcome.days,
        orders = orders.svg(),
        margins = margins.svg(),
        budget = budget.svg(),
        failures = failures.svg(),
    )
}

fn rows(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("domains", grouped(u64::from(outcome.domains))),
        ("days", outcome.days.to_string()),
        ("seed", outcome.seed.to_string()),
        ("orders", grouped(outcome.orders)),
        ("certificates", grouped(outcome.certificates)),
        ("failed attempts", grouped(outcome.failed_attempts)),
        (
            "orders an hour",
            format!(
                "mean {:.1}, peak {}, peak to mean {:.2}",
                outcome.mean_per_hour, outcome.peak_per_hour, outcome.peak_to_mean
            ),
        ),
        ("longest queue", grouped(u64::try_from(outcome.backlog_max).unwrap_or(u64::MAX))),
        ("least life left", percent(outcome.margin_min_permille)),
        ("expired", grouped(outcome.expired)),
        ("limit violations", grouped(outcome.limit_violations)),
    ];
    for (limit, times) in &outcome.violations {
        rows.push(("  of the limit", format!("{limit}: {}", grouped(*times))));
    }
    if outcome.broken > 0 {
        rows.push(("broken names", grouped(outcome.broken)));
    }
    rows.push(("forgotten names", grouped(outcome.forgotten)));
    if let Some(imported) = outcome.imported {
        let (issued, of) = (grouped(imported.issued), grouped(imported.domains));
        let days = imported.hours / 24.0;
        rows.push(("imported", format!("{issued} of {of} issued, the last after {days:.1} days")));
    }
    if let Some(revoked) = outcome.revoked {
        let (replaced, of) = (grouped(revoked.replaced), grouped(revoked.certificates));
        let hours = revoked.hours;
        rows.push(("revoked", format!("{replaced} of {of} replaced, the last after {hours:.1} h")));
    }
    rows
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            domains: 1_234_567,
            days: 2,
            orders_per_hour: (0..48).collect(),
            failures_per_hour: vec![0; 48],
            budget_permille: vec![500; 48],
            mean_per_hour: 23.5,
            ..Outcome::default()
        }
    }

    #[test]
    fn the_summary_says_what_matters() {
        let text = text(&Outcome { expired: 3, ..outcome() });
        assert!(text.contains("1,234,567"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("expired") && line.ends_with('3')));
    }

    #[test]
    fn the_page_has_its_plots_and_needs_nothing_from_elsewhere() {
        let page = html(&outcome());
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("held"));
        for foreign in ["http:", "https:", "<script", "<link", "@import", "url("] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(foreign), "{foreign}");
        }
    }
}
