//! Accounts that the CA forgot, closed, or that someone wants replaced.
//!
//! A CA that says that it has no such account is believed: the account is registered again with
//! the same key, and with a new one if the CA does not want that. What is kept is replaced only if
//! it is still what it was, so that of two replicas that do so at the same time one goes on with
//! what the other kept. A CA that says so in other words (some answer 500 "not found") is asked
//! for the account first. An account that is closed stays closed until someone acts: somebody
//! closed it on purpose.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sealwax_core::SealedKey;
use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::IssueError;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::account::{AccountSource, Loaded};
use crate::adopt::account_url;
use crate::classify::Failed;
use crate::exchange::Step;
use crate::issuer::AcmeIssuer;
use crate::jws::AccountKey;
use crate::kept::{Kept, signing};
use crate::signed::Signer;

/// How often a CA is asked for an account at most, whatever it answered, and how often one is
/// registered again: many domains meet the same refusal at once.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// How often a new key, and with it one more account, is tried at most. Let's Encrypt lets one
/// address make ten accounts in three hours.
const NEW_KEY_EVERY: Duration = Duration::from_secs(3_600);

/// What was done last about an account, so that it is not done over and over.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// Which account was asked for, and when.
    asked: Option<(String, Instant)>,
    /// When an account was registered again.
    registered: Option<Instant>,
    /// When that was tried with a new key.
    new_key: Option<Instant>,
}

/// How the CA knows an account.
enum Standing {
    /// As its own, in good order.
    Good,
    /// Not at all, or under another URL.
    Unknown,
    /// As one that cannot be used any more; in the CA's words.
    Closed(String),
}

/// An account that takes the place of another.
struct Renewed {
    kept: Kept,
    why: &'static str,
}

impl AcmeIssuer {
    /// After a refusal: makes sure of the account. `Ok`: the call is worth making once more.
    pub(crate) async fn recover(&self, failed: Failed) -> Result<(), IssueError> {
        let may_be = match &failed {
            Failed::NoAccount(_) | Failed::Doubt(_) => true,
            Failed::With(error) => matches!(
                error,
                IssueError::Misconfigured { .. }
                    | IssueError::Protocol { .. }
                    | IssueError::OrderGone { .. }
            ),
            Failed::BadNonce | Failed::AlreadyRevoked => false,
        };
        let at_work = self.at_work().await.filter(|_| may_be);
        let Some(at_work) = at_work else { return Err(failed.into()) };
        if self.has_other_kept(&at_work.sealed).await {
            self.forget_account().await;
            return Ok(());
        }
        match failed {
            Failed::NoAccount(said) => self.register_again(&at_work, &said).await,
            Failed::Doubt(error) => self.resolve(&at_work, error).await,
            other @ (Failed::BadNonce | Failed::AlreadyRevoked | Failed::With(_)) => {
                Err(other.into())
            }
        }
    }

    /// Gives the account up, whatever is kept of it, and registers a new one in its place. Returns
    /// the new one's URL. Certificates stay; orders in flight are placed anew.
    ///
    /// # Errors
    /// The CA or the store: what was kept stays then.
    pub async fn reset_account(&self) -> Result<String, IssueError> {
        let source = self.source().await?;
        let before = source.kept().await?;
        let (account, kept) = Box::pin(source.create()).await?;
        let ours = match &before {
            Some(before) => source.keep_instead(&kept, before).await?,
            None => source.keep(&kept).await?,
        };
        self.forget_account().await;
        if !ours {
            let detail = "another process changes the account just now".to_owned();
            return Err(IssueError::Retry { after: None, detail });
        }
        self.replaced("reset");
        let issuer = &self.settings().name;
        tracing::warn!(%issuer, account = %account.id(), "the ACME account was given up on request");
        Ok(account.id().to_owned())
    }

    /// How often an account took the place of another since the start of this process.
    #[must_use]
    pub fn registrations(&self) -> u64 {
        self.registrations.load(Ordering::Relaxed)
    }

