//! Header maps: any bytes are a map or none, and what is read of one lies within it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwax_filter_core::request_head::RequestHead;

fuzz_target!(|bytes: &[u8]| {
    let Some(head) = RequestHead::parse(bytes.to_vec()) else { return };
    let first = |name: &[u8]| head.values(name).next();
    assert_eq!(head.path(), first(b":path"));
    assert_eq!(head.method(), first(b":method").unwrap_or_default());
    assert_eq!(head.authority(), first(b":authority").unwrap_or_default());
    let values: usize = head.values(b"x").map(<[u8]>::len).sum();
    assert!(values < bytes.len());
});
