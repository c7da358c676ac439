//! The loaded accounts: sharded by address, each loaded once, unknown names remembered, idle ones let go.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hearth_store::{Store, StoreError};
use hearth_wire::BareJid;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::account::{Account, AccountState, LogState};
use crate::account_table::{self, LoginRow};
use crate::error::Internal;
use crate::limits::{IDLE_ACCOUNTS_MAX, UNKNOWN_ACCOUNTS_MAX};
use crate::metrics::Counter;

const SHARDS: usize = 64;

#[derive(Debug)]
struct Shard {
    loaded: HashMap<BareJid, Arc<Account>>,
    /// With so many it is time to let some go.
    full_at: usize,
    /// Names that are not accounts.
    unknown: HashSet<BareJid>,
    /// Grows when an account is made, removed or changed behind its back: a load that began before must look again.
    generation: u64,
}

impl Default for Shard {
    fn default() -> Self {
        let (loaded, unknown) = (HashMap::new(), HashSet::new());
        Self { loaded, full_at: IDLE_ACCOUNTS_MAX / SHARDS, unknown, generation: 0 }
    }
}

/// All accounts in memory.
#[derive(Debug)]
pub struct Accounts {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    damaged: Counter,
}

/// What was read is no longer true.
#[derive(Debug)]
struct Stale;

/// What memory knows of a name.
#[derive(Debug)]
pub enum Known {
    /// Loaded.
    Loaded(Arc<Account>),
    /// There is no such account.
    Unknown,
    /// The store must be asked.
    Ask,
}

