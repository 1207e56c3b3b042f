//! Each place a store can be, set up for a test and gone after it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sealwax_store::conformance::{ManualClock, START};
use sealwax_store::wire::Wire;
use sealwax_store::{
    DynamoStore, RemoteSettings, StaticCredentials, Timeouts, open_remote_through,
};
use zeroize::Zeroizing;

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "sealwax-store-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the system's folder for such things.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A moto server of its own, on a port that it chose.
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let program = moto_program();
        let mut child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut lines = BufReader::new(child.stderr.take().expect("its messages")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_whitespace()
                    .find(|word| word.starts_with("http://127.0.0.1:"))
                    .map(str::to_owned)
            })
            .expect("moto_server says where it listens");
        // Whoever does not read on blocks it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, url }
    }

    pub(crate) fn settings(&self, table_prefix: &str) -> RemoteSettings {
        RemoteSettings {
            region: Some("eu-central-1".to_owned()),
            endpoint_url: Some(self.url.clone()),
            table_prefix: table_prefix.to_owned(),
            credentials: Some(StaticCredentials {
                access_key_id: "test".to_owned(),
                secret_access_key: Zeroizing::new("test".to_owned()),
            }),
            timeouts: patient(),
        }
    }

    pub(crate) async fn store(&self, table_prefix: &str) -> (DynamoStore, Arc<ManualClock>) {
        let clock = ManualClock::at(START);
        // moto's threads share its tables without a lock.
        let (wire, settings) = (Wire::one_at_a_time(), self.settings(table_prefix));
        let store = open_remote_through(&settings, clock.clone(), |inner| wire.around(inner)).await;
        let store = store.unwrap();
        store.init().await.unwrap();
        (store, clock)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The emulator shares the machine with everything else that runs.
fn patient() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.background.attempt *= 10;
    timeouts.background.call *= 10;
    timeouts.handshake = timeouts.background;
    timeouts
}

fn moto_program() -> PathBuf {
    if let Some(path) = std::env::var_os("SEALWAX_MOTO") {
        return path.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = workspace.join(".tools/venv/bin/moto_server");
    assert!(
        program.exists(),
        "moto_server is missing: run tests/setup, or `python3 -m venv .tools/venv && \
         .tools/venv/bin/pip install 'moto[server]'` in the workspace, or set SEALWAX_MOTO"
    );
    program
}
