//! Every behaviour of the filter, in the built module.

#[cfg(test)]
mod challenge;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod contexts;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod redirect;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod schema_agreement;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod workers;
