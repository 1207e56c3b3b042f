//! Every command in the documents is run as it stands there, or says here why it is not.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, Origin, PATIENCE, Pebble, PebbleSettings, Port, Process,
    StoreSettings, checkout, filter_module, http, sealwax_binary, tool, validate,
};

use crate::documents::documents;
use crate::imports::{Form, make};
use crate::plain::Plain;
use crate::sandbox::{self, Sandbox, fenced};

/// Documents with `sh` blocks; a test below, or next to the one of the tutorial, runs each.
const RUN: [&str; 6] = [
    "README.md",
    "docs/delivery.md",
    "docs/deploying.md",
    "docs/migrating.md",
    "docs/simulation.md",
    "docs/tutorial.md",
];

const CI: &str = "continuous integration runs it: a target of the Makefile";
const HOST: &str = "needs a running systemd; the units are checked with systemd-analyze";
const FLEET: &str = "steers a whole fleet: the story of a campaign and the command line's tests do";
const BY_HAND: &str = "what the reader copies from the demo's output; the test sets the same";

/// What is in `console` blocks, and why it is not run.
const NOT_RUN: [(&str, &str, &str); 15] = [
    ("README.md", "make demo", CI),
    ("README.md", "make test", CI),
    ("README.md", "make setup filter && cargo build --release -p sealwax", CI),
    ("docs/deploying.md", "systemctl daemon-reload", HOST),
    ("docs/deploying.md", "systemctl enable --now sealwax envoy", HOST),
    ("docs/issuance.md", "sealwax campaign start", FLEET),
    ("docs/issuance.md", "sealwax campaign pause", FLEET),
    ("docs/issuance.md", "sealwax campaign resume", FLEET),
    ("docs/issuance.md", "sealwax campaign status", FLEET),
    ("docs/tutorial.md", "make demo", CI),
    ("docs/tutorial.md", "export PATH=", BY_HAND),
    ("docs/tutorial.md", "export SEALWAX_SERVER=", BY_HAND),
    ("docs/tutorial.md", "export EDGE=", BY_HAND),
    ("docs/tutorial.md", "export DNS=", BY_HAND),
    ("docs/tutorial.md", "export ROOT=", BY_HAND),
];

/// What no block may be marked as, so that none escapes: a shell's block is `sh` or `console`.
const OTHER_SHELLS: [&str; 5] = ["", "bash", "shell", "zsh", "shell-session"];
const PROGRAMS: [&str; 12] = [
    "sealwax ",
    "make",
    "cargo ",
    "curl ",
    "envoy ",
    "systemctl ",
    "install ",
    "openssl ",
    "$ ",
    "sudo ",
    "apt",
    "xargs ",
];

