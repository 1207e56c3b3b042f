//! The command line against a running control plane: what it prints for scripts, and how it exits.

use std::process::Output;

use sealwax_testkit::{Line, LineSettings};
use serde_json::Value;

#[tokio::test]
async fn a_domain_is_added_shown_listed_explained_and_removed_from_the_command_line() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let run = |arguments: &'static [&'static str]| line.control_plane.run(arguments);

    assert_eq!(status(&run(&["domain", "add", "Blog.Example.com"]).await.unwrap()), 0);
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();

    let shown = run(&["--json", "domain", "show", "blog.example.com"]).await.unwrap();
    assert_eq!(status(&shown), 0);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let record: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&record["domain"], &record["state"]),
        (&"blog.example.com".into(), &"issued".into())
    );

    let listed = run(&["domain", "list", "--state", "issued"]).await.unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("blog.example.com"));
    let explained = run(&["explain", "blog.example.com"]).await.unwrap();
    assert!(String::from_utf8_lossy(&explained.stdout).contains("certificate"));

    assert_eq!(status(&run(&["domain", "remove", "blog.example.com"]).await.unwrap()), 0);
    assert_eq!(status(&run(&["domain", "show", "blog.example.com"]).await.unwrap()), 3);
}

#[tokio::test]
async fn exit_statuses_tell_scripts_what_happened() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let healthy = line.control_plane.run(&["doctor", "--config", "sealwax.toml"]).await.unwrap();
    assert_eq!(status(&healthy), 0, "{}", String::from_utf8_lossy(&healthy.stdout));
    assert_eq!(status(&line.control_plane.run(&["domain", "paint"]).await.unwrap()), 2);

    line.control_plane.kill();
    let away = line.control_plane.run(&["domain", "list"]).await.unwrap();
    assert_eq!(status(&away), 1);
    let said = String::from_utf8_lossy(&away.stderr);
    assert_eq!(said.trim().lines().count(), 1, "one line that says what to do: {said}");
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}
