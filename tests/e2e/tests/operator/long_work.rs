//! Long work of the command line: it says how far it is, and Ctrl-C costs nothing.

use std::path::Path;

use sealwax_testkit::DynamoDb;
use serde_json::Value;

use crate::plain::Plain;
use crate::terminal::Terminal;

/// Enough that nothing is done before a key can be pressed.
const DOMAINS: u64 = 2_000;
const STOPPED: &str = "the same command goes on where it stopped";

/// Presses Ctrl-C as soon as the time left is shown.
async fn stopped(plain: &Plain, arguments: &str) {
    let mut terminal = Terminal::open(plain.folder.path(), &plain.server(), arguments);
    terminal.until_shown(" left").await;
    let shown = terminal.shown();
    // About so many: a store counts what else is in it too.
    assert!(shown.contains(&format!(" of {}", DOMAINS / 10)) && shown.contains("/s, "), "{shown}");
    terminal.interrupt().await;
    let (status, shown) = terminal.ended().await;
    assert_eq!(status, Some(1), "{shown}");
    assert!(shown.contains(STOPPED), "{shown}");
}

/// The same again, to its end.
async fn done(plain: &Plain, arguments: &str) -> Value {
    let words: Vec<_> = arguments.split(' ').collect();
    let output = plain.run(&[&["--json"], &words[..]].concat()).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains(" of "), "no terminal, no progress: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write_target(folder: &Path, endpoint: std::net::SocketAddr) {
    let text = std::fs::read_to_string(folder.join("sealwax.toml")).unwrap();
    let embedded = "[store]\npath = \"store\"\n";
    assert!(text.contains(embedded), "{text}");
    let target = format!(
        "[keys]\nkek = \"file:store/kek\"\n[store]\nkind = \"dynamodb\"\n\
         region = \"eu-central-1\"\nendpoint_url = \"http://{endpoint}\"\n"
    );
    std::fs::write(folder.join("target.toml"), text.replace(embedded, &target)).unwrap();
}

#[tokio::test]
async fn colours_are_for_terminals_and_for_people_who_want_them() {
    let plain = Plain::start("").await.unwrap();
    plain.admin().register("a.example.com").await.unwrap();
    let (folder, server) = (plain.folder.path(), plain.server());
    let (status, shown) = Terminal::open(folder, &server, "domain list").ended().await;
    assert!(status == Some(0) && shown.contains("\u{1b}[2mpending\u{1b}[0m"), "{shown}");
    let (_, shown) = Terminal::open(folder, &server, "--json domain list").ended().await;
    assert!(!shown.contains('\u{1b}'), "JSON has none: {shown}");
    let piped = plain.run(&["domain", "list"]).await.unwrap();
    let piped = String::from_utf8_lossy(&piped.stdout).into_owned();
    assert!(piped.contains("pending") && !piped.contains('\u{1b}'), "{piped}");
}

#[tokio::test]
async fn an_import_a_copy_and_a_rewrap_say_the_time_left_and_go_on_after_ctrl_c() {
    let mut plain = Plain::start("").await.unwrap();
    let folder = plain.folder.path().to_owned();
    let names: String = (0..DOMAINS).map(|number| format!("d{number}.example.com\n")).collect();
    std::fs::write(folder.join("domains.txt"), names).unwrap();
    let mut import = Terminal::open(&folder, &plain.server(), "domain import domains.txt");
    import.until_shown(" left").await;
    let (status, shown) = import.ended().await;
    assert!(shown.contains(&format!(" of {DOMAINS}, ")) && shown.contains("/s, "), "{shown}");
    assert!(status == Some(0) && shown.contains("2000 registered, 0 were"), "{shown}");
    plain.stop().await.unwrap();

    let store = DynamoDb::start().await.unwrap();
    write_target(&folder, store.address());
    let copy = "store copy --config sealwax.toml --to target.toml";
    stopped(&plain, copy).await;
    let rest = done(&plain, copy).await;
    assert_eq!(rest["resumed"], true, "{rest}");
    let seen = rest["seen"].as_u64().unwrap();
    assert!(0 < seen && seen < DOMAINS, "it began anew: {rest}");
    let again = done(&plain, copy).await;
    assert_eq!((&again["written"], &again["verified"]), (&0.into(), &DOMAINS.into()), "{again}");

    let target = std::fs::read_to_string(folder.join("target.toml")).unwrap();
    let keys = "kek = \"file:new-kek\"\nretired = \"file:store/kek\"";
    let target = target.replace("kek = \"file:store/kek\"", keys);
    std::fs::write(folder.join("target.toml"), target).unwrap();
    std::fs::write(folder.join("new-kek"), "11".repeat(32)).unwrap();
    let rewrap = "store rewrap-keys --config target.toml";
    stopped(&plain, rewrap).await;
    let rest = done(&plain, rewrap).await;
    assert_eq!(rest["resumed"], true, "{rest}");
    let again = done(&plain, rewrap).await;
    assert_eq!((&again["resumed"], &again["rewrapped"]), (&false.into(), &0.into()), "{again}");
}
