//! Where the commands of a document are run as they stand there: in a folder of their own, with
//! the places and addresses of a real machine replaced by those of the test.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;
use sealwax_testkit::{PATIENCE, Process, checkout, http, sealwax_binary};
use tempfile::TempDir;

/// A fenced block of a document.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every fenced block, those in lists too.
pub(crate) fn fenced(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                open = Some((indent, Block { language, text: String::new() }));
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    found
}

/// The blocks of a language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let fits = fenced(text).into_iter().filter(|block| block.language == language);
    fits.map(|block| block.text).collect()
}

/// The commands of a block; one that goes on over lines is one.
pub(crate) fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// A program that stays, and when it is ready.
struct Stays {
    starts_with: &'static str,
    more: &'static str,
    ready: SocketAddr,
    path: &'static str,
}

/// The folder, and what is different in it.
pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
    replaced: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    stays: Vec<Stays>,
    running: Vec<Process>,
    /// Everything that was printed.
    pub(crate) said: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = sealwax_binary().unwrap();
        let tools = checkout().unwrap().join(".tools/bin");
        let path = format!(
            "{}:{}:{}",
            programs.parent().unwrap().display(),
            tools.display(),
            std::env::var("PATH").unwrap()
        );
        Self {
            folder,
            replaced: Vec::new(),
            environment: vec![("PATH".to_owned(), path)],
            stays: Vec::new(),
            running: Vec::new(),
            said: String::new(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Here `there` is something else; first come, first replaced.
    pub(crate) fn replacing(mut self, there: &str, here: impl std::fmt::Display) -> Self {
        self.replaced.push((there.to_owned(), here.to_string()));
        self
    }

    /// A folder of a real machine is one in here.
    pub(crate) fn holding(self, folder: &str) -> Self {
        let here = self.root().join(folder.trim_start_matches('/'));
        std::fs::create_dir_all(&here).unwrap();
        self.replacing(folder, here.display())
    }

    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// What starts like this stays, and is ready when `path` is answered with 200.
    pub(crate) fn staying(
        mut self,
        starts_with: &'static str,
        more: &'static str,
        ready: SocketAddr,
        path: &'static str,
    ) -> Self {
        self.stays.push(Stays { starts_with, more, ready, path });
        self
    }

    /// What a text of the document says here.
    pub(crate) fn translated(&self, text: &str) -> String {
        let replace = |text: String, (there, here): &(String, String)| text.replace(there, here);
        self.replaced.iter().fold(text.to_owned(), replace)
    }

    /// Runs every `sh` block of a document, command by command.
    pub(crate) async fn run(&mut self, document: &str) {
        let text = std::fs::read_to_string(checkout().unwrap().join(document)).unwrap();
        let blocks = blocks(&text, "sh");
        assert!(!blocks.is_empty(), "{document} has nothing to run");
        for command in blocks.iter().flat_map(|block| commands(block)) {
            self.run_one(&command).await;
        }
    }

    async fn run_one(&mut self, command: &str) {
        let here = self.translated(command);
        if let Some(stays) = self.stays.iter().find(|stays| command.starts_with(stays.starts_with))
        {
            let log = self.root().join(format!("log-{}", self.running.len()));
            let line = format!("exec {here} {}", stays.more);
            let mut process = Process::start(command, Path::new("bash"), &log, |shell| {
                shell.args(["-c", &line]).current_dir(self.folder.path());
                shell.envs(self.environment.iter().cloned());
            })
            .unwrap();
            let ready = async |_: &str| {
                let answer = http::get(stays.ready, "localhost", stays.path).await?;
                ensure!(answer.status == 200, "{}: {}", stays.path, answer.text());
                Ok(())
            };
            process.ready("be ready", PATIENCE, ready).await.unwrap();
            self.running.push(process);
            return;
        }
        let mut shell = tokio::process::Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &here])
            .current_dir(self.root())
            .envs(self.environment.iter().cloned())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, shell.output()).await.expect(command).unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{here}\n{}\n{out}\n{err}", output.status);
        self.said.push_str(&out);
    }
}
