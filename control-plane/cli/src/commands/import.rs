//! `sealwax domain import`: a million lines, streamed both ways.

use std::io::{BufRead, BufReader};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::stream;
use reqwest::Body;
use tokio::sync::mpsc;

use super::arguments::Import;
use super::client::AdminClient;
use super::exit::{FAILED, Failed, Outcome};
use super::output::{Output, remark};
use super::progress::Progress;
use super::table::clean;
use sealwax_admin::{BatchResult, LINE_BYTES_MAX, RegistrationBody};

/// Lines read ahead of the control plane.
const AHEAD: usize = 1024;
/// Lines sent in one piece: several of what the control plane writes in one transaction.
const PIECE_LINES: usize = 512;
/// Failed lines told one by one; the rest is counted.
const TOLD_MAX: u64 = 20;

pub(super) async fn run(client: &AdminClient, output: &mut Output, import: Import) -> Outcome {
    let defaults = RegistrationBody::from(import.registration);
    let total = count_lines(&import.from)?.map(|lines| lines.saturating_sub(import.from_line - 1));
    let lines = read_lines(&import.from, import.from_line, defaults)?;
    let mut tally = Tally::new(import.from_line, total);
    let sent = tokio::select! {
        sent = send(client, output, lines, &mut tally) => sent,
        _ = tokio::signal::ctrl_c() => Err(Failed::new("stopped")),
    };
    tally.progress.end();
    match sent {
        Ok(()) => tally.conclude(output),
        Err(failed) => Err(Failed::new(format!(
            "{failed}. {} lines are done; go on with --from-line {}",
            tally.done, tally.next_line
        ))),
    }
}

async fn send(
    client: &AdminClient,
    output: &mut Output,
    lines: mpsc::Receiver<Result<Bytes, std::io::Error>>,
    tally: &mut Tally,
) -> Outcome {
    let body = stream::unfold(lines, async |mut lines| Some((piece(&mut lines).await?, lines)));
    let mut answer = client.stream(&["v1", "domains:batch"], Body::wrap_stream(body)).await?;
    let mut unread = BytesMut::new();
    loop {
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line = unread.split_to(end.saturating_add(1));
            let result: BatchResult = serde_json::from_slice(&line).map_err(|error| {
                Failed::new(format!("{} answered something else: {error}", client.name()))
            })?;
            tally.count(output, &result)?;
        }
        if unread.len() > 2 * LINE_BYTES_MAX {
            return Err(Failed::new(format!("{} answered something else", client.name())));
        }
        match answer.chunk().await {
            Ok(Some(chunk)) => unread.extend_from_slice(&chunk),
            Ok(None) => return Ok(()),
            Err(error) => return Err(Failed::new(format!("the answer broke off ({error})"))),
        }
    }
}

/// The lines that are there: what arrives together is written together.
async fn piece(
    lines: &mut mpsc::Receiver<Result<Bytes, std::io::Error>>,
) -> Option<Result<Bytes, std::io::Error>> {
    let mut several = Vec::new();
    if lines.recv_many(&mut several, PIECE_LINES).await == 0 {
        return None;
    }
    let joined = several.into_iter().try_fold(BytesMut::new(), |mut piece, line| {
        piece.extend_from_slice(&line?);
        Ok(piece)
    });
    Some(joined.map(BytesMut::freeze))
}

/// What came back.
struct Tally {
    first_line: u64,
    /// The first line of which nothing is known.
    next_line: u64,
    done: u64,
    created: u64,
    failed: u64,
    progress: Progress,
}

impl Tally {
    fn new(first_line: u64, total: Option<u64>) -> Self {
        let progress = Progress::new(total);
        Self { first_line, next_line: first_line, done: 0, created: 0, failed: 0, progress }
    }

