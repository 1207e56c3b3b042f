//! Pebble, and the DNS server it validates against.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tls::client_trusting;
use crate::{LoopbackPki, PATIENCE, Port, Process, http, tool};

/// Answers every name with 127.0.0.1 (pebble-challtestsrv).
#[derive(Debug)]
pub struct ChallengeDns {
    _process: Process,
    _folder: TempDir,
    port: Port,
    management: Port,
}

impl ChallengeDns {
    /// Starts it.
    ///
    /// # Errors
    /// The program is missing or does not come up.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, management) = (Port::free()?, Port::free()?);
        let program = tool("pebble-challtestsrv")?;
        // Debian's 2.4.0 has another name for the DNS flag, and no DNS over HTTPS.
        let help = Command::new(&program).arg("-help").output()?.stderr;
        let old = String::from_utf8_lossy(&help).contains("-dns01 ");
        let arrange = |command: &mut Command| {
            command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
            command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
            if !old {
                command.args(["-doh", ""]);
            }
            command.arg(if old { "-dns01" } else { "-dnsserver" }).arg(port.address().to_string());
            command.arg("-management").arg(management.address().to_string());
        };
        let log = folder.path().join("challtestsrv.log");
        let mut process = Process::start("pebble-challtestsrv", &program, &log, arrange)?;
        let listening = async |_: &str| {
            // DNS is served over TCP too; that one can be looked at.
            tokio::net::TcpStream::connect(port.address()).await?;
            Ok(tokio::net::TcpStream::connect(management.address()).await?)
        };
        process.ready("listen", PATIENCE, listening).await?;
        Ok(Self { _process: process, _folder: folder, port, management })
    }

    /// Where DNS is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where its answers are changed: `/set-servfail`, `/clear-servfail` (pebble-challtestsrv).
    #[must_use]
    pub const fn management(&self) -> SocketAddr {
        self.management.address()
    }

    /// From now on `domain` has no address.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn forget(&self, domain: &str) -> Result<()> {
        self.manage("/set-servfail", domain).await
    }

    /// It has one again.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn remember(&self, domain: &str) -> Result<()> {
        self.manage("/clear-servfail", domain).await
    }

    /// From now on `domain` has these addresses and no other; none: 127.0.0.1 again.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn point(&self, domain: &str, addresses: &[IpAddr]) -> Result<()> {
        let host = format!("{domain}.");
        for path in ["/clear-a", "/clear-aaaa"] {
            self.post(path, &json!({ "host": host })).await?;
        }
        for (path, v4) in [("/add-a", true), ("/add-aaaa", false)] {
            let of: Vec<_> = addresses.iter().filter(|ip| ip.is_ipv4() == v4).collect();
            if !of.is_empty() {
                self.post(path, &json!({ "host": host, "addresses": of })).await?;
            }
        }
        Ok(())
    }

    /// From now on names without addresses of their own have none.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn forget_default(&self) -> Result<()> {
        self.post("/set-default-ipv4", &json!({ "ip": "" })).await
    }

    /// From now on `domain` is another name for `target`.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn alias(&self, domain: &str, target: &str) -> Result<()> {
        let (host, target) = (format!("{domain}."), format!("{target}."));
        self.post("/set-cname", &json!({ "host": host, "target": target })).await
    }

    /// From now on `domain` has this CAA record.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn authorize(&self, domain: &str, tag: &str, value: &str) -> Result<()> {
        let policies = json!([{ "tag": tag, "value": value }]);
        self.post("/add-caa", &json!({ "host": format!("{domain}."), "policies": policies })).await
    }

    async fn manage(&self, path: &str, domain: &str) -> Result<()> {
        self.post(path, &json!({ "host": format!("{domain}."), "rcode": "SERVFAIL" })).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let request = http::request("POST", path, "localhost", body.to_string())?;
        let response = http::send(self.management.address(), request).await?;
        ensure!(response.status == 200, "{path}: {}", response.status);
        Ok(())
    }
}

/// How Pebble behaves.
#[derive(Clone, Debug)]
pub struct PebbleSettings {
    /// Where it looks for http-01 answers.
    pub validation_port: u16,
    /// How long its certificates are valid.
    pub validity: Duration,
    /// Out of 100 good nonces, how many it refuses; its own default is 5.
    pub nonces_refused_percent: u8,
    /// Out of 100 orders, how many start with an authorization that is still valid.
    pub authorizations_reused_percent: u8,
    /// It takes every challenge for answered and looks at none.
    pub believing: bool,
}

impl PebbleSettings {
    /// As hostile as Pebble is by default, except that each order is validated.
    #[must_use]
    pub const fn validating_at(validation_port: u16) -> Self {
        Self {
            validation_port,
            validity: Duration::from_secs(90 * 86_400),
            nonces_refused_percent: 5,
            authorizations_reused_percent: 0,
            believing: false,
        }
    }

    /// As it is by default, except that it believes everything: for what is not about validation.
    #[must_use]
    pub const fn believing() -> Self {
        Self { believing: true, ..Self::validating_at(9) }
    }
}

/// A running ACME certificate authority.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    folder: TempDir,
    port: Port,
    management: Port,
    pki: LoopbackPki,
    root_pem: String,
    dns: ChallengeDns,
    settings: PebbleSettings,
}

