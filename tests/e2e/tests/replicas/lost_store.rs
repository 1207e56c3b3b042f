//! A store that is gone, new or older than it was: what edges hold stays, and everyone says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealwax_testkit::{Line, LineSettings, PATIENCE, Served, http, wait_until};

/// More than a leftover or two.
const NAMES: usize = 12;

/// A line with names that its Envoy holds.
struct Held {
    line: Line,
    served: BTreeMap<String, Served>,
}

impl Held {
    async fn start(names: usize) -> Self {
        let line = Line::start(LineSettings::default()).await.unwrap();
        let mut held = Self { line, served: BTreeMap::new() };
        let mut visits = tokio::task::JoinSet::new();
        for n in 0..names {
            let name = format!("n{n}.example.com");
            held.line.control_plane.admin().register(&name).await.unwrap();
            let (visitor, at) = (held.line.visitor().unwrap(), held.line.https());
            visits.spawn(async move { (name.clone(), visitor.visit(at, &name).await.unwrap()) });
        }
        while let Some(visited) = visits.join_next().await {
            held.served.extend([visited.unwrap()]);
        }
        held
    }

    fn path(&self, name: &str) -> PathBuf {
        self.line.control_plane.folder().join(name)
    }

    /// The Envoy is back and has said what it holds.
    async fn reconnected(&self) {
        let admin = self.line.control_plane.admin();
        let names = self.served.len() as u64;
        let back = wait_until("the Envoy to be back", PATIENCE, async || {
            let edges = admin.send("GET", "/v1/edges", "").await.ok()?;
            let edges: serde_json::Value = serde_json::from_str(&edges.text()).ok()?;
            let held = edges["edges"].as_array()?.iter().any(|edge| edge["held"] == names);
            held.then_some(())
        });
        back.await.unwrap();
    }

    async fn assert_served(&self) {
        let visitor = self.line.visitor().unwrap();
        for (name, before) in &self.served {
            let now = visitor.visit(self.line.https(), name).await;
            assert_eq!(now.as_ref().ok(), Some(before), "{name}: {now:?}");
        }
    }

    async fn ready(&self) -> http::Response {
        let at = self.line.control_plane.admin_address();
        http::get(at, "localhost", "/readyz").await.unwrap()
    }

    /// Waits until it says why it is not ready; what was served is served then.
    async fn unready_and_serving(&self, why: &str) {
        let said = self.says(why).await;
        self.assert_served().await;
        said.unwrap();
    }

    async fn unready(&self, why: &str) {
        self.says(why).await.unwrap();
    }

    async fn says(&self, why: &str) -> anyhow::Result<()> {
        let unready = async || {
            let ready = self.ready().await;
            (ready.status == 503 && ready.text().contains(why)).then_some(())
        };
        wait_until(why, PATIENCE, unready).await
    }

    async fn await_ready(&self) {
        let ready = wait_until("it to be ready", PATIENCE, async || {
            (self.ready().await.status == 200).then_some(())
        });
        ready.await.unwrap();
    }

    async fn remove(&self, name: &str) {
        let admin = self.line.control_plane.admin();
        let gone = admin.send("DELETE", &format!("/v1/domains/{name}"), "").await.unwrap();
        assert!(gone.status < 300, "{}", gone.text());
    }

