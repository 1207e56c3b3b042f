//! Whatever an edge sends, every response keeps the protocol's rules and nothing grows without
//! bound.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| sealwax_xds::fuzzing::play(input));
