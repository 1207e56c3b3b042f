//! Fuzz targets for everything that is read from a network.
//!
//! What a target checks is a function here, so that every build compiles it; `fuzz_targets/` binds
//! each to the fuzzer, which needs a nightly compiler (`make fuzz`).

pub mod config;
pub mod host;
pub mod path;
pub mod requests;
pub mod verdict;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_takes_odd_inputs() {
        let long = vec![b'a'; 4096];
        let odd: [&[u8]; 7] = [b"", b"\0", b"a.example.com", b"{}", b"[1,2]", &[0xff; 64], &long];
        for input in odd {
            super::config::fuzz(input);
            super::host::fuzz(input);
            super::path::fuzz(input);
            super::requests::fuzz(input);
            for status in 0..8 {
                super::verdict::fuzz((status, Some(u64::MAX), input.to_vec()));
            }
        }
    }
}
