//! The store: a million domains embedded, changes across replicas, capacity units.
//!
//! Imports, starts and memory are those of the `sealwax` process, through its command line; look-ups
//! are the store's own. Units and changes are counted and timed at control planes over one DynamoDB
//! endpoint in a process of its own.

mod changes;
mod embedded;
mod stream;
mod units;

use anyhow::{Context as _, Result};

use crate::report::Group;
use crate::tell;

/// Measures the group.
///
/// # Errors
/// A part is missing or fails.
pub(crate) async fn measure() -> Result<Group> {
    let mut figures = units::measure().await.context("units")?;
    let (change, plot) = changes::measure().await.context("changes")?;
    figures.extend(change);
    tell("importing; this takes minutes");
    figures.extend(embedded::measure().await.context("embedded")?);
    Ok(Group { name: "store", figures, plots: vec![plot] })
}
