//! The server as a whole: what every layer above shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hearth_store::Store;
use hearth_wire::{BareJid, Jid, StreamCondition};
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::command::Refusals;
use crate::control::Control;
use crate::ended::Ended;
use crate::error::Internal;
use crate::event::Event;
use crate::host::{Host, Hosts};
use crate::key_tally::KeyTally;
use crate::limits::Limits;
use crate::live::NewSettings;
use crate::metrics::Metrics;
use crate::outbox::End;
use crate::plan::Plan;
use crate::registry;
use crate::sasl::{Decoys, Policy, Realm};
use crate::stream::policy::LoginPolicy;

/// What happens when a client asks for a resource that is in use (RFC 6120 §7.7.2.2).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// The older session ends with `conflict`: a client that lost its connection can come back at once.
    #[default]
    Replace,
    /// The newer one is refused with `conflict`.
    Refuse,
    /// The newer one gets another resource, made by the server.
    Rename,
}

/// What an operator may change while the server runs.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Limits.
    pub limits: Limits,
    /// Accounts that may give admin commands.
    pub admins: Vec<BareJid>,
    /// What happens when a resource is in use.
    pub conflict: Conflict,
    /// How clients log in.
    pub login: LoginPolicy,
}

/// What the server is made of.
pub struct Parts {
    /// The frozen plan.
    pub plan: Plan,
    /// The virtual hosts.
    pub hosts: Hosts,
    /// The store, open.
    pub store: Store,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The settings at the start.
    pub settings: Settings,
}

/// A configuration that takes the place of the running one, found good as a whole.
#[derive(Debug)]
pub struct Reconfiguration {
    /// The virtual hosts.
    pub hosts: Hosts,
    /// The settings.
    pub settings: Settings,
    /// The settings of the modules, of [`Plan::read_settings`].
    pub modules: NewSettings,
}

/// The server.
pub struct Server {
    plan: Plan,
    hosts: ArcSwap<Hosts>,
    store: Store,
    clock: Arc<dyn Clock>,
    settings: ArcSwap<Settings>,
    accounts: Arc<Accounts>,
    key_tally: Arc<KeyTally>,
    metrics: Metrics,
    control: Control,
    refusals: Refusals,
    decoy_secret: [u8; 32],
    next_session: AtomicU64,
    sessions: AtomicU64,
    started_ms: i64,
    /// Where tasks run that are begun on the store's threads, too.
    runtime: tokio::runtime::Handle,
    /// What is done beside the streams, and must be done before the store closes.
    work: TaskTracker,
}

/// The name of the secret that fake salts are made from.
const DECOY_SECRET: &str = "sasl-decoy";

impl Server {
    /// Puts the parts together and reads the server's own secrets from the store.
    ///
    /// # Errors
    /// [`Internal`] if the store or the system's randomness fails.
    pub async fn new(parts: Parts) -> Result<Arc<Self>, Internal> {
        let fresh = crate::random::bytes::<32>()?;
        let secret =
            parts.store.write(move |sql| crate::account_table::secret(sql, DECOY_SECRET, &fresh)).await?;
        let decoy_secret = secret.try_into().map_err(|_| Internal::Damaged("the decoy secret"))?;
        let key_tally = Arc::new(registry::count_keys(&parts.store).await?);
        tokio::spawn(registry::forget_logs(parts.store.clone()));
        let (started_ms, metrics) = (parts.clock.unix_ms(), Metrics::default());
        Ok(Arc::new(Self {
            plan: parts.plan,
            hosts: ArcSwap::from_pointee(parts.hosts),
            store: parts.store,
            clock: parts.clock,
            settings: ArcSwap::from_pointee(parts.settings),
            accounts: Arc::new(Accounts::new(metrics.roster_items_damaged.clone())),
            key_tally,
            metrics,
            control: Control::default(),
            refusals: Refusals::default(),
            decoy_secret,
            next_session: AtomicU64::new(1),
            sessions: AtomicU64::new(0),
            started_ms,
            runtime: tokio::runtime::Handle::current(),
            work: TaskTracker::new(),
        }))
    }

    /// The frozen plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The virtual hosts now.
    pub fn hosts(&self) -> arc_swap::Guard<Arc<Hosts>> {
        self.hosts.load()
    }

    /// The virtual host with this prepared domain.
    pub fn host(&self, domain: &str) -> Option<Arc<Host>> {
        self.hosts.load().get(domain).cloned()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// When the server started, in milliseconds since 1970.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// The settings now.
    pub fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Takes another configuration. Sessions keep what they were given at their start; those of hosts that are gone end.
    pub fn reconfigure(self: &Arc<Self>, new: Reconfiguration) {
        new.modules.apply();
        self.settings.store(Arc::new(new.settings));
        self.hosts.store(Arc::new(new.hosts));
        self.tell(&Event::Reloaded);
        self.accounts.for_each(|account| {
            if self.host(account.jid.domain()).is_none() {
                account.with(|state| state.resources.iter().for_each(|r| r.session.outbox.end(host_gone())));
            }
        });
    }

    /// The loaded accounts.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// What the accounts of each host have for keys.
    pub fn key_tally(&self) -> &Arc<KeyTally> {
        &self.key_tally
    }

    /// Which mechanisms a host offers now, on a connection with or without TLS.
    pub fn sasl_policy(&self, host: &Host, encrypted: bool) -> Policy {
        let mut policy = self.settings().login.sasl(host.config.anonymous);
        let has_plain = policy.has_plain(encrypted);
        self.key_tally.narrow(host.domain.domain(), &mut policy, has_plain);
        policy
    }

    /// The core's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What commands ask of the program around the server.
    pub fn control(&self) -> &Control {
        &self.control
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether an address may give admin commands.
    pub fn is_admin(&self, jid: &Jid) -> bool {
        self.settings().admins.iter().any(|admin| jid.eq_bare(admin))
    }

    /// The host as SASL sees it.
    pub fn realm(&self, host: &Host) -> Realm {
        let shares = self.key_tally.shares(host.domain.domain());
        Realm { domain: host.domain.clone(), decoys: Decoys::new(self.decoy_secret, shares) }
    }

    /// Where what only reads may run; the server's end does not wait for it.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Begins what nobody waits for but the end of the server ([`finish`](Self::finish)): it comes to an end by itself,
    /// and writes to the store. May be called on every thread.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn_on(work, &self.runtime);
    }

    /// Waits until all that was [begun](Self::spawn) is done, but no longer than this; false if something is not. The
    /// store can be closed then, where no session is left that could begin more.
    pub async fn finish(&self, wait_max: Duration) -> bool {
        self.work.close();
        tokio::time::timeout(wait_max, self.work.wait()).await.is_ok()
    }

    /// How many sessions are bound.
    pub fn session_count(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn session_began(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn session_ended(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells the modules that wanted to know.
    pub fn tell(self: &Arc<Self>, event: &Event<'_>) {
        for listener in self.plan.listeners() {
            listener(self, event);
        }
    }
}

/// RFC 6120 §4.9.3.5: how a session of a host ends that is served no more.
pub(crate) fn host_gone() -> End {
    End { condition: Some(StreamCondition::HostGone), text: None, why: Ended::HostGone }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}
