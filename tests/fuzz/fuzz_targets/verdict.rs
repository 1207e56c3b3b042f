//! See `sealwax_fuzz::verdict`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, Option<u64>, Vec<u8>)| sealwax_fuzz::verdict::fuzz(input));
