//! A headless Chromium, driven over its DevTools protocol through a pair of pipes
//! (`--remote-debugging-pipe`: one JSON message after the other, each ended by a zero byte).

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sealwax_testkit::{PATIENCE, Process, tool, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

/// One tab.
pub(crate) struct Browser {
    process: Process,
    to: pipe::Sender,
    from: pipe::Receiver,
    unread: Vec<u8>,
    last: u64,
    session: Option<String>,
    complaints: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// Starts it with an empty profile and opens an empty tab.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (requests, answers) = (folder.path().join("requests"), folder.path().join("answers"));
        let made = std::process::Command::new("mkfifo").arg(&requests).arg(&answers).status()?;
        ensure!(made.success(), "mkfifo: {made}");
        // Open for both ways, so that neither side waits for the other to open it.
        let to = pipe::OpenOptions::new().read_write(true).open_sender(&requests)?;
        let from = pipe::OpenOptions::new().read_write(true).open_receiver(&answers)?;
        let chromium = tool("chromium")?;
        let shell = std::path::Path::new("/bin/sh");
        let log = folder.path().join("log");
        let process = Process::start("chromium", shell, &log, |command| {
            command.arg("-c").arg("exec \"$0\" \"$@\" 3<requests 4>answers").arg(chromium);
            command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]);
            command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
            command.args(["--disable-component-update", "--disable-dev-shm-usage"]);
            command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
            command.args(["--remote-debugging-pipe", "about:blank"]).current_dir(folder.path());
        })?;
        let mut browser = Self {
            process,
            to,
            from,
            unread: Vec::new(),
            last: 0,
            session: None,
            complaints: Vec::new(),
            _folder: folder,
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"})).await?;
        let attach = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await?;
        }
        Ok(browser)
    }

    /// Goes to an address.
    pub(crate) async fn open(&mut self, url: &str) -> Result<()> {
        let gone = self.call("Page.navigate", json!({"url": url})).await?;
        ensure!(gone.get("errorText").is_none(), "{url}: {gone}");
        Ok(())
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&mut self, expression: &str) -> Result<()> {
        let seen = wait_until(expression, PATIENCE, async || {
            let value = self.value(expression).await.ok()?;
            (value == Value::Bool(true)).then_some(())
        });
        let seen = seen.await;
        if let Err(late) = seen {
            let text = self.value("document.body.innerText").await.unwrap_or_default();
            bail!("{late}; the page says: {text}; {:?}", self.complaints);
        }
        Ok(())
    }

    /// Waits until the page shows a text.
    pub(crate) async fn until_shown(&mut self, text: &str) -> Result<()> {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await
    }

    /// Presses and releases a key.
    pub(crate) async fn press(&mut self, key: &str, text: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({"type": kind, "key": key, "text": text,
                "windowsVirtualKeyCode": if key == "Enter" { 13 } else { 0 }});
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Types into what has the focus.
    pub(crate) async fn write(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({"text": text})).await.map(drop)
    }

    /// Errors in the page's console so far: exceptions, what the policy kept out, failed requests.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Any call of the protocol.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.to.write_all(&bytes).await?;
        let patience = Duration::from_secs(2) + PATIENCE;
        let answer = tokio::time::timeout(patience, self.answer(id)).await;
        answer.with_context(|| format!("{method}: no answer\n{}", self.process.log()))?
    }

    async fn answer(&mut self, id: u64) -> Result<Value> {
        loop {
            let message = self.message().await?;
            if message["id"] == id {
                if let Some(error) = message.get("error") {
                    bail!("{error}");
                }
                return Ok(message["result"].clone());
            }
            self.note(&message);
        }
    }

    async fn message(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == 0) {
                let rest = self.unread.split_off(end + 1);
                let message = std::mem::replace(&mut self.unread, rest);
                return Ok(serde_json::from_slice(&message[..end])?);
            }
            self.from.read_buf(&mut self.unread).await?;
        }
    }

    fn note(&mut self, event: &Value) {
        let said = &event["params"];
        let complaint = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => said["exceptionDetails"].to_string(),
            "Runtime.consoleAPICalled" if said["type"] == "error" => said["args"].to_string(),
            "Log.entryAdded" if said["entry"]["level"] == "error" => said["entry"].to_string(),
            _ => return,
        };
        self.complaints.push(complaint);
    }
}
