//! User stories on real Envoy, real Pebble and the real control plane.
//!
//! Each story starts a line of its own on free ports and ends it. What a story waits for it looks
//! at; nothing sleeps.

#[cfg(test)]
mod account;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod calendars;
#[cfg(test)]
mod campaign;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod departures;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fronts;
#[cfg(test)]
mod issuing;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod odd_cas;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod plain_http;
#[cfg(test)]
mod preflight;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod staging;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod two_envoys;
#[cfg(test)]
mod unknown_names;
