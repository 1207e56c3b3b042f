//! Several control planes on one DynamoDB endpoint, each with an Envoy of its own.

#[cfg(test)]
mod challenges;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kms;
#[cfg(test)]
mod lost_store;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod site;
#[cfg(test)]
mod store_commands;
#[cfg(test)]
mod takeover;
