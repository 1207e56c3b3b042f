//! Everything one instance's hostcalls touch. Nothing is global, so tests run side by side.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{StoreLimits, TypedFunc};

use crate::observed::{CalloutRequest, Fault, LocalReply, Outcome, Violation};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::status::Status;
use crate::wire::Headers;

/// Most log lines and violations kept; later ones are dropped.
const KEPT_MAX: usize = 10_000;

/// A header map's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Not there: before its callback, or after the stream went on.
    Absent,
    /// There, while its callback runs and while the stream is paused in it.
    Open,
    /// There for reading, while the stream is logged.
    ReadOnly,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) headers: Headers,
    pub(crate) access: Access,
}

impl Map {
    const fn absent() -> Self {
        Self { headers: Vec::new(), access: Access::Absent }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) request: Map,
    pub(crate) response: Map,
    pub(crate) request_body: Option<Vec<u8>>,
    pub(crate) response_body: Option<Vec<u8>>,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) outcome: Outcome,
    /// A resume waits to be carried out.
    pub(crate) resuming: bool,
    /// A reply was asked for.
    pub(crate) replied: bool,
    pub(crate) response_paused: bool,
}

impl Stream {
    pub(crate) const fn new(properties: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self {
            request: Map::absent(),
            response: Map::absent(),
            request_body: None,
            response_body: None,
            properties,
            outcome: Outcome::Continued,
            resuming: false,
            replied: false,
            response_paused: false,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Context {
    Root,
    Stream { root: u32, stream: Box<Stream> },
}

/// What a hostcall asked for and the proxy does after the callback.
#[derive(Debug)]
pub(crate) enum Deferred {
    Resume(u32),
    ResumeResponse(u32),
    Reset(u32),
    Reply(u32, LocalReply),
}

#[derive(Debug)]
pub(crate) struct Tick {
    pub(crate) period_ms: u32,
    pub(crate) next_ns: u64,
}

pub(crate) struct VmState {
    pub(crate) worker: usize,
    pub(crate) generation: u32,
    pub(crate) settings: Arc<Settings>,
    shared: Arc<Mutex<Shared>>,
    pub(crate) contexts: BTreeMap<u32, Context>,
    /// Whose callback runs.
    pub(crate) current: u32,
    /// Whom hostcalls are about.
    pub(crate) effective: u32,
    pub(crate) deferred: Vec<Deferred>,
    pub(crate) callouts: BTreeMap<u32, CalloutRequest>,
    pub(crate) next_token: u32,
    /// The callout answer being delivered.
    pub(crate) delivering: Option<(Headers, Vec<u8>)>,
    /// What `proxy_on_configure` reads, while it runs.
    pub(crate) configuring: Option<Vec<u8>>,
    pub(crate) starting: bool,
    pub(crate) ticks: BTreeMap<u32, Tick>,
    pub(crate) faults: Vec<(Fault, u64)>,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) logs: Vec<(u32, String)>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) limits: StoreLimits,
    pub(crate) malloc: Option<TypedFunc<u32, u32>>,
}

impl VmState {
    pub(crate) fn new(
        worker: usize,
        generation: u32,
        settings: Arc<Settings>,
        shared: Arc<Mutex<Shared>>,
        limits: StoreLimits,
    ) -> Self {
        let faults = settings.faults.iter().map(|fault| (fault.clone(), 0)).collect();
        Self {
            worker,
            generation,
            settings,
            shared,
            contexts: BTreeMap::new(),
            current: 0,
            effective: 0,
            deferred: Vec::new(),
            callouts: BTreeMap::new(),
            next_token: 1,
            delivering: None,
            configuring: None,
            starting: false,
            ticks: BTreeMap::new(),
            faults,
            calls: BTreeMap::new(),
            logs: Vec::new(),
            violations: Vec::new(),
            limits,
            malloc: None,
        }
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stream(&mut self, context: u32) -> Option<&mut Stream> {
        match self.contexts.get_mut(&context)? {
            Context::Stream { stream, .. } => Some(stream),
            Context::Root => None,
        }
    }

    /// The root of a context.
    pub(crate) fn root_of(&self, context: u32) -> u32 {
        match self.contexts.get(&context) {
            Some(Context::Stream { root, .. }) => *root,
            Some(Context::Root) | None => context,
        }
    }

    /// Whom hostcalls are about: the context in focus, or the true one if that is gone.
    pub(crate) fn focus(&self) -> u32 {
        if self.contexts.contains_key(&self.effective) { self.effective } else { self.current }
    }

    pub(crate) fn violate(&mut self, violation: Violation) {
        if self.violations.len() < KEPT_MAX {
            self.violations.push(violation);
        }
    }

    pub(crate) fn log(&mut self, level: u32, line: &[u8]) {
        if self.logs.len() < KEPT_MAX {
            self.logs.push((level, String::from_utf8_lossy(line).into_owned()));
        }
    }

    /// Counts a call and says whether it is to fail.
    pub(crate) fn count_call(&mut self, function: &'static str) -> Option<Status> {
        *self.calls.entry(function).or_default() += 1;
        let mut failed = None;
        for (fault, seen) in &mut self.faults {
            if fault.function.is_none_or(|name| name == function) {
                let fails = *seen >= fault.after && *seen - fault.after < fault.times;
                *seen = seen.saturating_add(1);
                if fails {
                    failed = failed.or(Some(fault.status));
                }
            }
        }
        failed
    }
}
