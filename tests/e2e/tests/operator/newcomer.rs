//! Someone new, with the README and what the programs say: from `make demo` to a domain that was
//! broken, explained, mended and issued.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealwax_testkit::{PATIENCE, Process, beside_sealwax, checkout, wait_until};

use crate::browser::Browser;

/// Runs a line of the demo's as it stands there, where `make demo` was typed.
fn run(line: &str, folder: &Path) -> Output {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", line]).current_dir(folder);
    shell.output().unwrap()
}

fn said(line: &str, folder: &Path) -> String {
    let output = run(line, folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The program `make demo` runs, once it invites to try things.
async fn demo(checkout: &Path, log: &Path) -> (Process, String) {
    let makefile = std::fs::read_to_string(checkout.join("Makefile")).unwrap();
    assert!(makefile.contains("@exec target/debug/sealwax-demo\n"), "what `make demo` runs");
    let program = beside_sealwax("sealwax-demo").unwrap();
    let mut demo = Process::start("sealwax-demo", &program, log, |command| {
        command.current_dir(checkout);
    })
    .unwrap();
    let invited = async |log: &str| {
        anyhow::ensure!(log.contains("domain renew"), "no invitation yet");
        Ok(log.to_owned())
    };
    let shown = demo.ready("invite", 2 * PATIENCE, invited).await.unwrap();
    (demo, shown)
}

/// The commands under a heading, as the demo shows them.
fn under<'a>(shown: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, after) = shown.split_once(heading).unwrap_or_else(|| panic!("{heading}: {shown}"));
    let lines = after.lines().skip(1).take_while(|line| line.starts_with("  "));
    lines.map(str::trim).filter(|line| !line.starts_with('#')).collect()
}

#[tokio::test]
async fn someone_new_breaks_a_domain_sees_why_mends_it_and_sees_it_issued() {
    let checkout: PathBuf = checkout().unwrap();
    let readme = std::fs::read_to_string(checkout.join("README.md")).unwrap();
    assert!(readme.contains("\nmake demo "), "the README says where to begin");
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, shown) = demo(&checkout, &folder.path().join("log")).await;
    let help = said("target/debug/sealwax --help", &checkout);
    for command in ["domain", "explain", "doctor"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }

    let [register, visit, explain] = under(&shown, "To try:")[..] else { panic!("{shown}") };
    assert!(said(register, &checkout).contains("\"pending\""));
    assert_eq!(said(visit, &checkout), "origin: yours.example.com/\n");
    assert!(said(explain, &checkout).starts_with("yours.example.com has a certificate."));

    let [register, spoil, visit, explain, repair, renew] =
        under(&shown, "To break a domain's DNS, see why it fails, and mend it:")[..]
    else {
        panic!("{shown}")
    };
    let name = "broken.example.com";
    assert!(said(register, &checkout).contains("\"pending\""));
    said(spoil, &checkout);
    assert!(!run(visit, &checkout).status.success(), "its first handshake fails");
    let told = wait_until("the reason", PATIENCE, async || {
        let told = said(explain, &checkout);
        told.contains("Who must act").then_some(told)
    });
    let told = told.await.unwrap();
    for part in [
        "The owner of the domain must act. Point the domain at the platform's edges",
        "broken.example.com. IN A 127.0.0.1",
        "127.0.0.9 (not an edge)",
        "It is tried again at ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    // The dashboard, at the address the demo shows: the same reason, found by its search.
    let address = shown.lines().find_map(|line| line.trim().strip_prefix("dashboard "));
    let mut browser = Browser::start().await.unwrap();
    browser.open(address.unwrap().trim()).await.unwrap();
    browser.until("document.getElementById('live').textContent === 'live'").await.unwrap();
    browser.press("/", "/").await.unwrap();
    browser.until("document.activeElement.id === 'name'").await.unwrap();
    browser.write(name).await.unwrap();
    browser.press("Enter", "\r").await.unwrap();
    for part in ["Who must act", "What to change", "A: 127.0.0.9 (not an edge)"] {
        browser.until_shown(part).await.unwrap();
    }

    said(repair, &checkout);
    said(renew, &checkout);
    browser.until("document.querySelector('h1').innerText.includes('issued')").await.unwrap();
    assert_eq!(browser.complaints(), [""; 0], "the console is clean");
    assert_eq!(said(visit, &checkout), format!("origin: {name}/\n"));
    assert!(said(explain, &checkout).starts_with(&format!("{name} has a certificate.")));
    let ended = demo.terminate(PATIENCE).await.unwrap();
    assert!(ended.success(), "{ended}");
}
