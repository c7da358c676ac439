//! The accounts as an admin or their owner manages them: make, change the password, disable, remove, import, list.

use std::sync::Arc;

use hearth_store::{kv, log};
use hearth_wire::{BareJid, Stanza, StreamCondition};

use crate::account::Account;
use crate::account_table::{self, Listed, NewAccount};
use crate::error::Internal;
use crate::outbox::End;
use crate::random;
use crate::sasl::{Credentials, ITERATIONS, Password, Salts};
use crate::server::Server;
use crate::session::Session;

/// Why an account could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name is taken.
    #[error("{0} exists already")]
    Exists(BareJid),
    /// There is no such account.
    #[error("there is no account {0}")]
    Unknown(BareJid),
    /// Not an account's address, or on a host not served here.
    #[error("{0} is not an account address on a host served here")]
    Address(BareJid),
    /// A fault of the server's own.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// SCRAM keys of a password, for all hashes with fresh salts. Takes some milliseconds of CPU, on a thread for that.
///
/// # Errors
/// [`Internal`] if the system has no randomness.
pub async fn derive(password: Password) -> Result<Credentials, Internal> {
    let salts: Salts = [random::bytes()?, random::bytes()?, random::bytes()?];
    let derived = tokio::task::spawn_blocking(move || Credentials::derive(&password, &salts, ITERATIONS));
    derived.await.map_err(|_| Internal::Task)?.map_err(|_| Internal::Damaged("derived keys"))
}

impl Server {
    /// Makes an account.
    ///
    /// # Errors
    /// [`AccountError`]; the store is unchanged then.
    pub async fn create_account(&self, jid: &BareJid, keys: &Credentials) -> Result<(), AccountError> {
        let created = self.import_accounts(vec![(jid.clone(), keys.to_text().to_string())]).await?;
        if created == 1 { Ok(()) } else { Err(AccountError::Exists(jid.clone())) }
    }

    /// Makes many accounts from their SCRAM keys as text (RFC 5803), in one commit; names that are taken are passed over.
    /// Answers how many were made.
    ///
    /// # Errors
    /// [`AccountError`]; the store is unchanged then.
    pub async fn import_accounts(&self, accounts: Vec<(BareJid, String)>) -> Result<usize, AccountError> {
        let created_ms = self.now_ms();
        let mut rows = Vec::with_capacity(accounts.len());
        for (jid, keys) in accounts {
            let Some(localpart) = jid.local().filter(|_| self.host(jid.domain()).is_some()) else {
                return Err(AccountError::Address(jid));
            };
            let (domain, localpart) = (jid.domain().to_owned(), localpart.to_owned());
            rows.push((jid, NewAccount { domain, localpart, keys, created_ms }));
        }
        let rows = Arc::new(rows);
        let work = Arc::clone(&rows);
        let made = self.store().write(move |sql| {
            let mut made = 0;
            for (_, row) in work.iter() {
                made += usize::from(account_table::create(sql, row)?.is_some());
            }
            Ok(made)
        });
        let made = made.await.map_err(Internal::from)?;
        rows.iter().for_each(|(jid, _)| self.accounts().forget_unknown(jid.as_str()));
        Ok(made)
    }

    /// The account, loaded.
    ///
    /// # Errors
    /// [`AccountError::Unknown`] if there is none.
    pub async fn account(&self, jid: &BareJid) -> Result<Arc<Account>, AccountError> {
        let found = self.accounts().load(self.store(), jid).await?;
        found.ok_or_else(|| AccountError::Unknown(jid.clone()))
    }

    /// The account with its keys, for a login; `None` if there is none.
    ///
    /// # Errors
    /// [`Internal`] if the store fails or what it holds is damaged.
    pub async fn credentials(&self, jid: &BareJid) -> Result<Option<Credentials>, Internal> {
        let Some((keys, disabled)) = self.accounts().load_keys(self.store(), jid).await? else {
            return Ok(None);
        };
        Credentials::from_text(&keys, disabled).map(Some).map_err(|_| Internal::Damaged("SCRAM keys"))
    }

