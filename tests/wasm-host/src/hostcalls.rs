//! The imports of module `env`: one table, one way in, so that counting and faults miss none.

mod callouts;
mod headers;
mod proxy;

pub(crate) use proxy::NS_PER_MS;
mod shared;
mod streams;

use wasmtime::{Caller, Extern, FuncType, Linker, Val, ValType};

use crate::status::Status;
use crate::vm_state::VmState;

/// Each hostcall and its parameters: `i` 32 bits, `l` 64 bits. All return a status.
pub const HOSTCALLS: [(&str, &str); 37] = [
    ("proxy_log", "iii"),
    ("proxy_get_log_level", "i"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_get_property", "iiii"),
    ("proxy_set_property", "iiii"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_get_status", "iii"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_define_metric", "iiii"),
    ("proxy_increment_metric", "il"),
    ("proxy_record_metric", "il"),
    ("proxy_get_metric", "ii"),
    ("proxy_set_effective_context", "i"),
    ("proxy_done", ""),
    ("proxy_call_foreign_function", "iiiiii"),
];

/// Defines every hostcall.
pub(crate) fn define(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    for (name, parameters) in HOSTCALLS {
        let parameters = parameters.chars().map(|kind| match kind {
            'l' => ValType::I64,
            _ => ValType::I32,
        });
        let shape = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new("env", name, shape, move |caller, arguments, results| {
            let mut call = Call { caller, arguments, function: name };
            let status = match call.caller.data_mut().count_call(name) {
                Some(failed) => failed,
                None => call.run()?,
            };
            if let Some(result) = results.first_mut() {
                *result = Val::I32(status as i32);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What a hostcall works with. A pointer outside memory is a trap, not a status: guests built with
/// the Rust SDK could not read that status.
struct Call<'a, 'c> {
    caller: Caller<'c, VmState>,
    arguments: &'a [Val],
    function: &'static str,
}

type Answer = wasmtime::Result<Status>;

impl Call<'_, '_> {
    fn run(&mut self) -> Answer {
        let function = self.function;
        match function {
            "proxy_get_header_map_pairs"
            | "proxy_set_header_map_pairs"
            | "proxy_get_header_map_value"
            | "proxy_add_header_map_value"
            | "proxy_replace_header_map_value"
            | "proxy_remove_header_map_value" => self.header_map(),
            "proxy_get_buffer_bytes" => self.get_buffer(),
            "proxy_set_buffer_bytes" => self.set_buffer(),
            "proxy_continue_stream" => Ok(self.continue_stream()),
            "proxy_close_stream" => Ok(self.close_stream()),
            "proxy_send_local_response" => self.send_local_response(),
            "proxy_http_call" => self.http_call(),
            "proxy_grpc_call" | "proxy_grpc_stream" | "proxy_grpc_send" | "proxy_grpc_cancel"
            | "proxy_grpc_close" | "proxy_get_status" => Ok(self.grpc()),
            "proxy_get_shared_data" => self.get_shared_data(),
            "proxy_set_shared_data" => self.set_shared_data(),
            "proxy_register_shared_queue" => self.register_queue(),
            "proxy_resolve_shared_queue" => self.resolve_queue(),
            "proxy_enqueue_shared_queue" => self.enqueue(),
            "proxy_dequeue_shared_queue" => self.dequeue(),
            "proxy_define_metric" => self.define_metric(),
            "proxy_increment_metric" => Ok(self.increment_metric()),
            "proxy_record_metric" => Ok(self.record_metric()),
            "proxy_get_metric" => self.get_metric(),
            _ => self.proxy_call(),
        }
    }

    fn u32(&self, index: usize) -> u32 {
        match self.arguments.get(index) {
            Some(Val::I32(value)) => value.cast_unsigned(),
            _ => 0,
        }
    }

    fn i64(&self, index: usize) -> i64 {
        match self.arguments.get(index) {
            Some(Val::I64(value)) => *value,
            _ => 0,
        }
    }

    fn state(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    /// The bytes whose address and length are parameters `index` and `index + 1`.
    fn bytes(&mut self, index: usize) -> wasmtime::Result<Vec<u8>> {
        let (start, length) = (self.u32(index), self.u32(index + 1));
        let mut bytes = vec![0; usize::try_from(length)?];
        let memory = self.memory()?;
        memory.read(&self.caller, usize::try_from(start)?, &mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self, index: usize) -> wasmtime::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(index)?).into_owned())
    }

    /// Writes `value` where parameter `index` points.
    fn put(&mut self, index: usize, value: &[u8]) -> wasmtime::Result<()> {
        let address = usize::try_from(self.u32(index))?;
        let memory = self.memory()?;
        Ok(memory.write(&mut self.caller, address, value)?)
    }

    /// Hands `bytes` over in memory the guest allocates; address and length go where parameters
    /// `index` and `index + 1` point. Nothing is a null pointer.
    fn give(&mut self, index: usize, bytes: &[u8]) -> Answer {
        let length = u32::try_from(bytes.len())?;
        let address = if bytes.is_empty() { 0 } else { self.allocate(length)? };
        if address == 0 && !bytes.is_empty() {
            return Ok(Status::InternalFailure);
        }
        let memory = self.memory()?;
        memory.write(&mut self.caller, usize::try_from(address)?, bytes)?;
        self.put(index, &address.to_le_bytes())?;
        self.put(index + 1, &length.to_le_bytes())?;
        Ok(Status::Ok)
    }

    fn allocate(&mut self, length: u32) -> wasmtime::Result<u32> {
        let Some(malloc) = self.caller.data().malloc.clone() else {
            return Err(wasmtime::Error::msg("the guest exports no malloc"));
        };
        malloc.call(&mut self.caller, length)
    }

    fn memory(&mut self) -> wasmtime::Result<wasmtime::Memory> {
        match self.caller.get_export("memory") {
            Some(Extern::Memory(memory)) => Ok(memory),
            _ => Err(wasmtime::Error::msg("the guest exports no memory")),
        }
    }
}