    /// The mark of an unused account is taken away before its first order.
    pub(crate) async fn use_account(&self) -> Result<Loaded, IssueError> {
        let loaded = self.loaded().await?;
        if !loaded.unused {
            return Ok(loaded);
        }
        let mut place = self.account.write().await;
        if let Some(now) = place.as_ref().filter(|now| !now.unused) {
            return Ok(now.clone());
        }
        let source = self.source().await?;
        let name = &self.settings().name;
        let mut kept = Kept::read(name, &source.opened(&loaded.sealed).await?)?;
        kept.unused = false;
        // Replaced meanwhile: whatever is kept now is used, and marked by whoever uses it first.
        let ours = source.keep_instead(&kept, &loaded.sealed).await?;
        *place = None;
        drop(place);
        let loaded = self.loaded().await?;
        if loaded.unused && !ours {
            let detail = "another process changes the account just now".to_owned();
            return Err(IssueError::Retry { after: None, detail });
        }
        Ok(loaded)
    }

    async fn resolve(&self, at_work: &Loaded, error: IssueError) -> Result<(), IssueError> {
        let source = self.source().await?;
        let id = at_work.account.id();
        // Held while the CA is asked: whoever waits for it goes by the answer.
        let mut checks = self.checks.lock().await;
        if checks.asked.as_ref().is_some_and(|(asked, at)| asked == id && at.elapsed() < ASK_EVERY)
        {
            return Err(error);
        }
        checks.asked = Some((id.to_owned(), Instant::now()));
        let standing = source.standing(at_work).await;
        drop(checks);
        match standing {
            Ok(Standing::Unknown) => self.register_again(at_work, &error.to_string()).await,
            Ok(Standing::Closed(said)) => Err(closed(&source, id, &said)),
            // Or nothing can be said of it now.
            Ok(Standing::Good) | Err(_) => Err(error),
        }
    }

    async fn register_again(&self, lost: &Loaded, said: &str) -> Result<(), IssueError> {
        let mut place = self.account.write().await;
        if place.as_ref().is_none_or(|now| now.sealed != lost.sealed) {
            // Another run was faster.
            return Ok(());
        }
        let source = self.source().await?;
        let before = lost.account.id();
        let mut checks = self.checks.lock().await;
        if let Some(at) = checks.registered.filter(|at| at.elapsed() < ASK_EVERY) {
            let ago = at.elapsed().as_secs();
            let detail = format!(
                "the CA does not know the account {before}, {ago} s after one was registered: {said}"
            );
            return Err(IssueError::Misconfigured { detail: bounded_detail(&detail) });
        }
        checks.registered = Some(Instant::now());
        let renewed = Box::pin(source.register_again(lost, &mut checks)).await?;
        drop(checks);
        let Some(renewed) = renewed else { return Ok(()) };
        if !source.keep_instead(&renewed.kept, &lost.sealed).await? {
            // Another replica was faster: what it kept is used.
            *place = None;
            self.orders.clear();
            return Ok(());
        }
        *place = None;
        self.orders.clear();
        self.replaced(renewed.why);
        tracing::error!(
            issuer = %self.settings().name, before, now = %renewed.kept.id, why = renewed.why, said,
            "the CA does not know the ACME account any more, so another was registered: orders in \
             flight are placed anew, and CAA records with the accounturi of the account before \
             forbid what they allowed"
        );
        Ok(())
    }

    fn replaced(&self, why: &'static str) {
        self.registrations.fetch_add(1, Ordering::Relaxed);
        if let Some(vault) = self.vault() {
            vault.registered(&self.settings().name, why);
        }
    }

    async fn has_other_kept(&self, known: &SealedKey) -> bool {
        let kept = self.store().account(&self.settings().name).await;
        matches!(kept, Ok(Some(kept)) if kept != *known)
    }
}