    /// Sets new keys, i.e. a new password. Sessions other than `keep` end.
    ///
    /// # Errors
    /// [`AccountError`]; the old password holds then.
    pub async fn set_keys(
        &self,
        jid: &BareJid,
        keys: &Credentials,
        keep: Option<u64>,
    ) -> Result<(), AccountError> {
        let account = self.account(jid).await?;
        let id = account.id.ok_or_else(|| AccountError::Unknown(jid.clone()))?;
        let keys = keys.to_text().to_string();
        let set = self.store().write(move |sql| account_table::set_keys(sql, id, &keys)).await;
        if !set.map_err(Internal::from)? {
            return Err(AccountError::Unknown(jid.clone()));
        }
        end_sessions(&account, keep, "the password was changed");
        Ok(())
    }

    /// Disables or enables an account; a disabled one has no session.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_disabled(&self, jid: &BareJid, disabled: bool) -> Result<(), AccountError> {
        let account = self.account(jid).await?;
        let id = account.id.ok_or_else(|| AccountError::Unknown(jid.clone()))?;
        let set = self.store().write(move |sql| account_table::set_disabled(sql, id, disabled)).await;
        if !set.map_err(Internal::from)? {
            return Err(AccountError::Unknown(jid.clone()));
        }
        account.with(|state| state.disabled = disabled);
        if disabled {
            end_sessions(&account, None, "the account was disabled");
        }
        Ok(())
    }

    /// Removes an account with everything stored for it, tells its contacts (RFC 6121 §2.5.2), and ends its sessions.
    ///
    /// # Errors
    /// [`AccountError`]; the account stays then.
    pub async fn remove_account(self: &Arc<Self>, jid: &BareJid) -> Result<(), AccountError> {
        self.remove(jid, || ()).await
    }

    /// The same at the wish of its owner, whose session gets `answer` before it ends.
    ///
    /// # Errors
    /// [`AccountError`]; the account stays then.
    pub async fn remove_account_of(
        self: &Arc<Self>,
        session: &Session,
        answer: Stanza,
    ) -> Result<(), AccountError> {
        let send = || {
            // who has gone does not need the answer
            let _ = session.send(answer);
        };
        self.remove(&session.account.jid, send).await
    }

    async fn remove(self: &Arc<Self>, jid: &BareJid, before_end: impl FnOnce()) -> Result<(), AccountError> {
        let account = self.account(jid).await?;
        let id = account.id.ok_or_else(|| AccountError::Unknown(jid.clone()))?;
        let forget = self.plan().forget().to_vec();
        let removed = self.store().write(move |sql| {
            for forget in &forget {
                forget(sql, id)?;
            }
            kv::forget_account(sql, id)?;
            account_table::remove(sql, id)
        });
        removed.await.map_err(Internal::from)?;
        let contacts = account.with(|state| {
            state.removed = true;
            // nobody is a contact any more: the end of the sessions is told to nobody
            let roster = std::mem::take(&mut state.roster);
            let items = roster.items().iter();
            items.map(|item| (item.jid.clone(), item.subscription)).collect::<Vec<_>>()
        });
        for (contact, subscription) in contacts {
            crate::subscribe::part(self, &account, &contact, subscription).await;
        }
        before_end();
        end_sessions(&account, None, "the account was removed");
        self.accounts().forget(jid.as_str());
        // the log can be long: in pieces, so that no other commit waits for it
        loop {
            let gone = self.store().write(move |sql| log::forget_account(sql, id, 1_000)).await;
            if gone.map_err(Internal::from)? == 0 {
                return Ok(());
            }
        }
    }

    /// Accounts of a host in the order of their names, from behind `after` on.
    ///
    /// # Errors
    /// [`Internal`].
    pub async fn list_accounts(
        &self,
        domain: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Listed>, Internal> {
        let (domain, after) = (domain.to_owned(), after.to_owned());
        Ok(self.store().read(move |sql| account_table::list(sql, &domain, &after, limit)).await?)
    }

    /// How many accounts a host has.
    ///
    /// # Errors
    /// [`Internal`].
    pub async fn count_accounts(&self, domain: &str) -> Result<i64, Internal> {
        let domain = domain.to_owned();
        Ok(self.store().read(move |sql| account_table::count(sql, &domain)).await?)
    }
}

/// Tells the account's sessions to end, but for one.
fn end_sessions(account: &Account, keep: Option<u64>, why: &str) {
    account.with(|state| {
        for resource in state.resources.iter().filter(|resource| Some(resource.session.id) != keep) {
            let condition = Some(StreamCondition::NotAuthorized);
            resource.session.outbox.end(End { condition, text: Some(why.to_owned()) });
        }
    });
}
