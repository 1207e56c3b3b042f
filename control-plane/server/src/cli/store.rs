//! `sealwax store`

use std::sync::Arc;

use super::arguments::StoreCommand;
use super::exit::{Failed, Outcome};
use super::output::Output;
use super::serve::load;
use super::table::table;
use crate::app::open_store;
use crate::system::SystemClock;

pub(super) async fn run(output: &mut Output, command: &StoreCommand) -> Outcome {
    match command {
        StoreCommand::Init(at) => {
            let config = load(at.config.as_deref())?;
            let store = open_store(&config.store, Arc::new(SystemClock)).await.map_err(failed)?;
            let done = store.init().await.map_err(failed)?;
            if output.json {
                return output.value(&done);
            }
            let table = store.table();
            let made = if done.created { "created" } else { "was there already" };
            let recovery = if done.recovery { "on" } else { "not offered by this endpoint" };
            output.text(&format!("table {table}: {made}\npoint-in-time recovery: {recovery}\n"))
        }
        StoreCommand::Status(at) => {
            let config = load(at.config.as_deref())?;
            let store = open_store(&config.store, Arc::new(SystemClock)).await.map_err(failed)?;
            let facts = store.facts().await.map_err(failed)?;
            if output.json {
                return output.value(&facts);
            }
            let mut rows = vec![[facts.table, facts.status, facts.items.to_string()]];
            for (index, items) in facts.indexes {
                rows.push([format!("index {index}"), String::new(), items.to_string()]);
            }
            output.text(&table(["NAME", "STATUS", "ITEMS"], &rows))
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::new(error.to_string())
}
