//! How the server (mis)behaves. All of it can be changed while it runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sealwax_core::{Span, Timestamp};
use serde_json::Value;

use crate::journal::Endpoint;
use crate::problem::Problem;

/// How long certificates are valid unless a profile says otherwise: 90 days.
pub(crate) const VALIDITY: Span = Span::from_secs(90 * 86_400);

/// The server's behaviour; the default is a well-behaved CA that validates at 127.0.0.1:80.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Where every name is validated, whatever DNS says.
    pub resolver: SocketAddr,
    /// Out of 100 good nonces, how many are refused, evenly spread.
    pub nonces_refused_percent: u32,
    /// How validations end, by name.
    pub validations: BTreeMap<String, Validation>,
    /// How many looks at an authorization a validation stays unfinished for.
    pub validation_looks: u32,
    /// A name that was validated needs no new validation in the account's next orders.
    pub reuse_authorizations: bool,
    /// Orders refused by name.
    pub refusals: BTreeMap<String, Problem>,
    /// New accounts need this external account binding.
    pub external_account: Option<ExternalAccount>,
    /// Profiles and how long their certificates are valid. Empty: no profiles offered.
    pub profiles: BTreeMap<String, Span>,
    /// How long certificates without a profile are valid.
    pub validity: Span,
    /// How many looks an order stays `processing` for after it is finalized; `u32::MAX`: for ever.
    pub processing_looks: u32,
    /// Retry-After on orders that are not final, verbatim.
    pub order_retry_after: Option<String>,
    /// What is wrong with the chains it hands out.
    pub chain: ChainFault,
    /// Renewal information.
    pub ari: Ari,
    /// Bends every answer that is JSON, problems excepted.
    pub bend: Option<Bend>,
    /// New orders do not say where they are.
    pub location_withheld: bool,
    /// What is said to an account that is not known.
    pub unknown_account: Problem,
    /// What is said to a key whose account was forgotten, when it wants an account again.
    pub forgotten_key: Option<Problem>,
    /// Every request meets this, before anything else.
    pub outage: Option<FaultKind>,
    /// Faults waiting for their requests, the first match used.
    pub faults: Vec<Fault>,
}

/// How a validation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// As what is served at the resolver's address says.
    Real,
    /// Well, without looking.
    Passes,
    /// With this problem, without looking.
    Fails(Problem),
    /// Never.
    Hangs,
    /// With this problem so many times, the challenge left open and the answer expected again, as
    /// step-ca does it; well after that.
    FailsOpen {
        /// Why.
        problem: Problem,
        /// How many times.
        times: u32,
    },
}

/// Changes what is said of something before it is sent.
pub type Bend = fn(Endpoint, &mut Value);

/// A key identifier and the HMAC key that goes with it (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The key identifier.
    pub kid: String,
    /// The key: of a test, so it may be shown.
    pub hmac_key: Vec<u8>,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChainFault {
    /// Nothing.
    #[default]
    None,
    /// The issuer comes first.
    Reversed,
    /// No line end between the certificates.
    Glued,
    /// A private key comes after them.
    WithKey,
    /// The leaf is for another name.
    WrongName,
    /// The leaf is for another key.
    WrongKey,
    /// The leaf expired before it was issued.
    Expired,
    /// Not PEM.
    Garbage,
    /// More bytes than anyone should read.
    Huge,
}

/// What renewal information says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ari {
    /// There is none: the directory does not name it.
    Off,
    /// A window of a day around two thirds of the lifetime; for some certificates, by their
    /// identifier, another.
    On {
        /// Windows on command.
        windows: BTreeMap<String, Window>,
        /// Retry-After, verbatim; RFC 9773 section 4.3.2 wants one.
        retry_after: Option<String>,
    },
}

/// A renewal window on command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Why.
    pub explanation_url: Option<String>,
}

/// A fault for the next requests to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which requests.
    pub endpoint: Endpoint,
    /// How many of them.
    pub times: u32,
    /// What they meet.
    pub kind: FaultKind,
}

/// What a request meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A problem document; nothing is done.
    Problem(Problem),
    /// A page that is no problem document; nothing is done.
    Page {
        /// HTTP status.
        status: u16,
        /// Retry-After, verbatim.
        retry_after: Option<String>,
    },
    /// A line of text; nothing is done.
    Text {
        /// HTTP status.
        status: u16,
        /// The line.
        text: String,
    },
    /// The connection is dropped; nothing is done.
    Drop,
    /// It is done, and the connection is dropped instead of an answer.
    LoseReply,
    /// It is done, and the answer's body is not what it should be; its headers are.
    Garble,
    /// No answer at all, nothing is done; the connection stays open.
    Silence,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            resolver: SocketAddr::from(([127, 0, 0, 1], 80)),
            nonces_refused_percent: 0,
            validations: BTreeMap::new(),
            validation_looks: 0,
            reuse_authorizations: false,
            refusals: BTreeMap::new(),
            external_account: None,
            profiles: BTreeMap::new(),
            validity: VALIDITY,
            processing_looks: 0,
            order_retry_after: None,
            chain: ChainFault::None,
            ari: Ari::On { windows: BTreeMap::new(), retry_after: Some("21600".to_owned()) },
            bend: None,
            location_withheld: false,
            unknown_account: Problem::new(400, "accountDoesNotExist", "no such account"),
            forgotten_key: None,
            outage: None,
            faults: Vec::new(),
        }
    }
}

impl Knobs {
    /// The next `times` requests to `endpoint` meet `kind`.
    pub fn fail(&mut self, endpoint: Endpoint, times: u32, kind: FaultKind) {
        self.faults.push(Fault { endpoint, times, kind });
    }

    pub(crate) fn next_fault(&mut self, endpoint: Endpoint) -> Option<FaultKind> {
        if self.outage.is_some() {
            return self.outage.clone();
        }
        let found = self.faults.iter_mut().find(|one| one.endpoint == endpoint && one.times > 0)?;
        found.times -= 1;
        let kind = found.kind.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(kind)
    }

    pub(crate) fn validation_of(&self, name: &str) -> Validation {
        self.validations.get(name).cloned().unwrap_or(Validation::Real)
    }

    /// The next failure of a validation that leaves its challenge open.
    pub(crate) fn next_complaint(&mut self, name: &str) -> Option<Problem> {
        let found = self.validations.get_mut(name)?;
        let Validation::FailsOpen { problem, times } = found else { return None };
        let Some(left) = times.checked_sub(1) else {
            *found = Validation::Passes;
            return None;
        };
        *times = left;
        Some(problem.clone())
    }
}
