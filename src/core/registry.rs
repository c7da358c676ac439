//! The accounts as an admin or their owner manages them: make, change the password, disable, remove, import, list.

use std::sync::Arc;

use hearth_store::{Store, StoreError, WriteSql, kv};
use hearth_wire::{BareJid, Stanza, StreamCondition};
use tokio::sync::oneshot;

use crate::account::{Account, AccountState};
use crate::account_table::{self, Changed, Listed, NewAccount};
use crate::ended::Ended;
use crate::error::Internal;
use crate::key_tally::{Counted, KeyTally};
use crate::outbox::End;
use crate::random;
use crate::roster::Roster;
use crate::sasl::{Credentials, ITERATIONS, KeysMark, Password, Salts, Shape};
use crate::server::Server;
use crate::session::Session;
use crate::subscribe;

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

/// Accounts whose shape is noted in one commit, where that was not done yet.
const NOTED_AT_ONCE: u32 = 500;
/// Rows of a removed account's log that go in one commit: no other commit waits long for it.
const FORGOTTEN_AT_ONCE: u32 = 1_000;

/// Counts the keys of all accounts, at the start.
///
/// # Errors
/// [`Internal`].
pub(crate) async fn count_keys(store: &Store) -> Result<KeyTally, Internal> {
    while store.write(|sql| account_table::note_shapes(sql, NOTED_AT_ONCE)).await? > 0 {}
    Ok(store.read(KeyTally::load).await?)
}

/// Removes what is left of the logs of removed accounts, after a start: the last process may have ended amid that.
pub(crate) async fn forget_logs(store: Store) {
    let rest = async {
        for id in store.read(account_table::gone).await? {
            forget_log(&store, id).await?;
        }
        Ok::<(), StoreError>(())
    };
    if let Err(error) = rest.await {
        tracing::warn!(%error, "the messages of removed accounts could not be removed; the next start tries again");
    }
}

async fn forget_log(store: &Store, id: i64) -> Result<(), StoreError> {
    while !store.write(move |sql| account_table::forget_log(sql, id, FORGOTTEN_AT_ONCE)).await? {}
    Ok(())
}

/// Writes; memory follows in the order of commits, whether or not somebody still waits for the answer.
async fn commit<T: Send + 'static, R: Send + 'static>(
    store: &Store,
    job: impl FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
    follow: impl FnOnce(T) -> R + Send + 'static,
) -> Result<R, Internal> {
    let permit = store.reserve().await?;
    let (tell, told) = oneshot::channel();
    permit.submit_then(job, move |outcome| {
        let _ = tell.send(outcome.map(follow));
    });
    Ok(told.await.map_err(|_| Internal::Task)??)
}

impl Server {
    /// Makes an account.
    ///
    /// # Errors
    /// [`AccountError`]; the store is unchanged then.
    pub async fn create_account(&self, jid: &BareJid, keys: &Credentials) -> Result<(), AccountError> {
        let created = self.import_accounts(vec![(jid.clone(), keys.clone())]).await?;
        if created == 1 { Ok(()) } else { Err(AccountError::Exists(jid.clone())) }
    }

    /// Makes many accounts from their SCRAM keys, in one commit; names that are taken are passed over.
    /// Answers how many were made.
    ///
    /// # Errors
    /// [`AccountError`]; the store is unchanged then.
    pub async fn import_accounts(
        &self,
        accounts: Vec<(BareJid, Credentials)>,
    ) -> Result<usize, AccountError> {
        let created_ms = self.now_ms();
        let mut rows = Vec::with_capacity(accounts.len());
        for (jid, keys) in accounts {
            let Some(localpart) = jid.local().filter(|_| self.host(jid.domain()).is_some()) else {
                return Err(AccountError::Address(jid));
            };
            let (domain, localpart) = (jid.domain().to_owned(), localpart.to_owned());
            rows.push((jid, NewAccount { domain, localpart, keys, created_ms }));
        }
        let job = move |sql: &mut dyn WriteSql| {
            let mut made = Vec::new();
            for (jid, row) in &rows {
                if account_table::create(sql, row)?.is_some() {
                    let (domain, shape) = (row.domain.clone(), Shape::from(&row.keys));
                    made.push((jid.clone(), Counted { domain, shape, disabled: false }));
                }
            }
            Ok(made)
        };
        let (known, tally) = (Arc::clone(self.accounts()), Arc::clone(self.key_tally()));
        let made = commit(self.store(), job, move |made| {
            for (jid, counted) in &made {
                known.forget_unknown(jid.as_str());
                tally.add(counted);
            }
            made.len()
        });
        Ok(made.await?)
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
        let Some(row) = self.accounts().load_keys(self.store(), jid).await? else { return Ok(None) };
        row.credentials().map(Some).ok_or(Internal::Damaged("SCRAM keys"))
    }

