//! See `sealwax_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealwax_fuzz::config::fuzz(input));
