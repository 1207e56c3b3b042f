//! The server and its handle.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sealwax_core::Clock;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::authority::Authority;
use crate::books::Books;
use crate::journal::Journal;
use crate::knobs::Knobs;
use crate::wire;

/// A running certificate authority; dropping it stops it and its connections.
pub struct FakeAcme {
    core: Arc<Core>,
    address: SocketAddr,
    task: AbortHandle,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No port.
    #[error("no loopback port: {0}")]
    Listen(#[from] std::io::Error),
    /// No keys.
    #[error("no signing keys: {0}")]
    Keys(#[from] rcgen::Error),
}

pub(crate) struct Core {
    pub(crate) base: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) authority: Authority,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) knobs: Knobs,
    pub(crate) books: Books,
    pub(crate) journal: Journal,
}

impl Core {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FakeAcme {
    /// Starts it on a free loopback port. Certificates are dated by the clock.
    ///
    /// # Errors
    /// No port, or no keys.
    pub async fn start(knobs: Knobs, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let authority = Authority::new(clock.now())?;
        let state = State { knobs, books: Books::default(), journal: Journal::default() };
        let base = format!("http://{address}");
        let core = Arc::new(Core { base, clock, authority, state: Mutex::new(state) });
        let task = tokio::spawn(accept(listener, Arc::clone(&core))).abort_handle();
        Ok(Self { core, address, task })
    }

    /// Where its directory is.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}/directory", self.core.base)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of what it issues, PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        self.core.authority.root_pem()
    }

    /// Changes its behaviour from the next request on.
    pub fn adjust(&self, change: impl FnOnce(&mut Knobs)) {
        self.core.with(|state| change(&mut state.knobs));
    }

    /// What clients did so far.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.core.with(|state| state.journal.clone())
    }

    /// Accounts it has.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.core.with(|state| state.books.accounts.len())
    }

    /// The contacts of its accounts, oldest account first.
    #[must_use]
    pub fn contacts(&self) -> Vec<Vec<String>> {
        self.core.with(|state| {
            state.books.accounts.values().map(|account| account.contact.clone()).collect()
        })
    }

    /// Certificates issued for a name, revoked ones included.
    #[must_use]
    pub fn certificates_for(&self, name: &str) -> usize {
        self.core.with(|state| {
            state.books.certificates.values().filter(|held| held.name == name).count()
        })
    }

    /// Whether a certificate (leaf, DER) is revoked.
    #[must_use]
    pub fn is_revoked(&self, leaf_der: &[u8]) -> bool {
        self.core.with(|state| {
            let mut held = state.books.certificates.values();
            held.any(|held| held.revoked && held.issued.leaf_der == leaf_der)
        })
    }

    /// Forgets all orders, as a CA does some time after they are over.
    pub fn forget_orders(&self) {
        self.core.with(|state| state.books.orders.clear());
    }

    /// Forgets all accounts, as a test CA does that is set up anew.
    pub fn forget_accounts(&self) {
        self.core.with(|state| {
            let books = &mut state.books;
            let all = std::mem::take(&mut books.accounts);
            books.forgotten.extend(all.into_values().map(|account| account.key.thumbprint));
        });
    }

    /// Closes all accounts, as their owner can (RFC 8555 section 7.3.6).
    pub fn deactivate_accounts(&self) {
        self.core.with(|state| {
            let all = state.books.accounts.values_mut();
            all.for_each(|account| account.deactivated = true);
        });
    }
}

impl Drop for FakeAcme {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, core: Arc<Core>) {
    let mut connections = JoinSet::new();
    loop {
        // Reaps the ones that ended; the rest end with this task.
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let core = Arc::clone(&core);
        connections.spawn(async move {
            let service = service_fn(move |request| wire::serve(Arc::clone(&core), request));
            // A dropped reply ends the connection with an error: that is what was wanted.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}
