//! A server inside a test: real modules, a store in memory, a clock that stands still, and clients without sockets.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use hearth_core::bind::{self, BindRequest};
use hearth_core::clock::ManualClock;
use hearth_core::host::Host;
use hearth_core::limits::Limits;
use hearth_core::module::{Module, SetupError};
use hearth_core::plan::Plan;
use hearth_core::registry::AccountError;
use hearth_core::roster::{RosterChange, RosterItem};
use hearth_core::sasl::Identity;
use hearth_core::server::{Parts, Reconfiguration, Server, Settings};
use hearth_core::session::{Connected, Session};
use hearth_core::{account_table, admin, im, testing};
use hearth_store::Store;
use hearth_wire::BareJid;
use parking_lot::Mutex;

const DOMAIN: &str = "verona.example";
const HOSTS: [(&str, bool); 2] = [(DOMAIN, true), ("mantua.example", false)];

/// A server with the hosts `verona.example`, where guests are welcome, and `mantua.example`.
pub(crate) struct Scene {
    pub(crate) server: Arc<Server>,
    pub(crate) clock: Arc<ManualClock>,
    config: String,
}

/// The plan of all modules, and some of the test's own, with these sections of `[xep]`.
fn plan(config: &str, own: &[Module]) -> Result<Plan, SetupError> {
    let sections: toml::Table = config.parse().unwrap();
    let sections = sections.into_iter().map(|(name, section)| (name, section.as_table().unwrap().clone()));
    let modules = [&[im::MODULE, admin::MODULE], crate::MODULES, own].concat();
    Plan::build(&modules, &sections.collect::<BTreeMap<_, _>>())
}

impl Scene {
    /// A server with these sections of `[xep]`, as TOML.
    pub(crate) async fn new(config: &str) -> Self {
        Self::with_limits(config, |_| ()).await
    }

