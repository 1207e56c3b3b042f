//! A command in front of someone: with a terminal of its own, which `script` makes for it.

use std::path::Path;
use std::process::Stdio;

use sealwax_testkit::{PATIENCE, sealwax_binary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What Ctrl-C is to a terminal.
const INTERRUPT: &[u8] = b"\x03";

/// The terminal, the command in it, and what it has shown.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    out: ChildStdout,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts a `sealwax` command in a folder.
    pub(crate) fn open(folder: &Path, server: &str, arguments: &str) -> Self {
        let command = format!("exec {} {arguments}", sealwax_binary().unwrap().display());
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .current_dir(folder)
            .env("SHELL", "/bin/sh")
            .env("SEALWAX_SERVER", server)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script is missing: run `make setup`");
        let (keys, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, out, shown: Vec::new() }
    }

    /// Everything shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits until a text is shown.
    pub(crate) async fn until_shown(&mut self, part: &str) {
        let seen = async {
            while !self.shown().contains(part) {
                let read = self.out.read_buf(&mut self.shown).await.unwrap();
                assert!(read > 0, "it ended without {part:?}: {}", self.shown());
            }
        };
        let late = tokio::time::timeout(PATIENCE, seen).await;
        assert!(late.is_ok(), "{part:?} is not shown: {}", self.shown());
    }

    pub(crate) async fn interrupt(&mut self) {
        self.keys.write_all(INTERRUPT).await.unwrap();
    }

    /// Waits for its end; its status, and all it has shown.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let rest = self.out.read_to_end(&mut self.shown);
        tokio::time::timeout(PATIENCE, rest).await.expect("it does not end").unwrap();
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.shown())
    }
}
