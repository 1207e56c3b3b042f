//! What everything else stands on: the store, whether it is the known one, the sealer, and the copy
//! that is served while the store is away.

use std::path::PathBuf;
use std::sync::Arc;

use sealwax_core::Clock;
use sealwax_core::store::{Fronted, Store};
use sealwax_store::{Upkeep, embedded_exists, embedded_file};

use super::error::AppError;
use super::late_store::{Late, LateStore};
use super::places::places;
use super::region;
use super::sealing::ProvenSealer;
use super::watch::Eyes;
use sealwax_config::{self as config, Config};
use sealwax_serving::identity::{IdentityWatch, Places, Trust};
use sealwax_serving::last_good::{Keeper, LastGood};

/// The store and what belongs to it, opened.
pub(super) struct Ground {
    /// All state, measured.
    pub(super) store: Arc<dyn Store>,
    /// The store, for what is done to all of it.
    pub(super) upkeep: Arc<dyn Upkeep>,
    /// An embedded store that was not there at the start.
    pub(super) late: Option<Arc<LateStore>>,
    /// What is served while the store is away.
    pub(super) last_good: Option<LastGood>,
    /// Writes it.
    pub(super) keeper: Option<Keeper>,
    /// Whether the store's silence may be acted on.
    pub(super) trust: Trust,
    /// Which store it is, and whether it is the known one.
    pub(super) identity: Arc<IdentityWatch>,
    /// Seals and opens private keys.
    pub(super) sealer: Arc<ProvenSealer>,
}

impl Ground {
    /// Opens it, and looks at the store's identity before anything is written to it.
    ///
    /// # Errors
    /// What keeps the control plane from starting.
    pub(super) async fn open(
        config: &Config,
        eyes: &Eyes,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, AppError> {
        // Before the store: it makes the folder, and says whether there is something to serve.
        let (last_good, keeper) = open_last_good(&config.store)?.unzip();
        let serves = last_good.as_ref().is_some_and(LastGood::found_some);
        let places = places(config);
        let (upkeep, late) = open_known(&config.store, &places, Arc::clone(clock)).await?;
        let store: Arc<dyn Store> = eyes.store(Arc::clone(&upkeep) as Arc<dyn Store>);
        let trust = Trust::unchecked();
        let keeper = keeper.map(|keeper| keeper.trusting(trust.clone()));
        let identity =
            IdentityWatch::new(Arc::clone(&store), Arc::clone(clock), places, trust.clone())
                .watching(file_of(&config.store));
        // Before anything is written to the store, or taken away on its word.
        identity.first().await;
        let sealer = match &late {
            None => ProvenSealer::open(config, &*store, serves).await?,
            Some(_) => ProvenSealer::open_late(config, &*store).await?,
        };
        let (identity, sealer) = (Arc::new(identity), Arc::new(sealer));
        Ok(Self { store, upkeep, late, last_good, keeper, trust, identity, sealer })
    }
}

fn file_of(configured: &config::Store) -> Option<PathBuf> {
    match configured {
        config::Store::Embedded { path } => Some(embedded_file(path)),
        config::Store::Dynamodb { .. } => None,
    }
}

fn open_last_good(configured: &config::Store) -> Result<Option<(LastGood, Keeper)>, AppError> {
    match configured {
        config::Store::Dynamodb { last_good: Some(at), .. } => {
            let opened = LastGood::open(&at.path, at.bytes_max);
            Ok(Some(opened.map_err(|error| AppError::LastGood(error.to_string()))?))
        }
        config::Store::Dynamodb { last_good: None, .. } | config::Store::Embedded { .. } => {
            Ok(None)
        }
    }
}

/// The store, or a place for the one that was known here and is not there.
async fn open_known(
    configured: &config::Store,
    places: &Places,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<dyn Upkeep>, Option<Arc<LateStore>>), AppError> {
    if let config::Store::Embedded { path } = configured
        && !embedded_exists(path)
        && let Some(known) = places.read()
    {
        let late = Arc::new(Fronted(Late::new(path.clone(), known.id, clock)));
        return Ok((Arc::clone(&late) as Arc<dyn Upkeep>, Some(late)));
    }
    let opened = region::open_where_it_was(configured, clock).await?;
    Ok((Arc::new(opened), None))
}
