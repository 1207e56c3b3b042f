//! What the documents give Prometheus, held against Prometheus itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sealwax_testkit::{checkout, tool};
use serde_json::{Value, json};

use crate::plain::Plain;

const RULES: &str = "docs/monitoring/alerts.yaml";
/// Every minute of the eight hours the alerts are given.
const HOURS: &str = "8h";

fn promtool(arguments: &[&str], input: &str, folder: &Path) {
    let mut command = Command::new(tool("promtool").unwrap());
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{arguments:?}: {said}{error}");
}

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().unwrap().join(path)).unwrap()
}

fn alerts() -> BTreeSet<String> {
    let names = read(RULES);
    let names = names.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// A series over the eight hours, in promtool's notation.
fn series(name: &str, values: &str) -> Value {
    json!({"series": name, "values": values})
}

/// Everything that can be wrong, at once. Each line is there for one alert.
fn everything_wrong() -> Vec<Value> {
    [
        ("sealwax_certificates_remaining{within=\"expired\"}", "1x480"),
        ("sealwax_certificates_life_left{percent=\"25\"}", "11x480"),
        ("sealwax_renewals_overdue{since=\"more\"}", "11x480"),
        ("sealwax_due_late", "100x480"),
        ("sealwax_orders_total{issuer=\"ca\",outcome=\"placed\"}", "0+10x480"),
        ("sealwax_orders_total{issuer=\"ca\",outcome=\"failed\"}", "0+6x480"),
        (
            "sealwax_ca_errors_total{issuer=\"ca\",call=\"observe\",kind=\"misconfigured\"}",
            "0+1x480",
        ),
        (
            "sealwax_ca_errors_total{issuer=\"ca\",call=\"observe\",kind=\"rate_limited\"}",
            "0+1x480",
        ),
        ("sealwax_ca_budget_left{issuer=\"ca\",limit=\"orders\"}", "29x480"),
        ("sealwax_ca_budget{issuer=\"ca\",limit=\"orders\"}", "300x480"),
        ("sealwax_queue_oldest_seconds{lane=\"handshake\"}", "61x480"),
        ("sealwax_store_errors_total{call=\"write\",kind=\"unavailable\"}", "0+7x480"),
        ("sealwax_store_errors_total{call=\"write\",kind=\"throttled\"}", "0+1x480"),
        ("sealwax_edge_events_total{event=\"nack\"}", "0+1x480"),
        ("sealwax_edge_budget_used", "0.96x480"),
        ("sealwax_store_trusted", "0x480"),
        ("sealwax_edge_names_without_record", "11x480"),
        ("sealwax_withdrawals_held_back", "1x480"),
        ("sealwax_edges", "0x480"),
        ("sealwax_handshakes_held", "201x480"),
        ("sealwax_permission_seconds_count{answer=\"unknown\"}", "0+6x480"),
        ("sealwax_permission_seconds_count{answer=\"granted\"}", "0+5x480"),
        ("sealwax_census_timestamp_seconds", "0x480"),
        ("sealwax_campaign{state=\"running\"}", "1x480"),
        ("sealwax_campaign_late", "1x480"),
        ("sealwax_departures_held", "1x480"),
        ("sealwax_preflight_seconds_count{seen=\"unknown\"}", "0+6x480"),
        ("sealwax_preflight_seconds_count{seen=\"edge\"}", "0+5x480"),
        ("sealwax_notifications_total{outcome=\"failed\"}", "0+1x480"),
        ("sealwax_lifecycle_events_total{kind=\"notification.dropped\"}", "0+1x480"),
    ]
    .map(|(name, values)| series(name, &steady(values)))
    .into()
}

/// A quiet day, with a customer or two whose domains are broken.
fn all_well() -> Vec<Value> {
    [
        ("sealwax_build_info{version=\"1\"}", "1x480"),
        ("sealwax_certificates_remaining{within=\"expired\"}", "0x480"),
        ("sealwax_certificates_life_left{percent=\"25\"}", "10x480"),
        ("sealwax_renewals_overdue{since=\"more\"}", "10x480"),
        ("sealwax_due_late", "99x480"),
        ("sealwax_orders_total{issuer=\"ca\",outcome=\"placed\"}", "0+10x480"),
        ("sealwax_orders_total{issuer=\"ca\",outcome=\"failed\"}", "0+4x480"),
        ("sealwax_ca_errors_total{issuer=\"ca\",call=\"observe\",kind=\"misconfigured\"}", "3x480"),
        ("sealwax_ca_errors_total{issuer=\"ca\",call=\"observe\",kind=\"rate_limited\"}", "3x480"),
        ("sealwax_ca_budget_left{issuer=\"ca\",limit=\"orders\"}", "31x480"),
        ("sealwax_ca_budget{issuer=\"ca\",limit=\"orders\"}", "300x480"),
        ("sealwax_queue_oldest_seconds{lane=\"handshake\"}", "5x480"),
        ("sealwax_queue_oldest_seconds{lane=\"import\"}", "7200x480"),
        ("sealwax_store_errors_total{call=\"write\",kind=\"lost\"}", "0+70x480"),
        ("sealwax_edge_events_total{event=\"nack\"}", "2x480"),
        ("sealwax_edge_budget_used", "0.9x480"),
        ("sealwax_store_trusted", "1x480"),
        ("sealwax_edge_names_without_record", "3x480"),
        ("sealwax_withdrawals_held_back", "0x480"),
        ("sealwax_edges", "1x480"),
        ("sealwax_handshakes_held", "3x480"),
        ("sealwax_permission_seconds_count{answer=\"unknown\"}", "0+1x480"),
        ("sealwax_permission_seconds_count{answer=\"granted\"}", "0+5x480"),
        ("sealwax_census_timestamp_seconds", "0+60x480"),
        ("sealwax_campaign{state=\"running\"}", "1x480"),
        ("sealwax_campaign_late", "0x480"),
        ("sealwax_departures_held", "0x480"),
        ("sealwax_preflight_seconds_count{seen=\"unknown\"}", "0+1x480"),
        ("sealwax_preflight_seconds_count{seen=\"edge\"}", "0+5x480"),
        ("sealwax_notifications_total{outcome=\"failed\"}", "0+1x480"),
        ("sealwax_notifications_total{outcome=\"delivered\"}", "0+5x480"),
        ("sealwax_lifecycle_events_total{kind=\"notification.dropped\"}", "2x480"),
    ]
    .map(|(name, values)| series(name, &steady(values)))
    .into()
}

/// `5x480` as promtool wants it: it goes on from 5 by 0.
fn steady(values: &str) -> String {
    if values.contains('+') { values.to_owned() } else { values.replacen('x', "+0x", 1) }
}

fn fires(input: &[Value], names: &BTreeSet<String>) -> Value {
    let fired = |name| json!({"labels": format!("{{alertname=\"{name}\"}}"), "value": 1});
    json!({"interval": "1m", "input_series": input, "promql_expr_test": [{
        "expr": "group by (alertname) (ALERTS{alertstate=\"firing\"})",
        "eval_time": HOURS,
        "exp_samples": names.iter().map(fired).collect::<Vec<_>>(),
    }]})
}

#[test]
fn every_alert_fires_for_what_it_is_there_for_and_none_on_a_quiet_day() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), read(RULES)).unwrap();
    promtool(&["check", "rules", "alerts.yaml"], "", folder.path());
    assert!(alerts().len() > 18, "{:?}", alerts());
    // JSON is YAML.
    let tests = json!({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [
        fires(&everything_wrong(), &alerts()),
        fires(&all_well(), &BTreeSet::new()),
    ]});
    std::fs::write(folder.path().join("tests.yaml"), tests.to_string()).unwrap();
    promtool(&["test", "rules", "tests.yaml"], "", folder.path());
}

