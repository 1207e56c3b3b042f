use std::sync::Arc;

use sealwax_core::Clock;
use sealwax_testkit::{Pebble, PebbleSettings};

use super::*;
use crate::directory::Directory;
use crate::settings::IssuerSettings;
use crate::transport::Transport;

#[path = "../../tests/acme/parts.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod parts;

use parts::{AccountStore, MarkingSealer, WallClock};

/// A CA where somebody else has an account, and an issuer that has none.
struct World {
    pebble: Pebble,
    settings: IssuerSettings,
    store: Arc<AccountStore>,
}

impl World {
    async fn new() -> Self {
        let pebble = Pebble::start(PebbleSettings::believing()).await.unwrap();
        let mut settings = IssuerSettings::new("ca-1", pebble.directory());
        settings.ca_file = Some(pebble.tls_root_file());
        Self { pebble, settings, store: AccountStore::shared() }
    }

    async fn with<T>(&self, work: impl AsyncFnOnce(&AccountSource<'_>) -> T) -> T {
        let transport = Transport::new(&self.settings, Arc::new(WallClock)).unwrap();
        let url = &self.settings.directory;
        let directory = Directory::fetch(&transport, url, WallClock.now()).await.unwrap();
        let source = AccountSource {
            settings: &self.settings,
            transport: &transport,
            directory: &directory,
            store: &*self.store,
            sealer: &MarkingSealer,
            clock: &WallClock,
            vault: Some(&*self.store),
        };
        work(&source).await
    }
}

async fn account_of(source: &AccountSource<'_>, key: &AccountKey) -> String {
    let url = &source.directory.new_account;
    let agreed = json!({ "termsOfServiceAgreed": true });
    let made = source.post(Step::NewAccount, Signer::key(key), url, Some(&agreed)).await.unwrap();
    made.parts.headers[LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_crash_between_the_new_keys_two_homes_loses_nothing() {
    let world = World::new().await;
    let theirs = key::generate(KeyType::Rsa2048).unwrap();
    let old = AccountKey::from_pkcs8(theirs.expose()).unwrap();
    let id = world.with(async |source| account_of(source, &old).await).await;
    let found = FoundAccount { key: theirs, url: Some(id.clone()), replace_key: true };

    // Stored, and then nothing: the CA knows the old key only.
    let new = key::generate(KeyType::EcdsaP256).unwrap();
    let directory = &world.settings.directory;
    let kept = Kept::of(&id, &new, directory);
    world.with(async |source| source.keep_or_find(&kept).await.map(drop)).await.unwrap();
    let new = AccountKey::from_pkcs8(new.expose()).unwrap();
    assert!(world.with(async |source| source.find(&new).await).await.is_err());

    // Said again, it goes on with the key that is stored; said once more, nothing is left to do.
    for _ in 0..2 {
        let taken = world.with(async |source| source.adopt(&found).await).await.unwrap();
        assert_eq!(taken.account.id(), id);
        assert_eq!(world.with(async |source| source.find(&new).await).await.unwrap(), id);
    }
    assert!(world.with(async |source| source.find(&old).await).await.is_err());
    assert_eq!(world.pebble.accounts(), 1);
}