impl AccountSource<'_> {
    /// `None`: the CA does know the account.
    async fn register_again(
        &self,
        lost: &Loaded,
        checks: &mut Checks,
    ) -> Result<Option<Renewed>, IssueError> {
        let name = &self.settings.name;
        let kept = Kept::read(name, &self.opened(&lost.sealed).await?)?;
        let id = match self.register(&lost.key).await {
            Ok(id) => id,
            Err(Failed::With(IssueError::Misconfigured { detail })) if says_closed(&detail) => {
                return Err(closed(self, lost.account.id(), &detail));
            }
            Err(failed) => return self.register_anew(failed.into(), checks).await.map(Some),
        };
        if id == kept.id {
            return Ok(None);
        }
        // Whichever of two keys is at work is the account's now.
        let next = kept.next_key_pkcs8.filter(|next| same_key(next, &lost.key));
        let key_pkcs8 = next.unwrap_or(kept.key_pkcs8);
        let kept =
            Kept { id, key_pkcs8, directory: kept.directory, next_key_pkcs8: None, unused: false };
        Ok(Some(Renewed { kept, why: "forgotten" }))
    }

    /// The key is refused: a new one makes a new account. A CA that is in trouble, or that holds
    /// orders back, is asked again later.
    async fn register_anew(
        &self,
        refused: IssueError,
        checks: &mut Checks,
    ) -> Result<Renewed, IssueError> {
        let key_refused =
            matches!(refused, IssueError::Protocol { .. } | IssueError::Misconfigured { .. });
        if !key_refused || checks.new_key.is_some_and(|at| at.elapsed() < NEW_KEY_EVERY) {
            return Err(refused);
        }
        checks.new_key = Some(Instant::now());
        tracing::warn!(issuer = %self.settings.name, %refused, "the CA refuses the key it had");
        let (_, mut kept) = self.create().await?;
        kept.unused = false;
        Ok(Renewed { kept, why: "key_refused" })
    }

    /// Registers an account with this key, or finds the one it has (RFC 8555 section 7.3).
    async fn register(&self, key: &AccountKey) -> Result<String, Failed> {
        let url = &self.directory.new_account;
        let mut wanted = json!({ "termsOfServiceAgreed": true });
        let contact = self.settings.contact_url();
        if let Some(fields) = wanted.as_object_mut() {
            fields.extend(contact.map(|contact| ("contact".to_owned(), json!([contact]))));
            let binding = self.settings.eab.as_ref().map(|eab| {
                let bound = key.bound_to(&eab.kid, eab.hmac_key.expose(), url);
                ("externalAccountBinding".to_owned(), bound.unwrap_or(Value::Null))
            });
            fields.extend(binding);
        }
        let answer = self.post(Step::NewAccount, Signer::key(key), url, Some(&wanted)).await?;
        if let Some(said) = closed_status(&answer.body) {
            return Err(Failed::With(IssueError::Misconfigured { detail: said }));
        }
        Ok(account_url(&answer)?)
    }

    /// Asks the CA for the account of the key at work.
    async fn standing(&self, at_work: &Loaded) -> Result<Standing, IssueError> {
        let asked = json!({ "onlyReturnExisting": true });
        let url = &self.directory.new_account;
        let signer = Signer::key(&at_work.key);
        match self.post(Step::NewAccount, signer, url, Some(&asked)).await {
            Ok(answer) => {
                if let Some(said) = closed_status(&answer.body) {
                    return Ok(Standing::Closed(said));
                }
                let same = account_url(&answer).is_ok_and(|id| id == at_work.account.id());
                Ok(if same { Standing::Good } else { Standing::Unknown })
            }
            Err(Failed::With(IssueError::Misconfigured { detail })) if says_closed(&detail) => {
                Ok(Standing::Closed(detail))
            }
            // RFC 8555 section 7.3.1. Anything else, such as terms that changed, says nothing of it.
            Err(Failed::NoAccount(_)) => Ok(Standing::Unknown),
            Err(failed) => Err(failed.into()),
        }
    }
}

/// A CA's word for an account that is of no use any more (RFC 8555 section 7.1.2).
fn closed_status(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let status = value.get("status")?.as_str()?.to_ascii_lowercase();
    matches!(status.as_str(), "deactivated" | "revoked").then(|| format!("its status is {status}"))
}

fn says_closed(words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    ["deactivated", "revoked"].iter().any(|word| lower.contains(word))
}

fn closed(source: &AccountSource<'_>, account: &str, said: &str) -> IssueError {
    let name = &source.settings.name;
    let detail = format!(
        "the CA has closed the account {account} ({said}): `sealwax account reset {name}` \
         registers another"
    );
    IssueError::Misconfigured { detail: bounded_detail(&detail) }
}

fn same_key(kept: &str, key: &AccountKey) -> bool {
    signing(kept).is_some_and(|kept| kept.jwk() == key.jwk())
}