#[test]
fn every_command_is_run_or_says_why_not() {
    let root = checkout().unwrap();
    let (mut run, mut told) = (BTreeSet::new(), BTreeSet::new());
    for path in documents(&root) {
        let document = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        for block in fenced(&std::fs::read_to_string(&path).unwrap()) {
            match block.language.as_str() {
                "sh" => drop(run.insert(document.clone())),
                "console" => {
                    for command in sandbox::commands(&block.text) {
                        let reason = NOT_RUN.iter().position(|(place, start, reason)| {
                            *place == document && command.starts_with(start) && !reason.is_empty()
                        });
                        let reason = reason.unwrap_or_else(|| {
                            panic!("{document}: why is this not run: {command}")
                        });
                        told.insert(reason);
                    }
                }
                other if OTHER_SHELLS.contains(&other) => {
                    for command in sandbox::commands(&block.text) {
                        let program = PROGRAMS.iter().any(|program| command.starts_with(program));
                        assert!(!program, "{document}: mark this block as sh: {command}");
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(run.iter().map(String::as_str).collect::<Vec<_>>(), RUN);
    assert_eq!(told.len(), NOT_RUN.len(), "a reason without a command: {told:?}");
}

fn settings(pebble: &Pebble) -> ControlPlaneSettings {
    ControlPlaneSettings {
        directory: pebble.directory(),
        ca_file: pebble.tls_root_file(),
        store: StoreSettings::Embedded,
        max_wait: "10s",
        more: String::new(),
    }
}

#[tokio::test]
async fn the_readme_does_what_it_says() {
    let [http, https, envoy_admin] = [(); 3].map(|()| Port::free().unwrap());
    let [xds, edge, admin] = [(); 3].map(|()| Port::free().unwrap());
    let pebble = Pebble::start(PebbleSettings::validating_at(http.address().port())).await.unwrap();
    let origin = Origin::start().await.unwrap();
    let directory = "directory = \"https://acme-v02.api.letsencrypt.org/directory\"";
    let root_file = pebble.tls_root_file();
    let mut sandbox = Sandbox::new()
        .holding("/var/lib/sealwax")
        .replacing(
            directory,
            format!(
                "directory = \"{}\"\nca_file = \"{}\"",
                pebble.directory(),
                root_file.display()
            ),
        )
        .replacing("--http-port 80 ", format!("--http-port {http} "))
        .replacing("--https-port 443 ", format!("--https-port {https} "))
        .replacing(
            "--origin 127.0.0.1:8080",
            format!("--admin {} --origin {}", envoy_admin.address(), origin.address()),
        )
        .replacing("/opt/sealwax/sealwax_filter.wasm", filter_module().unwrap().display())
        .with("SEALWAX__XDS__LISTEN", xds.address())
        .with("SEALWAX__EDGE__LISTEN", edge.address())
        .with("SEALWAX__ADMIN__LISTEN", admin.address())
        .with("SEALWAX_SERVER", format!("http://{}", admin.address()))
        .staying("sealwax serve", "", admin.address(), "/readyz")
        .staying(
            "envoy ",
            "--use-dynamic-base-id --concurrency 1",
            envoy_admin.address(),
            "/ready",
        );
    // What DNS and a trusted CA are to a real visitor.
    std::fs::write(sandbox.root().join("root.pem"), pebble.root_pem()).unwrap();
    let curl = format!(
        "fail\nsilent\nshow-error\ncacert = \"{}\"\nconnect-to = \"::{}\"\n",
        sandbox.root().join("root.pem").display(),
        https.address()
    );
    std::fs::write(sandbox.root().join(".curlrc"), curl).unwrap();
    let home = sandbox.root().display().to_string();
    sandbox = sandbox.with("CURL_HOME", home);
    let readme = std::fs::read_to_string(checkout().unwrap().join("README.md")).unwrap();
    let toml = sandbox::blocks(&readme, "toml").remove(0);
    std::fs::write(sandbox.root().join("sealwax.toml"), sandbox.translated(&toml)).unwrap();

    sandbox.run("README.md").await;
    for part in ["shop.example.com", "an order was placed", "admin API"] {
        assert!(sandbox.said.contains(part), "{part} is nowhere in:\n{}", sandbox.said);
    }
}

#[tokio::test]
async fn deploying_puts_everything_in_its_place() {
    let pebble = Pebble::start(PebbleSettings::believing()).await.unwrap();
    let control_plane = ControlPlane::start(&settings(&pebble)).await.unwrap();
    let mut sandbox = Sandbox::new()
        .holding("/usr/local/bin")
        .holding("/etc/sealwax")
        .holding("/etc/systemd/system")
        .holding("/opt/sealwax")
        .with("SEALWAX_SERVER", format!("http://{}", control_plane.admin_address()));
    let root = sandbox.root().to_owned();
    // What was built, where it was built.
    std::fs::create_dir_all(root.join("target/release")).unwrap();
    let built = format!("#!/bin/sh\nexec {} \"$@\"\n", sealwax_binary().unwrap().display());
    std::fs::write(root.join("target/release/sealwax"), built).unwrap();
    std::fs::copy(filter_module().unwrap(), root.join("target/sealwax_filter.wasm")).unwrap();
    std::os::unix::fs::symlink(checkout().unwrap().join("docs"), root.join("docs")).unwrap();
    std::fs::copy(control_plane.config_file(), root.join("sealwax.toml")).unwrap();

    sandbox.run("docs/deploying.md").await;
    let token = std::fs::metadata(root.join("etc/sealwax/admin-token")).unwrap();
    assert_eq!((token.permissions().mode() & 0o777, token.len()), (0o600, 65));
    for unit in ["sealwax.service", "envoy.service"] {
        assert!(root.join("etc/systemd/system").join(unit).is_file(), "{unit}");
    }
    validate(&std::fs::read_to_string(root.join("etc/sealwax/envoy.yaml")).unwrap()).unwrap();
    assert!(sandbox.said.contains("account at pebble"), "{}", sandbox.said);
}

#[tokio::test]
async fn migrating_brings_domains_and_certificates_along() {
    let plain = Plain::start("").await.unwrap();
    let mut sandbox = Sandbox::new()
        .holding("/etc/letsencrypt")
        .with("SEALWAX_SERVER", format!("http://{}", plain.address()));
    let root = sandbox.root().to_owned();
    std::fs::write(root.join("domains.txt"), "a.example.com\nb.example.com\n").unwrap();
    std::fs::write(root.join("first-hundred.txt"), "a.example.com\nb.example.com\n").unwrap();
    let live = root.join("etc/letsencrypt/live/c.example.com");
    std::fs::create_dir_all(&live).unwrap();
    make(&live, &["c.example.com"], "fullchain.pem", "privkey.pem", Form::Pkcs8);

    sandbox.run("docs/migrating.md").await;
    let admin = plain.admin();
    assert_eq!(admin.show("c.example.com").await.unwrap()["certificate"]["source"], "imported");
    for name in ["a.example.com", "b.example.com"] {
        assert!(admin.show(name).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn an_edge_elsewhere_gets_its_certificates_and_its_bootstrap() {
    let mut sandbox = Sandbox::new();
    sandbox.run("docs/delivery.md").await;
    for file in ["certs/ca.pem", "certs/control-plane.pem", "envoy.yaml"] {
        assert!(sandbox.root().join(file).is_file(), "{file}");
    }
}

#[tokio::test]
async fn the_simulations_of_the_document_end_well() {
    let mut sandbox = Sandbox::new()
        .replacing("--domains 1000000", "--domains 2000")
        .replacing("--domains 200000", "--domains 2000")
        .replacing("50000@", "500@");
    sandbox.run("docs/simulation.md").await;
    assert!(sandbox.root().join("outage.html").is_file());
}

#[test]
fn caddy_takes_the_lines_it_is_to_have() {
    let document = checkout().unwrap().join("docs/migrating.md");
    let blocks = sandbox::blocks(&std::fs::read_to_string(document).unwrap(), "text");
    let lines = blocks.iter().find(|block| block.starts_with("http://")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Caddyfile");
    std::fs::write(&path, lines).unwrap();
    let mut caddy = std::process::Command::new(tool("caddy").unwrap());
    caddy.args(["adapt", "--adapter", "caddyfile", "--validate", "--config"]).arg(&path);
    let output = caddy.env("HOME", folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("acme-challenge") && said.contains("127.0.0.1:10080"), "{said}");
}

/// nginx with these lines in a server of its own, until it is dropped.
async fn nginx(lines: &str, folder: &Path, port: &Port) -> Process {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let places = kinds.map(|kind| format!("{kind}_temp_path temp-{kind};\n")).concat();
    let config = format!(
        "daemon off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}\
         server {{\nlisten {};\n{lines}}}\n}}\n",
        port.address()
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    let program = tool("nginx").unwrap();
    let mut process = Process::start("nginx", &program, &folder.join("log"), |command| {
        command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    })
    .unwrap();
    let address = port.address();
    let up = async |_: &str| http::get(address, "localhost", "/").await;
    process.ready("answer", PATIENCE, up).await.unwrap();
    process
}

#[tokio::test]
async fn nginx_passes_challenges_on_with_the_lines_it_is_to_have() {
    let document = checkout().unwrap().join("docs/migrating.md");
    let blocks = sandbox::blocks(&std::fs::read_to_string(document).unwrap(), "nginx");
    assert_eq!(blocks.len(), 2, "beside certbot, and in place of auto-ssl's");
    // In Envoy's place: it says which host and path it was asked for.
    let edge = Origin::start().await.unwrap();
    for lines in blocks {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::free().unwrap();
        let here = lines.replace("127.0.0.1:10080", &edge.address().to_string());
        assert_ne!(here, lines, "where Envoy is");
        let _nginx = nginx(&here, folder.path(), &port).await;
        let challenge = "/.well-known/acme-challenge/token";
        let passed = http::get(port.address(), "shop.example.com", challenge).await.unwrap();
        assert_eq!(passed.text(), format!("origin: shop.example.com{challenge}\n"));
        let other = http::get(port.address(), "shop.example.com", "/").await.unwrap();
        assert!(!other.text().starts_with("origin:"), "everything else stays where it was");
    }
}
