//! One instance of a guest: callbacks in, deferred actions after each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasmtime::{Func, Instance as WasmInstance, Linker, Memory, Store, StoreLimitsBuilder, Val};

use crate::error::HostError;
use crate::hostcalls;
use crate::observed::{LocalReply, Outcome};
use crate::program::Program;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::vm_state::{Access, Context, Deferred, VmState};

/// The root context of the one plugin an instance serves.
pub(crate) const ROOT: u32 = 1;

pub(crate) struct Instance {
    store: Store<VmState>,
    functions: BTreeMap<String, Func>,
    memory: Option<Memory>,
    next_context: u32,
    /// Fuel used since somebody last set this to 0.
    pub(crate) fuel: u64,
    /// Why it is broken, once it is.
    pub(crate) broken: Option<HostError>,
}

impl Instance {
    /// Links, starts and configures an instance.
    pub(crate) fn start(
        program: &Program,
        settings: &Arc<Settings>,
        shared: &Arc<Mutex<Shared>>,
        worker: usize,
        generation: u32,
    ) -> Result<Self, HostError> {
        let limits = StoreLimitsBuilder::new().memory_size(settings.memory_bytes_max).build();
        let state =
            VmState::new(worker, generation, Arc::clone(settings), Arc::clone(shared), limits);
        let mut store = Store::new(&program.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_fuel(settings.fuel_per_callback).map_err(HostError::link)?;
        let mut linker = Linker::new(&program.engine);
        hostcalls::define(&mut linker).map_err(HostError::link)?;
        let linked = linker.instantiate(&mut store, &program.module).map_err(HostError::link)?;
        let mut instance = Self::new(store, linked, program);
        instance.boot()?;
        Ok(instance)
    }

    fn new(mut store: Store<VmState>, linked: WasmInstance, program: &Program) -> Self {
        let malloc = ["malloc", "proxy_on_memory_allocate"]
            .iter()
            .find_map(|name| linked.get_typed_func(&mut store, name).ok());
        store.data_mut().malloc = malloc;
        let mut functions = BTreeMap::new();
        for export in program.module.exports() {
            if let Some(function) = linked.get_func(&mut store, export.name()) {
                functions.insert(export.name().to_owned(), function);
            }
        }
        let memory = linked.get_memory(&mut store, "memory");
        Self { store, functions, memory, next_context: ROOT + 1, fuel: 0, broken: None }
    }

    fn boot(&mut self) -> Result<(), HostError> {
        let settings = Arc::clone(&self.state().settings);
        let size = |bytes: &[u8]| i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let start =
            if self.functions.contains_key("_initialize") { "_initialize" } else { "_start" };
        self.call(start, 0, &[])?;
        self.state_mut().contexts.insert(ROOT, Context::Root);
        let root = ROOT.cast_signed();
        self.call("proxy_on_context_create", ROOT, &[root, 0])?;
        self.state_mut().starting = true;
        let arguments = [root, size(&settings.vm_configuration)];
        let started = self.call("proxy_on_vm_start", ROOT, &arguments)?;
        self.state_mut().starting = false;
        let configured = self.configure(ROOT, settings.configuration.clone())?;
        if started == Some(0) || !configured { Err(HostError::Refused) } else { Ok(()) }
    }

    /// Runs `proxy_on_configure`; answers whether the guest accepted.
    pub(crate) fn configure(
        &mut self,
        root: u32,
        configuration: Vec<u8>,
    ) -> Result<bool, HostError> {
        let bytes = i32::try_from(configuration.len()).unwrap_or(i32::MAX);
        self.state_mut().configuring = Some(configuration);
        let accepted = self.call("proxy_on_configure", root, &[root.cast_signed(), bytes]);
        self.state_mut().configuring = None;
        Ok(accepted? != Some(0))
    }

    pub(crate) fn state(&self) -> &VmState {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut VmState {
        self.store.data_mut()
    }

    /// Bytes of linear memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    pub(crate) const fn allocate_context(&mut self) -> u32 {
        let context = self.next_context;
        self.next_context += 1;
        context
    }

    /// Runs one callback and then everything it deferred. `None`: the guest has no such callback.
    pub(crate) fn callback(
        &mut self,
        name: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Option<u32> {
        let arguments: Vec<i32> = arguments.iter().map(|value| value.cast_signed()).collect();
        let result = self.call(name, context, &arguments);
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                self.broken = Some(error);
                None
            }
        };
        self.run_deferred();
        result
    }

    fn call(
        &mut self,
        name: &'static str,
        context: u32,
        arguments: &[i32],
    ) -> Result<Option<u32>, HostError> {
        let Some(function) = self.functions.get(name).copied() else { return Ok(None) };
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let budget = self.state().settings.fuel_per_callback;
        self.store.set_fuel(budget).map_err(HostError::link)?;
        let state = self.store.data_mut();
        (state.current, state.effective) = (context, context);
        let arguments: Vec<Val> = arguments.iter().map(|value| Val::I32(*value)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let outcome = function.call(&mut self.store, &arguments, &mut results);
        let state = self.store.data_mut();
        (state.current, state.effective) = (0, 0);
        self.fuel += budget - self.store.get_fuel().unwrap_or(0).min(budget);
        match outcome {
            Ok(()) => Ok(results.first().and_then(Val::i32).map(i32::cast_unsigned)),
            Err(error) => {
                // What a broken instance had deferred never happens: its streams hang.
                self.store.data_mut().deferred.clear();
                Err(HostError::Trap { callback: name, cause: format!("{error:#}") })
            }
        }
    }

    fn run_deferred(&mut self) {
        for action in std::mem::take(&mut self.state_mut().deferred) {
            match action {
                Deferred::Resume(context) => {
                    if let Some(stream) = self.state_mut().stream(context) {
                        stream.resuming = false;
                        stream.outcome = Outcome::Continued;
                    }
                }
                Deferred::ResumeResponse(context) => {
                    if let Some(stream) = self.state_mut().stream(context) {
                        stream.response_paused = false;
                    }
                }
                Deferred::Reset(context) => {
                    if let Some(stream) = self.state_mut().stream(context) {
                        stream.request.access = Access::Absent;
                        stream.response.access = Access::Absent;
                        stream.outcome = Outcome::Reset;
                    }
                }
                Deferred::Reply(context, reply) => self.reply(context, reply),
            }
        }
    }

    /// A local reply takes the response path of its stream, the guest's own callback included.
    fn reply(&mut self, context: u32, mut reply: LocalReply) {
        let Some(stream) = self.state_mut().stream(context) else { return };
        if stream.outcome == Outcome::Reset {
            return;
        }
        stream.request.access = Access::Absent;
        stream.response.headers = std::mem::take(&mut reply.headers);
        stream.response.access = Access::Open;
        let is_head = stream.request.headers.iter().any(|(n, v)| n == b":method" && v == b"HEAD");
        let count = u32::try_from(stream.response.headers.len()).unwrap_or(u32::MAX);
        let end = u32::from(is_head || reply.body.is_empty());
        self.callback("proxy_on_response_headers", context, &[context, count, end]);
        let Some(stream) = self.state_mut().stream(context) else { return };
        reply.headers = std::mem::take(&mut stream.response.headers);
        stream.response.access = Access::Absent;
        if is_head {
            reply.body.clear();
        }
        stream.outcome = Outcome::Replied(reply);
    }
}
