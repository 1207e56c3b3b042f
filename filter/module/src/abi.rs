//! The imports of proxy-wasm ABI 0.2.1 that the filter uses, and the memory the host hands over.
//!
//! The SDK's own wrappers panic on any status they do not expect, and hold statuses in an enum that
//! has no place for half of them. Here a status is a plain number: whatever a host returns is a
//! value, never a panic and never undefined behaviour.

use std::cell::RefCell;
use std::ptr::null_mut;

/// The status of a call that did what it was asked.
pub(crate) const OK: u32 = 0;

thread_local! {
    /// Buffers the host asked for and has not been given back yet. They are found again by their
    /// address, so that no raw pointer is ever turned into a buffer.
    static GIVEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Allocates `bytes` for the host to write to. Null when there is no memory.
pub(crate) fn give(bytes: usize) -> *mut u8 {
    let mut buffer: Vec<u8> = Vec::new();
    if buffer.try_reserve_exact(bytes).is_err() {
        return null_mut();
    }
    buffer.resize(bytes, 0);
    let address = buffer.as_mut_ptr();
    GIVEN.with_borrow_mut(|given| given.push(buffer));
    address
}

/// Makes a hostcall that hands over a buffer, and takes that buffer. `None`: the call failed.
pub(crate) fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut address = null_mut();
    let mut bytes = 0;
    let status = call(&raw mut address, &raw mut bytes);
    GIVEN.with_borrow_mut(|given| {
        let index = given.iter().position(|buffer| std::ptr::eq(buffer.as_ptr(), address));
        let buffer = index.map(|index| given.swap_remove(index));
        given.clear();
        match (status, buffer) {
            (OK, Some(mut buffer)) => {
                buffer.truncate(bytes);
                Some(buffer)
            }
            // An empty value is a null pointer.
            (OK, None) if bytes == 0 => Some(Vec::new()),
            _ => None,
        }
    })
}

/// The wire form of a header map.
pub(crate) fn encode_map(headers: &[(&str, &[u8])]) -> Vec<u8> {
    let strings: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    let mut bytes = Vec::with_capacity(4 + strings);
    let length = |bytes: &mut Vec<u8>, length: usize| {
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    };
    length(&mut bytes, headers.len());
    for (name, value) in headers {
        length(&mut bytes, name.len());
        length(&mut bytes, value.len());
    }
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

#[expect(
    unsafe_code,
    reason = "imports cannot be declared otherwise; every pointer passed is a slice's or a local's"
)]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(crate) safe fn proxy_log(level: u32, text: *const u8, bytes: usize) -> u32;
    pub(crate) safe fn proxy_get_log_level(level: *mut u32) -> u32;
    pub(crate) safe fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    pub(crate) safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub(crate) safe fn proxy_set_effective_context(context: u32) -> u32;
    pub(crate) safe fn proxy_continue_stream(stream: u32) -> u32;
    pub(crate) safe fn proxy_close_stream(stream: u32) -> u32;
    pub(crate) safe fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_bytes: usize,
        value: *mut *mut u8,
        value_bytes: *mut usize,
    ) -> u32;
    pub(crate) safe fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_bytes: usize,
        value: *const u8,
        value_bytes: usize,
    ) -> u32;
    pub(crate) safe fn proxy_get_property(
        path: *const u8,
        path_bytes: usize,
        value: *mut *mut u8,
        value_bytes: *mut usize,
    ) -> u32;
    pub(crate) safe fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        bytes_max: usize,
        value: *mut *mut u8,
        value_bytes: *mut usize,
    ) -> u32;
    pub(crate) safe fn proxy_get_shared_data(
        key: *const u8,
        key_bytes: usize,
        value: *mut *mut u8,
        value_bytes: *mut usize,
        cas: *mut u32,
    ) -> u32;
    pub(crate) safe fn proxy_set_shared_data(
        key: *const u8,
        key_bytes: usize,
        value: *const u8,
        value_bytes: usize,
        cas: u32,
    ) -> u32;
    pub(crate) safe fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_bytes: usize,
        body: *const u8,
        body_bytes: usize,
        headers: *const u8,
        headers_bytes: usize,
        grpc_status: i32,
    ) -> u32;
    pub(crate) safe fn proxy_http_call(
        cluster: *const u8,
        cluster_bytes: usize,
        headers: *const u8,
        headers_bytes: usize,
        body: *const u8,
        body_bytes: usize,
        trailers: *const u8,
        trailers_bytes: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    pub(crate) safe fn proxy_define_metric(
        kind: u32,
        name: *const u8,
        name_bytes: usize,
        id: *mut u32,
    ) -> u32;
    pub(crate) safe fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    pub(crate) safe fn proxy_record_metric(id: u32, value: u64) -> u32;
}
