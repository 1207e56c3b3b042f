//! Load on one listener, from `wrk`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::programs::output;

/// The path that is asked for.
pub(super) const PATH: &str = "/articles/2027/01?page=2";
const CONNECTIONS: &str = "32";
const SECONDS: &str = "4";

/// What one run showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// Requests answered a second.
    pub(super) per_s: f64,
    /// Half of the requests were answered within this time.
    pub(super) p50_ms: f64,
    /// All but one in a hundred were.
    pub(super) p99_ms: f64,
}

/// One run: as many requests as 32 connections get answered in 4 seconds.
pub(super) async fn run(address: SocketAddr, host: &str) -> Result<Load> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", CONNECTIONS, "--duration", SECONDS]);
    command.args(["--latency", "--header", &format!("Host: {host}")]);
    command.arg(format!("http://{address}{PATH}"));
    let said = output(&mut command).await?;
    read(&said).with_context(|| said.clone())
}

fn read(said: &str) -> Result<Load> {
    ensure!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "requests failed");
    let after = |start: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(start));
        line.map(str::trim).with_context(|| format!("no line {start}"))
    };
    Ok(Load {
        per_s: after("Requests/sec:")?.parse()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Result<f64> {
    for (unit, milliseconds) in [("us", 0.001), ("ms", 1.0), ("s", 1_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * milliseconds);
        }
    }
    anyhow::bail!("{text} is no time")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 4s test @ http://127.0.0.1:1/\n  Latency Distribution\n     \
                        50%  500.00us\n     75%    1.10ms\n     99%    1.02s \n  \
                        100 requests in 4.00s\nRequests/sec:  32123.45\nTransfer/sec:      4.06MB\n";

    #[test]
    fn what_wrk_says_is_read() {
        let load = read(SAID).unwrap();
        assert_eq!(load, Load { per_s: 32_123.45, p50_ms: 0.5, p99_ms: 1_020.0 });
    }

    #[test]
    fn a_run_with_failed_requests_is_no_figure() {
        let failed = format!("{SAID}  Non-2xx or 3xx responses: 7\n");
        assert!(read(&failed).is_err());
        assert!(read("").is_err());
    }
}
