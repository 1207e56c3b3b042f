//! `sealwax store`

use std::path::Path;
use std::sync::Arc;

use sealwax_core::Clock as _;
use sealwax_core::identity::{IDENTITY_DOCUMENT, StoreIdentity};
use sealwax_core::store::{Store as _, StoreError};
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
use sealwax_config::Config;
use sealwax_server::{MissingKey, WhenAbsent, key_sealer, open_store, places};
use sealwax_serving::identity::{put_identity, random_id};
use sealwax_system::SystemClock;

pub(super) async fn run(output: &mut Output, command: &StoreCommand) -> Outcome {
    match command {
        StoreCommand::Init(at) => {
            let config = load(at.config.as_deref())?;
            let store = open(&config, WhenAbsent::Create).await?;
            let done = store.init().await.map_err(failed)?;
            initialized(output, &store, &done, &named(&config, &store).await?)
        }
        StoreCommand::Status(at) => {
            let store = open(&load(at.config.as_deref())?, WhenAbsent::Refuse).await?;
            facts(output, store.facts().await.map_err(failed)?)
        }
        StoreCommand::RewrapKeys(at) => rewrap(output, at.config.as_deref()).await,
        StoreCommand::Copy(copy) => self::copy(output, copy).await,
        // Asked of the control plane.
        StoreCommand::Accept => Ok(()),
    }
}

async fn open(config: &Config, absent: WhenAbsent) -> Result<DynamoStore, Failed> {
    open_store(&config.store, absent, Arc::new(SystemClock)).await.map_err(failed)
}

/// The store's id, which it is given now if it has none, and the one this machine knew.
struct Named {
    id: String,
    known: Option<String>,
}

async fn named(config: &Config, store: &DynamoStore) -> Result<Named, Failed> {
    let known = places(config).read().map(|known| known.id);
    let found = store.document(IDENTITY_DOCUMENT).await.map_err(failed)?;
    let id = match found {
        Some(found) => serde_json::from_str::<StoreIdentity>(&found.text).map_err(failed)?.id,
        None => {
            let id = random_id().map_err(failed)?;
            let identity = StoreIdentity::new(id.clone(), SystemClock.now());
            match put_identity(store, 0, &identity, &SystemClock).await {
                // A control plane was faster.
                Err(StoreError::Lost { .. }) => store
                    .document(IDENTITY_DOCUMENT)
                    .await
                    .map_err(failed)?
                    .and_then(|found| serde_json::from_str::<StoreIdentity>(&found.text).ok())
                    .map_or(id, |found| found.id),
                Ok(()) => id,
                Err(error) => return Err(failed(error)),
            }
        }
    };
    Ok(Named { id, known })
}

fn initialized(
    output: &mut Output,
    store: &DynamoStore,
    done: &Initialized,
    named: &Named,
) -> Outcome {
    if output.json {
        return output.value(done);
    }
    let table = store.table();
    let made = if done.created { "created" } else { "was there already" };
    let recovery = if done.recovery { "on" } else { "not offered by this endpoint" };
    output.text(&format!("table {table}: {made}\npoint-in-time recovery: {recovery}\n"))?;
    match &named.known {
        Some(known) if *known != named.id => output.text(&format!(
            "store {}: this machine used {known} before. Control planes take nothing from edges on \
             this store's word until `sealwax store accept` is run against one of them\n",
            named.id
        )),
        _ => output.text(&format!("store {}\n", named.id)),
    }
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
    let config = load(file)?;
    let store = open(&config, WhenAbsent::Refuse).await?;
    let sealer = key_sealer(&config, MissingKey::Refuse).await.map_err(failed)?;
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
    let source = open(&source_config, WhenAbsent::Refuse).await?;
    // Keys are copied as they are: the target's key must open them.
    let sealer = key_sealer(&target_config, MissingKey::Refuse).await.map_err(failed)?;
    if !sealer.check_if_any(&source).await.map_err(failed)? {
        return Err(Failed::new("the source has no keys: it was never used; check its [store]"));
    }
    let target = open(&target_config, WhenAbsent::Create).await?;
    target.init().await.map_err(failed)?;
    // And what the target has already, before anything is written to it.
    sealer.check_if_any(&target).await.map_err(failed)?;
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