impl Pebble {
    /// Starts it with a DNS server of its own.
    ///
    /// # Errors
    /// The programs are missing or do not come up.
    pub async fn start(settings: PebbleSettings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, management) = (Port::free()?, Port::free()?);
        let pki = LoopbackPki::generate()?;
        let dns = ChallengeDns::start().await?;
        std::fs::write(folder.path().join("root.pem"), &pki.root_pem)?;
        std::fs::write(folder.path().join("certificate.pem"), &pki.certificate_pem)?;
        std::fs::write(folder.path().join("key.pem"), &pki.key_pem)?;
        let config = config(&settings, &port, &management);
        std::fs::write(folder.path().join("pebble.json"), config.to_string())?;
        let process = spawn(&folder, &settings, &dns)?;
        let mut pebble =
            Self { process, folder, port, management, pki, root_pem: String::new(), dns, settings };
        pebble.await_ready().await?;
        Ok(pebble)
    }

    /// Stops it, as if the certificate authority were unreachable. Its memory is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Where its ACME directory is.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Its ACME directory as seen through a proxy at `address`. The URLs in it are relative to how
    /// it was asked for, so all of the conversation goes through the proxy.
    #[must_use]
    pub fn directory_at(&self, address: SocketAddr) -> String {
        format!("https://localhost:{}/dir", address.port())
    }

    /// Where it serves ACME.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The root its own TLS certificate chains to, as a file.
    #[must_use]
    pub fn tls_root_file(&self) -> std::path::PathBuf {
        self.folder.path().join("root.pem")
    }

    pub(crate) const fn pki(&self) -> &LoopbackPki {
        &self.pki
    }

    /// The root of what it issues, PEM. A new one each time Pebble starts.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Its DNS server.
    #[must_use]
    pub const fn dns(&self) -> &ChallengeDns {
        &self.dns
    }

    /// Orders placed since it started.
    #[must_use]
    pub fn orders(&self) -> usize {
        // The line counts what its database holds, and nothing leaves it.
        let counts = self.process.log();
        counts.lines().filter(|line| line.contains(" orders in the db")).count()
    }

    /// Certificates issued since it started.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.process.log().matches("Issued certificate serial").count()
    }

    /// Authorizations that came to an end since it started, by a validation that succeeded.
    #[must_use]
    pub fn validated(&self) -> usize {
        self.process.log().matches("set VALID by completed challenge").count()
    }

    /// Accounts made since it started.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.process.log().lines().filter(|line| line.contains(" accounts in memory")).count()
    }

    /// The path that it fetches, or tried to, for the last challenge of `domain`.
    #[must_use]
    pub fn challenge_path(&self, domain: &str) -> Option<String> {
        let log = self.process.log();
        let start = format!("Attempting to validate w/ HTTP: http://{domain}:");
        let rest = log.lines().rev().find_map(|line| line.split_once(&start))?.1;
        rest.split_once('/').map(|(_, path)| format!("/{}", path.trim()))
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    async fn await_ready(&mut self) -> Result<()> {
        let (port, management) = (&self.port, &self.management);
        let pki = &self.pki;
        let ready = async |_: &str| {
            let directory = get(pki, port, "/dir").await?;
            let root = get(pki, management, "/roots/0").await?;
            ensure!(directory.status == 200 && root.status == 200, "no directory or no root");
            Ok(root.text())
        };
        self.root_pem = self.process.ready("answer", PATIENCE, ready).await?;
        Ok(())
    }

    /// Starts it again after [`Pebble::kill`], on the same ports, with nothing remembered.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = spawn(&self.folder, &self.settings, &self.dns)?;
        self.await_ready().await
    }
}

async fn get(pki: &LoopbackPki, port: &Port, path: &str) -> Result<http::Response> {
    let tls = client_trusting(&pki.root_pem)?;
    let request = http::request("GET", path, "localhost", String::new())?;
    http::send_tls(port.address(), "localhost", tls, request).await
}

fn spawn(folder: &TempDir, settings: &PebbleSettings, dns: &ChallengeDns) -> Result<Process> {
    let program = tool("pebble")?;
    let log = folder.path().join("pebble.log");
    Process::start("pebble", &program, &log, |command| {
        command.current_dir(folder.path()).args(["-config", "pebble.json"]);
        command.arg("-dnsserver").arg(dns.address().to_string());
        command.env("PEBBLE_VA_NOSLEEP", "1");
        if settings.believing {
            command.env("PEBBLE_VA_ALWAYS_VALID", "1");
        }
        command.env("PEBBLE_WFE_NONCEREJECT", settings.nonces_refused_percent.to_string());
        command.env("PEBBLE_AUTHZREUSE", settings.authorizations_reused_percent.to_string());
    })
    .context("Pebble")
}

fn config(settings: &PebbleSettings, port: &Port, management: &Port) -> Value {
    let validity_s = settings.validity.as_secs();
    // Said as a number or as a date, by chance; Caddy 2.6 waits for ever on a date.
    let retry_after = if settings.believing { 0 } else { 1 };
    json!({ "pebble": {
        "listenAddress": port.address().to_string(),
        "managementListenAddress": management.address().to_string(),
        "certificate": "certificate.pem",
        "privateKey": "key.pem",
        "httpPort": settings.validation_port,
        // Nothing answers tls-alpn-01 here.
        "tlsPort": 9,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "keyAlgorithm": "ecdsa",
        // How soon a client may look at an order again, in seconds.
        "retryAfter": { "authz": retry_after, "order": retry_after },
        "profiles": { "default": { "description": "default", "validityPeriod": validity_s } },
        // What Debian's 2.4.0 reads instead of profiles.
        "certificateValidityPeriod": validity_s,
    }})
}