    async fn until_refused(&self, name: &str) {
        let visitor = self.line.visitor().unwrap();
        let refused = async || visitor.visit(self.line.https(), name).await.err();
        wait_until("it to be served no longer", PATIENCE, refused).await.unwrap();
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let at = self.line.control_plane.admin_address();
        let metrics = http::get(at, "localhost", "/metrics").await.unwrap().text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.line.control_plane.run(arguments).await.unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

/// What a folder has whose name is one of these, or continues it after a dot.
fn names_in(folder: &Path, stems: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| stems.contains(&name.split('.').next().unwrap_or_default())).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// INV-23
#[tokio::test]
async fn names_stay_served_when_the_stores_folder_is_gone_and_nothing_is_made_in_its_place() {
    let mut held = Held::start(NAMES).await;
    held.line.control_plane.terminate().await.unwrap();
    let (store, away) = (held.path("store"), held.path("away"));
    std::fs::rename(&store, &away).unwrap();
    let answer = held.line.control_plane.restart_unready().await.unwrap();
    held.reconnected().await;
    held.unready_and_serving("no store is there").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let doctor = held.run(&["doctor", "--config", "sealwax.toml"]).await;
    assert!(doctor.contains("Mount the volume"), "{doctor}");
    for command in ["status", "rewrap-keys"] {
        let said = held.run(&["store", command, "--config", "sealwax.toml"]).await;
        assert!(said.contains("no store is there"), "{said}");
    }
    assert!(!store.exists(), "nothing was made in its place");

    std::fs::rename(&away, &store).unwrap();
    held.await_ready().await;
    held.assert_served().await;
    let admin = held.line.control_plane.admin();
    admin.register("new.example.com").await.unwrap();
    let visitor = held.line.visitor().unwrap();
    visitor.visit(held.line.https(), "new.example.com").await.unwrap();
}

/// INV-23: nothing on the machine knows of the store any more; the edges do.
#[tokio::test]
async fn names_stay_served_by_a_new_store_and_leave_on_evidence_as_fast_as_the_brake_allows() {
    let mut held = Held::start(NAMES).await;
    held.line.control_plane.terminate().await.unwrap();
    let away = held.path("away");
    std::fs::create_dir(&away).unwrap();
    // The store, the key, and what is remembered beside each.
    let parts = names_in(held.line.control_plane.folder(), &["store", "kek"]);
    assert_eq!(parts.len(), 4, "{parts:?}");
    for part in &parts {
        std::fs::rename(held.path(part), away.join(part)).unwrap();
    }
    held.line.control_plane.restart_unready().await.unwrap();
    held.reconnected().await;
    held.unready_and_serving("neither a record nor a removal").await;
    let log = held.line.control_plane.log();
    assert!(log.contains("a new, empty store was created"), "{log}");
    assert!(log.contains("a key-encryption key is made"), "{log}");
    let doctor = held.run(&["doctor", "--config", "sealwax.toml"]).await;
    assert!(doctor.contains("envoy release --unknown"), "{doctor}");

    // The right one again, and all its domains are removed.
    held.line.control_plane.terminate().await.unwrap();
    std::fs::remove_dir_all(held.path("store")).unwrap();
    for part in &parts {
        std::fs::rename(away.join(part), held.path(part)).unwrap();
    }
    let file = held.line.control_plane.config_file();
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("[xds]\n", "[xds]\nwithdrawal_floor = 2\n")).unwrap();
    held.line.control_plane.restart().await.unwrap();
    held.reconnected().await;
    held.await_ready().await;
    held.assert_served().await;
    for name in held.served.keys() {
        held.remove(name).await;
    }
    held.unready("the brake holds back").await;
    let visitor = held.line.visitor().unwrap();
    let served = async |held: &Held| {
        let mut served = 0;
        for name in held.served.keys() {
            served += usize::from(visitor.visit(held.line.https(), name).await.is_ok());
        }
        served
    };
    assert_eq!(served(&held).await, NAMES - 2);
    let said = held.run(&["envoy", "release"]).await;
    assert!(said.contains("go on for"), "{said}");
    let gone = wait_until("all to be withdrawn", PATIENCE, async || {
        (served(&held).await == 0).then_some(())
    });
    gone.await.unwrap();
    held.await_ready().await;
}

/// INV-23: a store restored from a backup behind the fleet.
#[tokio::test]
async fn an_older_copy_of_the_store_withdraws_nothing_until_it_is_accepted() {
    let mut held = Held::start(2).await;
    let removed = "n1.example.com";
    held.line.control_plane.terminate().await.unwrap();
    let (store, backup) = (held.path("store"), held.path("backup"));
    copy(&store, &backup);
    held.line.control_plane.restart().await.unwrap();
    let admin = held.line.control_plane.admin();
    admin.register("later.example.com").await.unwrap();
    let visitor = held.line.visitor().unwrap();
    let later = visitor.visit(held.line.https(), "later.example.com").await.unwrap();
    held.served.extend([("later.example.com".to_owned(), later)]);
    // The copy knows nothing of this removal.
    held.remove(removed).await;
    held.until_refused(removed).await;
    held.served.remove(removed);

    held.line.control_plane.terminate().await.unwrap();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);
    held.line.control_plane.restart_unready().await.unwrap();
    held.reconnected().await;
    held.unready_and_serving("it is an older copy").await;
    let doctor = held.run(&["doctor", "--config", "sealwax.toml"]).await;
    assert!(doctor.contains("sealwax store accept"), "{doctor}");
    // It is served again, which is said for as long as nobody has looked at what the copy lacks.
    let visitor = held.line.visitor().unwrap();
    visitor.visit(held.line.https(), removed).await.unwrap();
    held.unready("it is an older copy").await;
    assert_eq!(held.metric("sealwax_store_trusted").await, Some(0.0));
    held.remove(removed).await;

    let said = held.run(&["store", "accept"]).await;
    assert!(said.contains("is trusted"), "{said}");
    held.await_ready().await;
    assert_eq!(held.metric("sealwax_store_trusted").await, Some(1.0));
    held.until_refused(removed).await;
    // Only a trace of its removal takes a name away.
    held.assert_served().await;
    held.line.control_plane.restart().await.unwrap();
    held.reconnected().await;
    held.assert_served().await;
}
