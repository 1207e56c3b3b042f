//! What is remembered of how domains stand: bounded, and honest about its age.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;
use sealwax_core::{Clock, Jitter, Span, Timestamp};
use sealwax_protocol::DomainName;

use super::standing::Standing;

/// Memory an entry takes beside the certificate it holds: key, counters, map slots.
const ENTRY_BYTES: usize = 300;
/// What an unknown name may take of the cache's bytes: a flood of strangers' names leaves at
/// least this share's complement to certificates.
const STRANGERS_PART: u64 = 8;

/// Bounds of the serving cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheBounds {
    /// Bytes of certificates and names. A P-256 certificate with its chain takes about 6 KB.
    pub bytes: u64,
    /// How long a certificate is believed before the store is asked again; changes are told at
    /// once, so this only bounds what a lost message can do.
    pub certificate_life: Span,
    /// How long a name without a certificate is believed to have none; half to all of it.
    pub negative_life: Span,
}

pub(super) struct StandingCache {
    certificates: Cache<DomainName, Remembered>,
    strangers: Cache<DomainName, Remembered>,
    bounds: CacheBounds,
    clock: Arc<dyn Clock>,
    jitter: Arc<dyn Jitter>,
    /// Entries of an older generation are stale.
    generation: AtomicU64,
}

#[derive(Clone)]
struct Remembered {
    standing: Standing,
    fresh_until: Timestamp,
    generation: u64,
}

impl StandingCache {
    pub(super) fn new(bounds: CacheBounds, clock: Arc<dyn Clock>, jitter: Arc<dyn Jitter>) -> Self {
        let build = |bytes: u64| {
            Cache::builder()
                .max_capacity(bytes)
                .weigher(|name: &DomainName, entry: &Remembered| weight(name, &entry.standing))
                .build()
        };
        Self {
            certificates: build(bounds.bytes),
            strangers: build(bounds.bytes / STRANGERS_PART),
            bounds,
            clock,
            jitter,
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn fresh(&self, domain: &DomainName) -> Option<Standing> {
        let found = self.find(domain)?;
        let current = found.generation == self.generation.load(Ordering::Acquire);
        (current && found.fresh_until > self.clock.now()).then_some(found.standing)
    }

    /// What was known last, however old: only for when the store cannot be asked.
    pub(super) fn stale(&self, domain: &DomainName) -> Option<Standing> {
        let found = self.certificates.get(domain)?;
        match &found.standing {
            Standing::Ready(held) if held.facts.valid_at(self.clock.now()) => Some(found.standing),
            Standing::Ready(_)
            | Standing::Waiting { .. }
            | Standing::Failed { .. }
            | Standing::Unknown
            | Standing::Gone => None,
        }
    }

    pub(super) fn remember(&self, domain: &DomainName, standing: &Standing) {
        let now = self.clock.now();
        let generation = self.generation.load(Ordering::Acquire);
        let keep = |life: Span| Remembered {
            standing: standing.clone(),
            fresh_until: now + life,
            generation,
        };
        let short =
            self.bounds.negative_life.scale(500 + self.jitter.permille().min(1000) / 2, 1000);
        match standing {
            Standing::Ready(held) => {
                let life = self.bounds.certificate_life.min(held.facts.not_after.since(now));
                self.strangers.invalidate(domain);
                self.certificates.insert(domain.clone(), keep(life));
            }
            Standing::Failed { next_attempt_at, .. } => {
                let until = next_attempt_at.map_or(short, |at| at.since(now));
                self.negative(domain, keep(short.min(until)));
            }
            Standing::Unknown | Standing::Gone => self.negative(domain, keep(short)),
            // On its way: every look must see the newest state.
            Standing::Waiting { .. } => {
                self.certificates.invalidate(domain);
                self.strangers.invalidate(domain);
            }
        }
    }

    /// Keeps what another memory than the store knows: only for when the store cannot be asked.
    pub(super) fn remember_stale(&self, domain: &DomainName, standing: &Standing) {
        let generation = self.generation.load(Ordering::Acquire);
        let fresh_until = Timestamp::default();
        let entry = Remembered { standing: standing.clone(), fresh_until, generation };
        self.certificates.insert(domain.clone(), entry);
    }

    fn negative(&self, domain: &DomainName, entry: Remembered) {
        self.certificates.invalidate(domain);
        self.strangers.insert(domain.clone(), entry);
    }

    /// The next look must ask the store; a certificate stays for when it is away.
    pub(super) fn forget(&self, domain: &DomainName) {
        self.strangers.invalidate(domain);
        if let Some(mut held) = self.certificates.get(domain) {
            held.fresh_until = Timestamp::default();
            self.certificates.insert(domain.clone(), held);
        }
    }

    pub(super) fn expire_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn len(&self) -> u64 {
        self.certificates.entry_count() + self.strangers.entry_count()
    }

    fn find(&self, domain: &DomainName) -> Option<Remembered> {
        self.certificates.get(domain).or_else(|| self.strangers.get(domain))
    }
}

fn weight(name: &DomainName, standing: &Standing) -> u32 {
    let certificate = match standing {
        Standing::Ready(held) => held.bytes,
        Standing::Waiting { .. } | Standing::Failed { .. } | Standing::Unknown | Standing::Gone => {
            0
        }
    };
    let tenant = standing.tenant().map_or(0, str::len);
    u32::try_from(name.as_str().len() + ENTRY_BYTES + tenant + certificate).unwrap_or(u32::MAX)
}
