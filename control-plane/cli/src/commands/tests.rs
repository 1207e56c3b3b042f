use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::CommandFactory as _;
use sealwax_core::Clock;
use sealwax_core::store::Store;
use sealwax_core::testing::ManualClock;
use sealwax_store::memory::MemoryStore;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::exit::{DONE, FAILED, NOT_FOUND, USAGE};
use super::*;
use sealwax_admin::{AdminApi, Token, Tokens};
use sealwax_registry::testing::Heard;
use sealwax_registry::{Announcer, Registry, Rules};
use sealwax_telemetry::feed::Feed;
use sealwax_web::{Connections, serve};

mod imports;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A control plane's admin API on a port of its own, until dropped.
struct World {
    server: String,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world(token: Option<&str>) -> World {
    let clock = ManualClock::at_secs(1_767_225_600) as Arc<dyn Clock>;
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let certificates =
        sealwax_registry::testing::over(Arc::clone(&store) as Arc<dyn Store>, &clock);
    let store = store as Arc<dyn Store>;
    let heard = Arc::new(Heard::default()) as Arc<dyn Announcer>;
    let registry = Registry::new(store, clock, heard, Rules::default());
    let tokens = token.map(|token| Arc::new(Tokens::one(Token::new(token).unwrap())));
    let feed = Feed::new(sealwax_core::Timestamp::from_secs(0));
    let api = AdminApi { tokens, ..sealwax_admin::testing::api(registry, certificates, feed) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, api.router(), Connections::default(), stop.clone()));
    World { server, stop }
}

impl World {
    /// Runs a command; its status and what it printed.
    async fn run(&self, line: &str) -> (u8, String) {
        self.run_with(&line.split(' ').collect::<Vec<_>>()).await
    }

    async fn run_with(&self, words: &[&str]) -> (u8, String) {
        let server = ["sealwax", "--server", &self.server];
        let words = server.iter().chain(words);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let printed = Shared::default();
        let mut output = Output::new(arguments.json, printed.clone());
        let ended = run(arguments, &mut output).await;
        let code = ended.map_or_else(|failed| failed.code, |()| DONE);
        let bytes = printed.0.lock().unwrap().clone();
        (code, String::from_utf8(bytes).unwrap())
    }
}

