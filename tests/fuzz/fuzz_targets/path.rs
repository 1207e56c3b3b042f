//! See `sealwax_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealwax_fuzz::path::fuzz(input));