impl Accounts {
    /// None loaded yet. `damaged` counts contacts that could not be read.
    pub fn new(damaged: Counter) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), shards, damaged }
    }

    fn shard(&self, bare: &str) -> &Mutex<Shard> {
        let index = self.hasher.hash_one(bare) as usize % SHARDS;
        &self.shards[index]
    }

    /// The account, if it is loaded: who is not has no session.
    pub fn loaded(&self, bare: &str) -> Option<Arc<Account>> {
        self.shard(bare).lock().loaded.get(bare).cloned()
    }

    /// What memory knows of a name, without asking the store.
    pub fn known(&self, bare: &str) -> Known {
        let shard = self.shard(bare).lock();
        match shard.loaded.get(bare) {
            Some(account) => Known::Loaded(Arc::clone(account)),
            None if shard.unknown.contains(bare) => Known::Unknown,
            None => Known::Ask,
        }
    }

    /// The account, loaded if need be; `None` if there is none.
    ///
    /// # Errors
    /// [`Internal`] if the store failed.
    pub async fn load(&self, store: &Store, bare: &BareJid) -> Result<Option<Arc<Account>>, Internal> {
        loop {
            let generation = match self.known(bare.as_str()) {
                Known::Loaded(account) => return Ok(Some(account)),
                Known::Unknown => return Ok(None),
                Known::Ask => self.shard(bare.as_str()).lock().generation,
            };
            let Some(localpart) = bare.local().map(str::to_owned) else { return Ok(None) };
            let domain = bare.domain().to_owned();
            let row = store.read(move |sql| account_table::load(sql, &domain, &localpart)).await?;
            if let Ok(account) = self.insert(bare, row, generation) {
                return Ok(account);
            }
        }
    }

    /// What an account logs in with; always asked of the store. Loads the account by the way, since who logs in needs it
    /// next, but does not wait for that: the time to an answer must not tell how long a roster is.
    ///
    /// # Errors
    /// [`Internal`] if the store failed.
    pub async fn load_keys(
        self: &Arc<Self>,
        store: &Store,
        bare: &BareJid,
    ) -> Result<Option<LoginRow>, Internal> {
        let (known, generation) = {
            let shard = self.shard(bare.as_str()).lock();
            (shard.loaded.contains_key(bare.as_str()), shard.generation)
        };
        let Some(localpart) = bare.local().map(str::to_owned) else { return Ok(None) };
        let domain = bare.domain().to_owned();
        if known {
            return Ok(store.read(move |sql| account_table::login_row(sql, &domain, &localpart)).await?);
        }
        let (tell, mut told) = oneshot::channel();
        let (accounts, bare) = (Arc::clone(self), bare.clone());
        let read = store.read(move |sql| {
            // who asked may have gone
            let tell = |row: Option<&LoginRow>| drop(tell.send(row.cloned()));
            let row = account_table::load_telling(sql, &domain, &localpart, tell)?;
            // stale: it is loaded again when it is needed
            Ok(accounts.insert(&bare, row, generation).is_ok())
        });
        tokio::select! {
            biased;
            Ok(keys) = &mut told => Ok(keys),
            done = read => {
                done?;
                // told just before
                Ok(told.try_recv().map_err(|_| StoreError::Closed)?)
            }
        }
    }

    /// Puts in what was read while the shard had this generation.
    ///
    /// # Errors
    /// If an account of the shard was made or removed meanwhile.
    fn insert(
        &self,
        bare: &BareJid,
        row: Option<account_table::AccountRow>,
        generation: u64,
    ) -> Result<Option<Arc<Account>>, Stale> {
        let mut shard = self.shard(bare.as_str()).lock();
        if shard.generation != generation {
            return Err(Stale);
        }
        let Some(row) = row else {
            shard.remember_unknown(bare);
            return Ok(None);
        };
        self.damaged.add(row.damaged);
        let (kept, newest) = (row.offline, row.newest);
        let log = LogState { has_offline: kept > 0, kept, newest, ..LogState::default() };
        let LoginRow { disabled, mark, .. } = row.login;
        let (roster, keys_generation) = (row.roster, mark.generation);
        let state = AccountState { roster, disabled, keys_generation, log, ..AccountState::default() };
        let made = Arc::new(Account::new(Some(row.id), bare.clone(), row.created_ms, state));
        shard.let_go();
        let account = shard.loaded.entry(made.jid.clone()).or_insert(made);
        Ok(Some(Arc::clone(account)))
    }

    /// Puts in a guest, of whom the store knows nothing. It is let go with its last session.
    pub fn insert_guest(&self, jid: BareJid, created_ms: i64) -> Arc<Account> {
        let account = Arc::new(Account::new(None, jid, created_ms, AccountState::default()));
        self.shard(account.jid.as_str()).lock().loaded.insert(account.jid.clone(), Arc::clone(&account));
        account
    }

    /// An account of this name was made: that it was unknown is void.
    pub fn forget_unknown(&self, bare: &str) {
        let mut shard = self.shard(bare).lock();
        shard.generation += 1;
        shard.unknown.remove(bare);
    }

    /// The account of this name was removed: what is remembered of it is void.
    pub fn forget(&self, bare: &str) {
        let mut shard = self.shard(bare).lock();
        shard.generation += 1;
        shard.unknown.remove(bare);
        shard.loaded.remove(bare);
    }

    /// What is stored of this account was changed, loaded or not: whoever reads it now must look again. The account, if
    /// it is loaded, is the caller's to change.
    pub fn changed(&self, bare: &str) -> Option<Arc<Account>> {
        let mut shard = self.shard(bare).lock();
        shard.generation += 1;
        shard.loaded.get(bare).cloned()
    }

    /// Every loaded account, one shard at a time.
    pub fn for_each(&self, mut look: impl FnMut(&Arc<Account>)) {
        for shard in &self.shards {
            let accounts: Vec<Arc<Account>> = shard.lock().loaded.values().cloned().collect();
            accounts.iter().for_each(&mut look);
        }
    }

    /// How many are loaded.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().loaded.len()).sum()
    }
}

impl Shard {
    fn remember_unknown(&mut self, bare: &BareJid) {
        if self.unknown.len() >= UNKNOWN_ACCOUNTS_MAX / SHARDS {
            self.unknown.clear();
        }
        self.unknown.insert(bare.clone().compact());
    }

    /// When the shard is full, lets go of accounts that nobody holds and that have no session.
    fn let_go(&mut self) {
        if self.loaded.len() < self.full_at {
            return;
        }
        // nobody can take a new share while the shard is locked: a count of one is ours
        self.loaded
            .retain(|_, account| Arc::strong_count(account) > 1 || account.with(|state| state.is_needed()));
        // whoever is needed now will be for a while: do not look at all of them again for each newcomer
        self.full_at = (self.loaded.len() + self.loaded.len() / 4).max(IDLE_ACCOUNTS_MAX / SHARDS);
    }
}
