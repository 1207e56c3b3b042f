//! What the module may import and export, and how large it may be.

/// Callbacks and memory; the proxy calls every callback it finds, on every request, so each one
/// here has a use.
pub(crate) const EXPORTS: [&str; 11] = [
    "_initialize",
    "malloc",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];

/// What the names of exports begin with that stand in front of the SDK's.
pub(crate) const GUARDED: &str = "guarded_";

/// Hostcalls, all in module `env`: the 18 the filter makes, and those that only the default
/// methods of the SDK's traits name, which are never called. ABI 0.2.1 has all of them.
pub(crate) const IMPORTS: [&str; 36] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// The module hostcalls are imported from.
pub(crate) const IMPORT_MODULE: &str = "env";

/// Largest packed module, in bytes.
pub(crate) const MODULE_BYTES_MAX: usize = 250_000;
