//! `sealwax store`

use std::path::Path;
use std::sync::Arc;

use sealwax_store::{
    CopyProgress, DynamoStore, Initialized, RewrapProgress, TableFacts, copy_store, rewrap_keys,
};
use serde_json::json;

use super::arguments::{CopyStore, StoreCommand};
use super::exit::{Failed, Outcome};
use super::output::Output;
use super::progress::Progress;
use super::serve::load;
use super::table::table;
use crate::app::{key_sealer, open_store};
use crate::config::Config;
use crate::system::SystemClock;

pub(super) async fn run(output: &mut Output, command: &StoreCommand) -> Outcome {
    match command {
        StoreCommand::Init(at) => {
            let (_, store) = open(at.config.as_deref()).await?;
            initialized(output, &store, &store.init().await.map_err(failed)?)
        }
        StoreCommand::Status(at) => {
            let (_, store) = open(at.config.as_deref()).await?;
            facts(output, store.facts().await.map_err(failed)?)
        }
        StoreCommand::RewrapKeys(at) => rewrap(output, at.config.as_deref()).await,
        StoreCommand::Copy(copy) => self::copy(output, copy).await,
    }
}

async fn open(file: Option<&Path>) -> Result<(Config, DynamoStore), Failed> {
    let config = load(file)?;
    let store = open_store(&config.store, Arc::new(SystemClock)).await.map_err(failed)?;
    Ok((config, store))
}

fn initialized(output: &mut Output, store: &DynamoStore, done: &Initialized) -> Outcome {
    if output.json {
        return output.value(done);
    }
    let table = store.table();
    let made = if done.created { "created" } else { "was there already" };
    let recovery = if done.recovery { "on" } else { "not offered by this endpoint" };
    output.text(&format!("table {table}: {made}\npoint-in-time recovery: {recovery}\n"))
}

fn facts(output: &mut Output, facts: TableFacts) -> Outcome {
    if output.json {
        return output.value(&facts);
    }
    let mut rows = vec![[facts.table, facts.status, facts.items.to_string()]];
    for (index, items) in facts.indexes {
        rows.push([format!("index {index}"), String::new(), items.to_string()]);
    }
    output.text(&table(["NAME", "STATUS", "ITEMS"], &rows))
}

async fn rewrap(output: &mut Output, file: Option<&Path>) -> Outcome {
    let (config, store) = open(file).await?;
    let sealer = key_sealer(&config).await.map_err(failed)?;
    sealer.check(&store).await.map_err(failed)?;
    let mut progress = Progress::new(about(&store).await);
    let run = rewrap_keys(&store, &sealer, |so_far| progress.at(so_far.seen, 0));
    let done = until_stopped(run).await;
    progress.end();
    let RewrapProgress { seen, rewrapped, resumed } = done?;
    if output.json {
        let key = sealer.current().to_string();
        let done = json!({"seen": seen, "rewrapped": rewrapped, "resumed": resumed, "key": key});
        return output.value(&done);
    }
    output.text(&format!(
        "{rewrapped} rewrapped, {} were under this key already; [keys] retired can go\n",
        seen.saturating_sub(rewrapped)
    ))
}

async fn copy(output: &mut Output, copy: &CopyStore) -> Outcome {
    let target_config = load(Some(&copy.to))?;
    let source_config = load(copy.from.config.as_deref())?;
    if source_config.store == target_config.store {
        return Err(Failed::usage("both configurations name the same store"));
    }
    let clock = || Arc::new(SystemClock);
    let source = open_store(&source_config.store, clock()).await.map_err(failed)?;
    // Keys are copied as they are: the target's key must open them.
    let sealer = key_sealer(&target_config).await.map_err(failed)?;
    sealer.check(&source).await.map_err(failed)?;
    let target = open_store(&target_config.store, clock()).await.map_err(failed)?;
    target.init().await.map_err(failed)?;
    let mut progress = Progress::new(about(&source).await);
    let run = copy_store(&source, &target, |so_far| progress.at(so_far.verified, 0));
    let done = until_stopped(run).await;
    progress.end();
    let CopyProgress { seen, written, verified, accounts, resumed } = done?;
    sealer.check(&target).await.map_err(failed)?;
    if output.json {
        return output.value(&json!({"seen": seen, "written": written, "verified": verified,
            "accounts": accounts, "resumed": resumed}));
    }
    output.text(&format!(
        "{written} domains written, {} were there already, {verified} read back and equal, \
         {accounts} accounts\n",
        seen.saturating_sub(written)
    ))
}

/// How many domains there are, for the time left: about, because AWS counts every six hours.
async fn about(store: &DynamoStore) -> Option<u64> {
    let facts = store.facts().await.ok()?;
    facts.indexes.into_iter().map(|(_, items)| items).max().filter(|items| *items > 0)
}

/// What is done stays done, whichever way it ends.
async fn until_stopped<T, E: std::fmt::Display>(
    run: impl Future<Output = Result<T, E>>,
) -> Result<T, Failed> {
    tokio::select! {
        done = run => done.map_err(|error| {
            Failed::new(format!("{error}; the same command goes on where it stopped"))
        }),
        _ = tokio::signal::ctrl_c() => {
            Err(Failed::new("stopped; the same command goes on where it stopped"))
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::new(error.to_string())
}