    /// The same with other limits.
    pub(crate) async fn with_limits(config: &str, change: impl FnOnce(&mut Limits)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings.limits);
        settings.admins.push(bare("escalus"));
        let plan = Self::plan(config).unwrap();
        let migrations = [&[account_table::MIGRATIONS], plan.migrations()].concat();
        Self::start(config, plan, settings, Store::in_memory(&migrations).unwrap()).await
    }

    /// A server with modules of the test's own.
    pub(crate) async fn with_modules(own: &[Module]) -> Self {
        let plan = plan("", own).unwrap();
        let migrations = [&[account_table::MIGRATIONS], plan.migrations()].concat();
        Self::start("", plan, Settings::default(), Store::in_memory(&migrations).unwrap()).await
    }

    async fn start(config: &str, plan: Plan, settings: Settings, store: Store) -> Self {
        let clock = Arc::new(ManualClock::default());
        let parts = Parts { plan, hosts: testing::hosts(&HOSTS), store, clock: clock.clone(), settings };
        let server = Server::new(parts).await.unwrap();
        Self { server, clock, config: config.to_owned() }
    }

    /// The plan of all modules with these sections.
    pub(crate) fn plan(config: &str) -> Result<Plan, SetupError> {
        plan(config, &[])
    }

    /// The server as it comes back after an end: with what the store holds.
    pub(crate) async fn restarted(self) -> Self {
        let settings = self.server.settings().as_ref().clone();
        let plan = Self::plan(&self.config).unwrap();
        Self::start(&self.config, plan, settings, self.server.store().clone()).await
    }

    /// Takes other sections of `[xep]` and other limits while the server runs.
    pub(crate) fn reload(&self, config: &str, change: impl FnOnce(&mut Limits)) {
        let modules = self.server.plan().read_settings(&toml::from_str(config).unwrap()).unwrap();
        let mut settings = self.server.settings().as_ref().clone();
        change(&mut settings.limits);
        self.server.reconfigure(Reconfiguration { hosts: testing::hosts(&HOSTS), settings, modules });
    }

    pub(crate) fn host(&self) -> Arc<Host> {
        self.server.host(DOMAIN).unwrap()
    }

    /// An account, made if need be.
    pub(crate) async fn account(&self, name: &str) {
        match self.server.create_account(&bare(name), testing::keys()).await {
            Ok(()) | Err(AccountError::Exists(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A session of an account, with resource `r`.
    pub(crate) async fn login(&self, name: &str) -> Client {
        self.login_as(name, "r").await
    }

    /// A session with another resource.
    pub(crate) async fn login_as(&self, name: &str, resource: &str) -> Client {
        self.account(name).await;
        self.bind(Identity::Account(bare(name)), resource, "127.0.0.1:5000", None).await
    }

    /// A session from somewhere else.
    pub(crate) async fn login_from(&self, name: &str, peer: &str, tls: Option<&str>) -> Client {
        self.account(name).await;
        self.bind(Identity::Account(bare(name)), "r", peer, tls).await
    }

    /// A session of somebody without an account.
    pub(crate) async fn guest(&self) -> Client {
        self.bind(Identity::Anonymous { trace: None }, "r", "127.0.0.1:5000", None).await
    }

    async fn bind(&self, identity: Identity, resource: &str, peer: &str, tls: Option<&str>) -> Client {
        let connected = Connected {
            peer: peer.parse::<SocketAddr>().unwrap(),
            tls: tls.map(Arc::from),
            mechanism: "SCRAM-SHA-1",
            since_ms: 0,
        };
        let (host, resource) = (self.host(), Some(resource.to_owned()));
        let request = BindRequest { identity, proved: None, host, resource, connected, lang: None };
        let connection = testing::Client::bound(&self.server, request).await.unwrap();
        Client {
            server: self.server.clone(),
            session: connection.session.clone(),
            connection: Mutex::new(connection),
            received: Mutex::default(),
        }
    }

    /// Lets `watcher` see the presence of `watched`.
    pub(crate) async fn subscribe(&self, watcher: &str, watched: &str) {
        for (owner, contact, is_watched) in [(watched, watcher, true), (watcher, watched, false)] {
            let mut item = RosterItem::new(bare(contact));
            item.listed = true;
            (item.subscription.from, item.subscription.to) = (is_watched, !is_watched);
            let change = RosterChange { jid: item.jid.clone(), item: Some(item), visible: true, version: 1 };
            self.server.account(&bare(owner)).await.unwrap().with(|state| state.roster.apply(&change));
        }
    }

    /// Lets tasks that were started before get their writes to the store, and waits for those.
    pub(crate) async fn settle(&self) {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        self.server.store().write(|_| Ok(())).await.unwrap();
    }
}

/// The address of an account on the first host.
fn bare(name: &str) -> BareJid {
    BareJid::from_parts(Some(name), DOMAIN).unwrap()
}

/// A client with a bound resource, which has read what it was sent by the time it looks.
pub(crate) struct Client {
    server: Arc<Server>,
    pub(crate) session: Arc<Session>,
    connection: Mutex<testing::Client>,
    received: Mutex<VecDeque<String>>,
}

impl Client {
    pub(crate) fn jid(&self) -> &str {
        self.session.jid.as_str()
    }

    /// Sends a stanza and waits until the server is done with it.
    pub(crate) async fn send(&self, xml: &str) {
        testing::send(&self.server, &self.session, xml).await;
    }

    /// Sends initial presence and takes its reflection away.
    pub(crate) async fn available(&self) {
        self.send("<presence/>").await;
        assert!(self.receive().starts_with("<presence "));
    }

    /// Writes what was queued.
    fn take(&self) {
        let mut connection = self.connection.lock();
        connection.take(usize::MAX);
        self.received.lock().extend(std::iter::from_fn(|| connection.write()));
    }

    /// The next stanza, which must be there.
    pub(crate) fn receive(&self) -> String {
        self.take();
        self.received.lock().pop_front().unwrap_or_else(|| panic!("nothing for {}", self.jid()))
    }

    /// The next stanza, which may still be on its way.
    pub(crate) async fn receive_soon(&self) -> String {
        std::future::poll_fn(|cx| {
            self.session.outbox.register(cx.waker());
            self.take();
            self.received.lock().pop_front().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    pub(crate) fn receives_nothing(&self) {
        self.take();
        let received = self.received.lock();
        assert!(received.is_empty(), "{received:?}");
    }

    /// Waits until the account was given all that waited for it.
    pub(crate) async fn drained(&self) {
        testing::drained(&self.session).await;
    }

    /// The stream error that ends the session, if it was told to end.
    pub(crate) fn ended(&self) -> Option<String> {
        self.take();
        let connection = self.connection.lock();
        let condition = connection.end.as_ref()?.condition;
        Some(condition.map(|condition| condition.name().to_owned()).unwrap_or_default())
    }

    /// The connection ends.
    pub(crate) fn leave(&self) {
        bind::end(&self.server, &self.session);
    }
}
