//! The proxy, as the filter's [`Host`].

use std::ptr::null;

use sealwax_filter_core::host::{
    Callout, CalloutToken, ContextId, HeaderMap, Host, LogLevel, MetricKind, Reply,
};

use crate::abi;

const STREAM_REQUEST: u32 = 0;
const MAP_REQUEST: u32 = 0;
const MAP_RESPONSE: u32 = 2;
const MAP_CALLOUT: u32 = 6;
const BUFFER_CALLOUT: u32 = 4;
const BUFFER_CONFIGURATION: u32 = 7;
const LEVEL_DEBUG: u32 = 1;
const LEVEL_WARN: u32 = 3;
const LEVEL_ERROR: u32 = 4;
/// Not a gRPC reply.
const NO_GRPC_STATUS: i32 = -1;

/// Everything the proxy offers; it has no state of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proxy;

impl Host for Proxy {
    fn now_ns(&mut self) -> Option<u64> {
        let mut now = 0;
        let status = abi::proxy_get_current_time_nanoseconds(&raw mut now);
        (status == abi::OK).then_some(now)
    }

    fn header(&mut self, map: HeaderMap, name: &str) -> Option<Vec<u8>> {
        let map = match map {
            HeaderMap::Request => MAP_REQUEST,
            HeaderMap::Response => MAP_RESPONSE,
            HeaderMap::Callout => MAP_CALLOUT,
        };
        abi::receive(|value, bytes| {
            abi::proxy_get_header_map_value(map, name.as_ptr(), name.len(), value, bytes)
        })
    }

    fn set_response_header(&mut self, name: &str, value: &[u8]) -> bool {
        abi::proxy_replace_header_map_value(
            MAP_RESPONSE,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        ) == abi::OK
    }

    fn property(&mut self, path: &str) -> Option<Vec<u8>> {
        abi::receive(|value, bytes| {
            abi::proxy_get_property(path.as_ptr(), path.len(), value, bytes)
        })
    }

    fn callout_body(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        buffer(BUFFER_CALLOUT, bytes_max)
    }

    fn configuration(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        buffer(BUFFER_CONFIGURATION, bytes_max)
    }

    fn shared(&mut self, key: &str) -> Option<Vec<u8>> {
        let mut cas = 0;
        abi::receive(|value, bytes| {
            abi::proxy_get_shared_data(key.as_ptr(), key.len(), value, bytes, &raw mut cas)
        })
    }

    fn set_shared(&mut self, key: &str, value: &[u8]) -> bool {
        let unconditional = 0;
        abi::proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            unconditional,
        ) == abi::OK
    }

    fn call(&mut self, callout: &Callout<'_>) -> Option<CalloutToken> {
        let headers = abi::encode_map(callout.headers);
        let mut token = 0;
        let status = abi::proxy_http_call(
            callout.cluster.as_ptr(),
            callout.cluster.len(),
            headers.as_ptr(),
            headers.len(),
            callout.body.as_ptr(),
            callout.body.len(),
            null(),
            0,
            callout.timeout_ms,
            &raw mut token,
        );
        (status == abi::OK).then_some(CalloutToken(token))
    }

    fn reply(&mut self, reply: &Reply<'_>) -> bool {
        let headers = abi::encode_map(reply.headers);
        abi::proxy_send_local_response(
            u32::from(reply.status),
            null(),
            0,
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        ) == abi::OK
    }

    fn abort(&mut self) -> bool {
        abi::proxy_close_stream(STREAM_REQUEST) == abi::OK
    }

    fn resume(&mut self) -> bool {
        abi::proxy_continue_stream(STREAM_REQUEST) == abi::OK
    }

    fn focus(&mut self, context: ContextId) -> bool {
        abi::proxy_set_effective_context(context.0) == abi::OK
    }

    fn set_tick_ms(&mut self, period_ms: u32) -> bool {
        abi::proxy_set_tick_period_milliseconds(period_ms) == abi::OK
    }

    fn define_metric(&mut self, kind: MetricKind, name: &str) -> Option<u32> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 2,
        };
        let mut id = 0;
        let status = abi::proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id);
        (status == abi::OK).then_some(id)
    }

    fn add_metric(&mut self, id: u32, amount: u64) -> bool {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        abi::proxy_increment_metric(id, amount) == abi::OK
    }

    fn record_metric(&mut self, id: u32, value: u64) -> bool {
        abi::proxy_record_metric(id, value) == abi::OK
    }

    fn debug_wanted(&mut self) -> bool {
        let mut level = u32::MAX;
        let status = abi::proxy_get_log_level(&raw mut level);
        status == abi::OK && level <= LEVEL_DEBUG
    }

    fn log(&mut self, level: LogLevel, line: &str) {
        let level = match level {
            LogLevel::Debug => LEVEL_DEBUG,
            LogLevel::Warn => LEVEL_WARN,
            LogLevel::Error => LEVEL_ERROR,
        };
        // A log line that cannot be written is not worth anything more.
        abi::proxy_log(level, line.as_ptr(), line.len());
    }
}

fn buffer(buffer: u32, bytes_max: usize) -> Option<Vec<u8>> {
    abi::receive(|value, bytes| abi::proxy_get_buffer_bytes(buffer, 0, bytes_max, value, bytes))
}
