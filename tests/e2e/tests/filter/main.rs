//! The filter in real Envoy, where what Envoy does matters: several workers, callouts that fail or
//! never end, a sandbox that dies, what it tells the control plane. What the filter decides is
//! tested under the wasm host, in `tests/filter`.

#[cfg(test)]
mod challenges;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod support;
#[cfg(test)]
mod usage;