    fn count(&mut self, output: &mut Output, result: &BatchResult) -> Outcome {
        let line = self.first_line.saturating_add(result.line).saturating_sub(1);
        self.next_line = line.saturating_add(1);
        self.done = self.done.saturating_add(1);
        if result.status == 201 {
            self.created = self.created.saturating_add(1);
        }
        if let Some(problem) = &result.problem {
            self.failed = self.failed.saturating_add(1);
            if self.failed <= TOLD_MAX {
                self.progress.end();
                let domain = result.domain.as_deref().unwrap_or_default();
                remark(&format!("line {line}: {}: {}", clean(domain), clean(&problem.detail)));
            }
        }
        self.progress.at(self.done, self.failed);
        if output.json { output.value(&BatchResult { line, ..result.clone() }) } else { Ok(()) }
    }

    fn conclude(&self, output: &mut Output) -> Outcome {
        let there = self.done.saturating_sub(self.created).saturating_sub(self.failed);
        if !output.json {
            output.text(&format!(
                "{} registered, {there} were registered already, {} failed\n",
                self.created, self.failed
            ))?;
        }
        if self.failed > TOLD_MAX {
            remark(&format!("{} more lines failed", self.failed - TOLD_MAX));
        }
        if self.failed == 0 { Ok(()) } else { Err(Failed::said(FAILED)) }
    }
}

fn is_standard_input(from: &Path) -> bool {
    from.as_os_str() == "-"
}

fn open(from: &Path) -> Result<Box<dyn BufRead + Send>, Failed> {
    if is_standard_input(from) {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(from)
        .map_err(|error| Failed::usage(format!("{} cannot be read: {error}", from.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

/// How many lines a file has; `None` for standard input.
fn count_lines(from: &Path) -> Result<Option<u64>, Failed> {
    if is_standard_input(from) {
        return Ok(None);
    }
    let mut reader = open(from)?;
    let mut lines = 0_u64;
    loop {
        let chunk = reader
            .fill_buf()
            .map_err(|error| Failed::new(format!("{} cannot be read: {error}", from.display())))?;
        if chunk.is_empty() {
            return Ok(Some(lines));
        }
        let ends = chunk.iter().filter(|&&byte| byte == b'\n').count();
        lines = lines.saturating_add(u64::try_from(ends).unwrap_or(u64::MAX));
        let length = chunk.len();
        reader.consume(length);
    }
}

/// Reads on a thread of its own, as standard input blocks.
fn read_lines(
    from: &Path,
    first_line: u64,
    defaults: RegistrationBody,
) -> Result<mpsc::Receiver<Result<Bytes, std::io::Error>>, Failed> {
    let reader = open(from)?;
    let (lines, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let skipped = usize::try_from(first_line.saturating_sub(1)).unwrap_or(usize::MAX);
        for line in reader.lines().skip(skipped) {
            let sent = line.map(|line| as_json(&line, &defaults));
            let broken = sent.is_err();
            if lines.blocking_send(sent).is_err() || broken {
                return;
            }
        }
    });
    Ok(receiver)
}

/// A line as the batch wants it. What is JSON already goes as it is; a comment becomes an empty
/// line, so that line numbers stay true.
fn as_json(line: &str, defaults: &RegistrationBody) -> Bytes {
    let text = line.trim();
    let mut json = if text.is_empty() || text.starts_with('#') {
        String::new()
    } else if text.starts_with('{') {
        text.to_owned()
    } else {
        let mut fields = serde_json::to_value(defaults).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("domain".to_owned(), text.into());
        }
        fields.to_string()
    };
    json.push('\n');
    json.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_json_and_line_numbers_stay_true() {
        let defaults =
            RegistrationBody { tenant: Some("t1".to_owned()), ..RegistrationBody::default() };
        let json = |line: &str| String::from_utf8(as_json(line, &defaults).to_vec()).unwrap();
        assert_eq!(json(" a.example.com "), "{\"domain\":\"a.example.com\",\"tenant\":\"t1\"}\n");
        assert_eq!(json("# a comment"), "\n");
        assert_eq!(json(""), "\n");
        assert_eq!(json("{\"domain\":\"b.example\"}"), "{\"domain\":\"b.example\"}\n");
        assert_eq!(json("a\"b"), "{\"domain\":\"a\\\"b\",\"tenant\":\"t1\"}\n");
    }
}