    /// Sets new keys, i.e. a new password. Sessions other than `keep` end, and so do logins that are not bound yet.
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
        let (keys, tally) = (keys.clone(), Arc::clone(self.key_tally()));
        let job = move |sql: &mut dyn WriteSql| account_table::set_keys(sql, id, &keys);
        let set = commit(self.store(), job, move |changed: Option<Changed>| {
            let Some(changed) = changed else { return false };
            tally.change(&changed.before, &changed.after);
            account.with(|state| {
                state.keys_generation = state.keys_generation.max(changed.generation);
                end_sessions(state, keep, "the password was changed");
            });
            true
        });
        if set.await? { Ok(()) } else { Err(AccountError::Unknown(jid.clone())) }
    }

    /// Makes the keys that an account lacks, of the password that it logged in with: clients with other hashes can use it
    /// from now on, and its host can offer them ([`crate::key_tally`]). Nothing, if the password is another one by now.
    ///
    /// # Errors
    /// [`Internal`]; the account can be used as before then.
    pub async fn complete_keys(&self, mark: KeysMark, password: Password) -> Result<(), Internal> {
        let keys = derive(password).await?;
        let tally = Arc::clone(self.key_tally());
        let job = move |sql: &mut dyn WriteSql| account_table::complete_keys(sql, mark, &keys);
        commit(self.store(), job, move |changed: Option<Changed>| {
            if let Some(changed) = changed {
                tally.change(&changed.before, &changed.after);
            }
        })
        .await
    }

    /// Disables or enables an account; a disabled one has no session.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_disabled(&self, jid: &BareJid, disabled: bool) -> Result<(), AccountError> {
        let account = self.account(jid).await?;
        let id = account.id.ok_or_else(|| AccountError::Unknown(jid.clone()))?;
        let tally = Arc::clone(self.key_tally());
        let job = move |sql: &mut dyn WriteSql| account_table::set_disabled(sql, id, disabled);
        let set = commit(self.store(), job, move |changed: Option<(Counted, Counted)>| {
            let Some((before, after)) = changed else { return false };
            tally.change(&before, &after);
            account.with(|state| {
                state.disabled = disabled;
                if disabled {
                    end_sessions(state, None, "the account was disabled");
                }
            });
            true
        });
        if set.await? { Ok(()) } else { Err(AccountError::Unknown(jid.clone())) }
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
        session: &Arc<Session>,
        answer: Stanza,
    ) -> Result<(), AccountError> {
        let (asker, server) = (Arc::clone(session), Arc::clone(self));
        let send = move || asker.send(answer, server.metrics());
        self.remove(&session.account.jid, send).await
    }

    /// One transaction takes the account away and changes the rosters of its contacts: whenever the process ends, both
    /// have happened or neither.
    async fn remove(
        self: &Arc<Self>,
        jid: &BareJid,
        before_end: impl FnOnce() + Send + 'static,
    ) -> Result<(), AccountError> {
        let account = self.account(jid).await?;
        let id = account.id.ok_or_else(|| AccountError::Unknown(jid.clone()))?;
        let (forget, own) = (self.plan().forget().to_vec(), jid.clone());
        let job = move |sql: &mut dyn WriteSql| {
            let partings = subscribe::part_all(sql, id, &own)?;
            for forget in &forget {
                forget(sql, id)?;
            }
            kv::forget_account(sql, id)?;
            Ok(account_table::remove(sql, id)?.map(|counted| (counted, partings)))
        };
        let server = Arc::clone(self);
        let removed = commit(self.store(), job, move |removed| {
            let Some((counted, partings)) = removed else { return false };
            server.key_tally().remove(&counted);
            account.with(|state| {
                state.removed = true;
                // nobody is a contact any more: the end of the sessions is told to nobody
                state.roster = Roster::default();
            });
            partings.into_iter().for_each(|parting| parting.tell(&server, &account));
            before_end();
            account.with(|state| end_sessions(state, None, "the account was removed"));
            server.accounts().forget(account.jid.as_str());
            true
        });
        if !removed.await? {
            return Err(AccountError::Unknown(jid.clone()));
        }
        // from here on a new start would do it
        Ok(forget_log(self.store(), id).await.map_err(Internal::from)?)
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
fn end_sessions(state: &AccountState, keep: Option<u64>, why: &str) {
    for resource in state.resources.iter().filter(|resource| Some(resource.session.id) != keep) {
        let (condition, text) = (Some(StreamCondition::NotAuthorized), Some(why.to_owned()));
        resource.session.outbox.end(End { condition, text, why: Ended::AccountChanged });
    }
}