#[test]
fn every_question_of_the_grafana_dashboard_is_promql() {
    let dashboard: Value = serde_json::from_str(&read("docs/monitoring/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules: Vec<Value> = targets
        .enumerate()
        .map(|(number, target)| {
            // What Grafana puts in before it asks.
            let asked = target["expr"].as_str().unwrap();
            let asked = asked.replace("$job", ".*").replace("$__rate_interval", "5m");
            assert!(!asked.contains('$'), "{asked}");
            json!({"record": format!("panel:{number}"), "expr": asked})
        })
        .collect();
    assert!(rules.len() > 30, "{}", rules.len());
    let folder = tempfile::tempdir().unwrap();
    let file = json!({"groups": [{"name": "panels", "rules": rules}]});
    std::fs::write(folder.path().join("panels.yaml"), file.to_string()).unwrap();
    promtool(&["check", "rules", "panels.yaml"], "", folder.path());
}

#[tokio::test]
async fn prometheus_finds_no_fault_with_what_it_scrapes() {
    let plain = Plain::start("").await.unwrap();
    plain.admin().register("a.example.com").await.unwrap();
    let scraped = plain.admin().send("GET", "/metrics", "").await.unwrap().text();
    assert!(scraped.contains("sealwax_build_info"), "{scraped}");
    promtool(&["check", "metrics"], &scraped, plain.folder.path());
}
