//! What certbot and Caddy themselves keep: their certificates and their ACME accounts, taken over
//! at the CA they were made with.

use std::path::Path;
use std::process::Output;

use sealwax_testkit::{
    ControlPlane, ControlPlaneSettings, PATIENCE, Pebble, PebbleSettings, Port, Process,
    StoreSettings, tool, wait_until,
};
use serde_json::Value;

async fn control_plane(pebble: &Pebble) -> ControlPlane {
    let settings = ControlPlaneSettings {
        directory: pebble.directory(),
        ca_file: pebble.tls_root_file(),
        store: StoreSettings::Embedded,
        max_wait: "10s",
        more: String::new(),
    };
    ControlPlane::start(&settings).await.unwrap()
}

async fn certbot(pebble: &Pebble, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(tool("certbot").unwrap());
    for name in ["config", "work", "logs"] {
        command.arg(format!("--{name}-dir")).arg(folder.join(name));
    }
    command.args(["--non-interactive", "--server", &pebble.directory()]);
    command.args(arguments).env("REQUESTS_CA_BUNDLE", pebble.tls_root_file()).kill_on_drop(true);
    tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

/// Caddy until it has a certificate for the name.
async fn caddy(pebble: &Pebble, folder: &Path, name: &str) {
    let (http, https) = (Port::free().unwrap(), Port::free().unwrap());
    let storage = folder.join("caddy");
    let config = format!(
        "{{\n admin off\n http_port {}\n https_port {}\n acme_ca {}\n acme_ca_root {}\n \
         storage file_system {}\n}}\n{name} {{\n respond \"hello\"\n}}\n",
        http.address().port(),
        https.address().port(),
        pebble.directory(),
        pebble.tls_root_file().display(),
        storage.display(),
    );
    std::fs::write(folder.join("Caddyfile"), config).unwrap();
    let log = folder.join("caddy.log");
    let mut process = Process::start("caddy", &tool("caddy").unwrap(), &log, |command| {
        command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
        command.current_dir(folder).env("HOME", folder);
    })
    .unwrap();
    let obtained = async |log: &str| {
        anyhow::ensure!(log.contains("certificate obtained successfully"), "no certificate yet");
        Ok(())
    };
    process.ready("obtain a certificate", PATIENCE, obtained).await.unwrap();
}

async fn import(control_plane: &ControlPlane, more: &[&str]) -> (Option<i32>, String) {
    let output = control_plane.run(&[&["cert", "import"], more].concat()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("PRIVATE KEY"), "{said}");
    (output.status.code(), said)
}

/// Renews, and waits for another certificate than the one that was brought along.
async fn renewed(control_plane: &ControlPlane, name: &str, before: &Value) {
    let renew = control_plane.run(&["domain", "renew", "--force", name]).await.unwrap();
    assert!(renew.status.success(), "{renew:?}");
    let admin = control_plane.admin();
    let another = async || {
        let record = admin.show(name).await.ok()?;
        let serial = &record["certificate"]["serial"];
        (serial != &before["certificate"]["serial"]).then_some(())
    };
    wait_until("another certificate", PATIENCE, another).await.unwrap();
}

#[tokio::test]
async fn certbots_account_is_taken_over_with_a_new_key_when_that_is_asked_for() {
    let pebble = Pebble::start(PebbleSettings::believing()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = Port::free().unwrap().address().port().to_string();
    let obtain = ["certonly", "--standalone", "--http-01-port", &port, "--agree-tos"];
    let who = ["--register-unsafely-without-email", "-d", "one.example.com"];
    let obtained = certbot(&pebble, folder.path(), &[&obtain[..], &who].concat()).await;
    assert!(obtained.status.success(), "{obtained:?}");

    let ours = control_plane(&pebble).await;
    let path = folder.path().join("config");
    let from = ["--from", "certbot", path.to_str().unwrap()];
    let (code, said) = import(&ours, &from).await;
    assert_eq!(code, Some(0), "the certificate came along: {said}");
    assert!(said.contains("--take-account"), "{said}");
    let record = ours.admin().show("one.example.com").await.unwrap();
    assert_eq!(record["certificate"]["source"], "imported");

    // Said twice, it is done once.
    for _ in 0..2 {
        let (code, said) = import(&ours, &[&from[..], &["--take-account"]].concat()).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("taken over"), "{said}");
    }
    let record = ours.admin().show("one.example.com").await.unwrap();
    assert_eq!(record["certificate"]["source"], "acme", "renewed by itself from now on");
    renewed(&ours, "one.example.com", &record).await;
    assert_eq!(pebble.accounts(), 1, "the account was certbot's");
    let renew = ["renew", "--force-renewal", "--no-random-sleep-on-renew"];
    let renewal = certbot(&pebble, folder.path(), &renew).await;
    assert!(!renewal.status.success(), "certbot's key is replaced: {renewal:?}");
    assert!(!ours.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn caddys_account_is_taken_over_as_it_is() {
    let pebble = Pebble::start(PebbleSettings::believing()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    caddy(&pebble, folder.path(), "two.example.com").await;
    let accounts = pebble.accounts();

    let ours = control_plane(&pebble).await;
    let path = folder.path().join("caddy");
    let from = ["--from", "caddy", path.to_str().unwrap()];
    let (code, said) = import(&ours, &from).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("taken over"), "{said}");
    let record = ours.admin().show("two.example.com").await.unwrap();
    assert_eq!(record["certificate"]["source"], "acme");
    renewed(&ours, "two.example.com", &record).await;
    assert_eq!(pebble.accounts(), accounts, "no other account was made");

    // Another account does not take the place of one that is there.
    let strange = control_plane(&pebble).await;
    strange.admin().register("three.example.com").await.unwrap();
    let renew = strange.run(&["domain", "renew", "three.example.com"]).await.unwrap();
    assert!(renew.status.success(), "{renew:?}");
    let issued = async || {
        let record = strange.admin().show("three.example.com").await.ok()?;
        (record["state"] == "issued").then_some(())
    };
    wait_until("a certificate", PATIENCE, issued).await.unwrap();
    let (code, said) = import(&strange, &from).await;
    assert_eq!(code, Some(0), "the certificate came along: {said}");
    assert!(said.contains("has an account already"), "{said}");
    let record = strange.admin().show("two.example.com").await.unwrap();
    assert_eq!(record["certificate"]["source"], "imported");
}
