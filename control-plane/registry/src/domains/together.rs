//! Registering many domains at once.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _};
use sealwax_core::store::Expected;
use sealwax_core::{DomainRecord, Registration};
use sealwax_protocol::DomainName;

use super::{Put, Registry, RegistryError, announced, event};

/// Whether some of several domains are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Probably none: they are written, and looked at only if that fails.
    Unlikely,
    /// Probably: they are looked at first.
    Likely,
}

impl Registry {
    /// [`Self::put`] for several domains, in few steps of the store; the results in order.
    pub async fn put_all(
        &self,
        wanted: Vec<(DomainName, Registration)>,
        known: Known,
    ) -> Vec<Result<Put, RegistryError>> {
        let mut done: Vec<Option<Put>> = self.put_new(&wanted, known).await;
        done.resize(wanted.len(), None);
        // One after the other where a name comes twice: the later line has the last word.
        let names: HashSet<&DomainName> = wanted.iter().map(|(domain, _)| domain).collect();
        let at_once = if names.len() == wanted.len() { wanted.len().max(1) } else { 1 };
        stream::iter(done.into_iter().zip(wanted))
            .map(async |(done, (domain, registration))| match done {
                Some(put) => Ok(put),
                None => self.put(&domain, registration).await,
            })
            .buffered(at_once)
            .collect()
            .await
    }

    /// Registers those that can be registered together: good, new, named once. What is left out is
    /// for [`Self::put`], which says why.
    async fn put_new(
        &self,
        wanted: &[(DomainName, Registration)],
        known: Known,
    ) -> Vec<Option<Put>> {
        let found = match known {
            Known::Unlikely => vec![None; wanted.len()],
            Known::Likely => {
                let names: Vec<_> = wanted.iter().map(|(domain, _)| domain.clone()).collect();
                let Ok(found) = self.store.load(&names).await else { return Vec::new() };
                found
            }
        };
        let now = self.clock.now();
        let mut seen = HashSet::new();
        let new: Vec<Option<DomainRecord>> = wanted
            .iter()
            .zip(found)
            .map(|((domain, registration), found)| {
                let new = found.is_none() && seen.insert(domain);
                let good = new && self.check(registration).is_ok();
                let record =
                    if good { self.registered(domain, None, registration, now) } else { None };
                record.map(|record| DomainRecord { updated_at: now, ..record })
            })
            .collect();
        let changes = new.iter().flatten().map(|record| {
            let happened = event(now, "domain.registered", String::new());
            announced(record.clone(), Expected::Absent, happened)
        });
        let mut written = self.store.write_all(changes.collect()).await.into_iter();
        new.into_iter()
            .map(|record| {
                let record = record?;
                written.next()?.ok()?;
                self.tell(&record);
                Some(Put { record, created: true })
            })
            .collect()
    }
}