fn file(name: &str, text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("sealwax-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_grammar_holds_together() {
    Arguments::command().debug_assert();
}

#[test]
fn wrong_usage_is_status_2_and_help_is_0() {
    let code = |words: &[&str]| {
        let error = Arguments::try_parse_from(words).unwrap_err();
        if error.use_stderr() { USAGE } else { DONE }
    };
    assert_eq!(code(&["sealwax", "domain", "add"]), USAGE);
    assert_eq!(code(&["sealwax", "domain", "list", "--state", "odd"]), USAGE);
    assert_eq!(code(&["sealwax", "envoy", "bootstrap", "--origin", "app"]), USAGE);
    assert_eq!(code(&["sealwax", "domain", "list", "--help"]), DONE);
}

#[tokio::test]
async fn domains_are_added_shown_listed_and_removed() {
    let world = world(None).await;
    let (code, printed) = world.run("domain add a.example.com b.example.com --tenant t1").await;
    assert_eq!(code, DONE);
    assert!(printed.starts_with("DOMAIN         STATE    EXPIRES  RENEWS  TENANT  PROBLEM\n"));
    assert!(printed.contains("b.example.com  pending  -        -       t1      -"), "{printed}");
    let (code, printed) = world.run("domain show bücher.example").await;
    assert_eq!((code, printed.as_str()), (NOT_FOUND, ""));
    let (code, printed) = world.run("domain list --tenant t1 --json").await;
    assert_eq!((code, printed.lines().count()), (DONE, 2));
    let record: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    assert_eq!(record["state"], "pending");
    assert_eq!(world.run("domain remove a.example.com").await.0, DONE);
    assert_eq!(world.run("domain remove a.example.com b.example.com").await.0, NOT_FOUND);
    assert_eq!(world.run("domain list --json").await, (DONE, String::new()));
}

#[tokio::test]
async fn a_list_goes_on_over_pages_up_to_its_limit() {
    let world = world(None).await;
    let names: String = (0..700).map(|index| format!("d{index}.example.com\n")).collect();
    let path = file("pages", &names);
    let (code, printed) = world.run_with(&["domain", "import", path.to_str().unwrap()]).await;
    let said = "700 registered, 0 were registered already, 0 failed\n";
    assert_eq!((code, printed.as_str()), (DONE, said));
    assert_eq!(world.run("domain list --json --limit 9999").await.1.lines().count(), 700);
    assert_eq!(world.run("domain list --json --limit 650").await.1.lines().count(), 650);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_import_tells_failures_by_line_and_goes_on_where_told() {
    let world = world(None).await;
    let text =
        "# mine\na.example.com\n\n1.2.3.4\n{\"domain\":\"b.example.com\",\"tenant\":\"x\"}\n";
    let path = file("lines", text);
    let path = path.to_str().unwrap();
    let (code, printed) = world.run_with(&["domain", "import", path, "--json"]).await;
    assert_eq!(code, FAILED);
    let lines: Vec<u64> = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [2, 4, 5]);
    let (code, printed) = world.run_with(&["domain", "import", path, "--from-line", "5"]).await;
    assert_eq!(code, DONE);
    assert_eq!(printed, "0 registered, 1 were registered already, 0 failed\n");
    let (_, printed) = world.run("domain show b.example.com --json").await;
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["tenant"], "x");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn renewing_says_why_not() {
    let world = world(None).await;
    assert_eq!(world.run("domain renew a.example.com").await.0, NOT_FOUND);
    world.run("domain add a.example.com").await;
    assert_eq!(world.run("domain renew a.example.com").await.0, DONE);
}

#[tokio::test]
async fn explain_is_made_for_people() {
    let world = world(None).await;
    world.run("domain add a.example.com").await;
    let (code, printed) = world.run("explain a.example.com").await;
    assert_eq!(code, DONE);
    assert!(printed.starts_with("a.example.com is registered and has no certificate yet.\n"));
    assert!(printed.contains("What happens next\n  A certificate is issued when the first"));
    assert!(printed.contains("2026-01-01T00:00:00Z  registered"), "{printed}");
}

#[tokio::test]
async fn the_token_comes_from_its_file() {
    let world = world(Some("0123456789abcdef")).await;
    assert_eq!(world.run("domain list").await.0, FAILED);
    let path = file("token", "0123456789abcdef\n");
    let words = ["--token-file", path.to_str().unwrap(), "domain", "list"];
    assert_eq!(world.run_with(&words).await.0, DONE);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(world.run_with(&words).await.0, USAGE);
}

#[tokio::test]
async fn a_control_plane_that_is_away_is_said_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let words = ["sealwax", "--server", &server, "domain", "list"];
    let arguments = Arguments::try_parse_from(words).unwrap();
    let failed = run(arguments, &mut Output::new(false, io::sink())).await.unwrap_err();
    assert_eq!(failed.code, FAILED);
    assert!(failed.message.contains("Is `sealwax serve` running there?"), "{failed}");
}

