//! See `sealwax_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealwax_fuzz::requests::fuzz(input));
