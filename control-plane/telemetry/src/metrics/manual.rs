//! The manual of every metric, written from the table the registry is made from.

use super::names::{ALL, Kind};

const HEAD: &str = "\
# Metrics

`GET /metrics` on the admin listener, in Prometheus' text format. It wants the admin token where
there is one (scope `read`); Prometheus sends it with `authorization.credentials_file`:

```yaml
scrape_configs:
- job_name: sealwax
  authorization: {credentials_file: /etc/prometheus/sealwax-token}
  static_configs: [{targets: [127.0.0.1:18002]}]
```

No label has a value that comes from the network, so a million domains make no more series than
ten do. What is wrong with one domain, `sealwax explain` tells.

Figures of the whole fleet come from a census: the process reads all records, a page at a time, at
`[telemetry] census_rate` records a second (a first time ten times as fast), rests for ten seconds
and starts again. Each replica counts the whole fleet, so take the maximum over replicas and not
the sum. Everything else is about the one process.

[monitoring/grafana.json](monitoring/grafana.json) is a dashboard for Grafana,
[monitoring/alerts.yaml](monitoring/alerts.yaml) holds alert rules for Prometheus. The filter in
Envoy has [metrics of its own](filter.md#metrics).

<!-- Written by `sealwax docs metrics`; do not edit. -->

| metric | kind | labels | what |
|---|---|---|---|
";

/// The metrics manual in Markdown: what `docs/metrics.md` holds.
#[must_use]
pub fn manual() -> String {
    let mut text = HEAD.to_owned();
    for described in ALL {
        let kind = match described.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<_> = described.labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!(
            "| `{}` | {kind} | {} | {} |\n",
            described.name,
            labels.join(", "),
            described.about
        ));
    }
    text
}
