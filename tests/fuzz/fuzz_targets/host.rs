//! See `sealwax_fuzz::host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealwax_fuzz::host::fuzz(input));
