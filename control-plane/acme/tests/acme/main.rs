//! The issuer against certificate authorities: one contract for Pebble (as hostile as it can be)
//! and for the one in this process, then what only the latter does on command.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod adoption;
#[cfg(test)]
mod ca;
#[cfg(test)]
mod caa;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod drive;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod responder;
#[cfg(test)]
mod rollover;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod verdicts;
