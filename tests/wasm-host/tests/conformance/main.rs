//! The host against what Envoy does, one hand-written guest a behaviour.

#[cfg(test)]
mod callouts;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod workers;