#[tokio::test]
async fn the_bootstrap_follows_the_configuration() {
    let world = world(None).await;
    let text = "[xds]\nlisten = \"127.0.0.1:7001\"\n[issuance]\nmax_wait = \"2s\"\n";
    let path = file("bootstrap", text);
    let words = ["envoy", "bootstrap", "--config", path.to_str().unwrap(), "--https-port", "8443"];
    let (code, printed) = world.run_with(&words).await;
    assert_eq!(code, DONE);
    assert!(printed.contains("{address: \"127.0.0.1\", port_value: 7001}"));
    assert!(printed.contains("\"redirect\": {\"port\": 8443}"));
    assert!(printed.contains("transport_socket_connect_timeout: 7.000s"));
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn certificates_are_made_and_the_bootstrap_asks_for_them_where_they_are_wanted() {
    let world = world(None).await;
    let folder = std::env::temp_dir().join(format!("sealwax-certs-{}", std::process::id()));
    let out = folder.to_str().unwrap();
    let made = ["envoy", "certs", "--edge", "edge-7", "--out", out];
    let (code, said) = world.run_with(&made).await;
    assert_eq!(code, DONE);
    assert!(said.contains("tls_cert_file = ") && said.contains("--certs"), "{said}");
    assert!(!said.contains("PRIVATE KEY"));

    let listen = "listen = \"0.0.0.0:7001\"\n";
    let tls = "tls_cert_file = \"c\"\ntls_key_file = \"k\"\nclient_ca_file = \"a\"\n";
    let path = file("mutual", &format!("[xds]\n{listen}{tls}"));
    let with = |more: &[&'static str]| {
        let words = ["envoy", "bootstrap", "--edge", "edge-7", "--config", path.to_str().unwrap()];
        [&words[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |words: Vec<String>| {
        world.run_with(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let failed = run(with(&[])).await;
    assert_eq!(failed.0, USAGE, "the configuration wants certificates");
    let (code, printed) = run([with(&["--certs"]), vec![out.to_owned()]].concat()).await;
    assert_eq!((code, printed.matches("UpstreamTlsContext").count()), (DONE, 1));
    assert!(printed.contains("edge-edge-7.pem"));
    let both = with(&["--edge-api", "control.internal:1", "--certs", "/certs"]);
    assert_eq!(run(both).await.1.matches("UpstreamTlsContext").count(), 2);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_wrong_configuration_is_a_usage_error_with_all_of_it() {
    let world = world(None).await;
    let path = file("wrong", "[xds]\nlisten = \"x\"\n[edge]\nlisten = \"y\"\n");
    let words = ["sealwax", "serve", "--config", path.to_str().unwrap()];
    let arguments = Arguments::try_parse_from(words).unwrap();
    let failed = run(arguments, &mut Output::new(false, io::sink())).await.unwrap_err();
    assert_eq!((failed.code, failed.message.lines().count()), (USAGE, 2));
    std::fs::remove_file(path).unwrap();
    drop(world);
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let world = world(None).await;
    for shell in ["bash", "zsh", "fish"] {
        let (code, text) = world.run(&format!("completions {shell}")).await;
        assert_eq!(code, DONE);
        for command in ["explain", "doctor", "import"] {
            assert!(text.contains(command), "{shell}: {command}");
        }
    }
    let folder = std::env::temp_dir().join(format!("sealwax-{}-man", std::process::id()));
    let to = folder.to_str().unwrap();
    let (code, _) = world.run_with(&["docs", "man", to]).await;
    assert_eq!(code, DONE);
    for page in ["sealwax.1", "sealwax-domain-import.1", "sealwax-doctor.1"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// The inline code of a document, fenced blocks left out.
fn inline_code(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2);
    let spans = outside.flat_map(|part| part.split('`').skip(1).step_by(2));
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_command_the_documents_name_is_there() {
    use clap::error::ErrorKind;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::fs::read_dir(root.join("docs")).unwrap();
    let documents = folder.map(|entry| entry.unwrap().path()).chain([root.join("README.md")]);
    let mut seen = 0;
    for path in documents.filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for code in inline_code(&text).iter().filter(|code| code.starts_with("sealwax ")) {
            // What a shell does with the rest is the shell's matter.
            let words = code.split(' ').take_while(|word| !matches!(*word, ">" | "|" | "<"));
            let words = words.map(|word| if word == "…" { "x" } else { word });
            let incomplete = |error: &clap::Error| {
                matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                )
            };
            if let Err(error) = Arguments::try_parse_from(words) {
                assert!(incomplete(&error), "{}: `{code}`: {error}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn a_campaign_is_started_shown_and_cancelled() {
    let world = world(None).await;
    assert_eq!(world.run("campaign status").await.0, NOT_FOUND);
    let (status, text) = world.run("campaign start --before 24h --rate 5").await;
    assert!(status == DONE && text.contains("running"), "{status} {text}");
    let (status, text) = world.run("--json campaign pause").await;
    let view: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, view["state"].as_str()), (DONE, Some("paused")));
    // It is not running: there is nothing to wait for.
    assert_eq!(world.run("campaign status --watch").await.0, DONE);
    assert_eq!(world.run("campaign cancel").await.0, DONE);
    assert_eq!(world.run("campaign resume").await.0, FAILED);
    assert_eq!(world.run("campaign start --before soon --rate 5").await.0, FAILED);
}

#[tokio::test]
async fn an_account_is_changed_by_its_issuers_name() {
    let world = world(None).await;
    assert_eq!(world.run("account rollover other").await.0, NOT_FOUND);
    assert_eq!(world.run("account contact other").await.0, NOT_FOUND);
    assert_eq!(world.run("account reset other").await.0, NOT_FOUND);
}
