//! A server without sockets: the core's own module and one that keeps every message that nobody takes, a clock that
//! stands still, and clients that are driven by hand.

#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses what it needs")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use hearth_core::bind::{self, BindRequest};
use hearth_core::clock::ManualClock;
use hearth_core::host::{Host, HostConfig, Hosts};
use hearth_core::module::{Module, Registrar, SetupError};
use hearth_core::outbox::{End, Item};
use hearth_core::plan::Plan;
use hearth_core::router::Flow;
use hearth_core::sasl::{Credentials, ITERATIONS_MIN, Identity, Password};
use hearth_core::server::{Parts, Server, Settings};
use hearth_core::session::{Connected, Session};
use hearth_core::stage::{Interest, Passage, Stage, Step};
use hearth_core::{account_table, im, offline};
use hearth_store::{Migrations, Store};
use hearth_wire::{BareJid, Stanza, StanzaError, framer};

pub const DOMAIN: &str = "verona.example";

/// Messages with an element of this namespace are never kept.
pub const FLEETING: &str = "urn:example:fleeting";

/// Keeps what nobody takes.
const KEEPER: Module = Module { name: "keeper", xeps: &[], needs: &[], register: keep_all };

fn keep_all(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.hook(Stage::Unclaimed, Interest::MESSAGE, |passage: &mut Passage<'_>| {
        if passage.stanza.payload.has_namespace(FLEETING) { Step::Next } else { Step::Keep }
    })
}

pub const MIGRATIONS: [Migrations; 1] = [account_table::MIGRATIONS];

pub async fn server() -> Arc<Server> {
    server_on(Store::in_memory(&MIGRATIONS).unwrap()).await
}

pub async fn server_on(store: Store) -> Arc<Server> {
    server_with(store, Settings::default()).await
}

pub async fn server_with(store: Store, settings: Settings) -> Arc<Server> {
    let plan = Plan::build(&[im::MODULE, KEEPER], &Default::default()).unwrap();
    let host = HostConfig { domain: DOMAIN.to_owned(), anonymous: true, see_other_host: None };
    let (hosts, clock) = (Hosts::new(&[host]).unwrap(), Arc::new(ManualClock::default()));
    Server::new(Parts { plan, hosts, store, clock, settings }).await.unwrap()
}

pub fn bare(name: &str) -> BareJid {
    BareJid::from_parts(Some(name), DOMAIN).unwrap()
}

/// The keys of all accounts; made once, since making them is slow on purpose.
pub fn keys() -> &'static Credentials {
    static KEYS: OnceLock<Credentials> = OnceLock::new();
    KEYS.get_or_init(|| {
        let password = Password::new("secret").unwrap();
        Credentials::derive(&password, &[[1; 16], [2; 16], [3; 16]], ITERATIONS_MIN).unwrap()
    })
}

pub async fn accounts(server: &Server, names: &[&str]) {
    for name in names {
        server.create_account(&bare(name), keys()).await.unwrap();
    }
}

/// A chat message with its text as id too.
pub fn chat(to: &str, text: &str) -> String {
    format!("<message to='{to}@{DOMAIN}' type='chat' id='{text}'><body>{text}</body></message>")
}

pub fn stanza(xml: &str) -> Stanza {
    let (name, rest) = xml.split_at(xml.find([' ', '/', '>']).unwrap());
    framer::read_stanza(&format!("{name} xmlns='jabber:client'{rest}"))
        .unwrap_or_else(|| panic!("no stanza: {xml}"))
}

/// A client with a bound resource.
pub struct Client {
    pub server: Arc<Server>,
    pub session: Arc<Session>,
    /// Taken from the queue and not written: what a connection has in its buffer.
    buffer: VecDeque<Item>,
    /// The word to end, once it was taken.
    pub end: Option<End>,
}

impl Client {
    pub async fn bind(server: &Arc<Server>, name: &str, resource: &str) -> Self {
        Self::bind_as(server, Identity::Account(bare(name)), resource).await.unwrap()
    }

    pub async fn bind_as(
        server: &Arc<Server>,
        identity: Identity,
        resource: &str,
    ) -> Result<Self, StanzaError> {
        let host = server.hosts().first().clone();
        Self::bind_with(server, host, identity, resource).await
    }

    /// A session of somebody who logged in to this host, however long ago.
    pub async fn bind_at(server: &Arc<Server>, host: Arc<Host>, name: &str, resource: &str) -> Self {
        Self::bind_with(server, host, Identity::Account(bare(name)), resource).await.unwrap()
    }

    async fn bind_with(
        server: &Arc<Server>,
        host: Arc<Host>,
        identity: Identity,
        resource: &str,
    ) -> Result<Self, StanzaError> {
        let peer = "127.0.0.1:5000".parse().unwrap();
        let connected = Connected { peer, tls: None, mechanism: "PLAIN", since_ms: 0 };
        let resource = Some(resource.to_owned());
        let request = BindRequest { identity, proved: None, host, resource, connected, lang: None };
        let session = bind::bind(server, request).await?;
        Ok(Self { server: server.clone(), session, buffer: VecDeque::new(), end: None })
    }

    /// A session that has said it is available, and has read that it is.
    pub async fn online(server: &Arc<Server>, name: &str, resource: &str) -> Self {
        let mut client = Self::bind(server, name, resource).await;
        client.send("<presence/>").await;
        let presence = client.receive().await;
        assert!(presence.starts_with("<presence"), "{presence}");
        client
    }

    /// Sends a stanza and waits until the server has dealt with it, as a connection does.
    pub async fn send(&self, xml: &str) {
        match self.server.accept(&self.session, stanza(xml), None) {
            Flow::Done => {}
            Flow::Block(rest) => rest.await,
            Flow::Behind(behind) => {
                std::future::poll_fn(|cx| {
                    self.session.outbox.register(cx.waker());
                    if behind.is_settled() { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                behind.release(&self.server);
            }
        }
    }

    /// Sends a stanza; if it waits for its row, it is left waiting.
    pub async fn send_and_go_on(&self, xml: &str) -> Option<hearth_core::router::Behind> {
        match self.server.accept(&self.session, stanza(xml), None) {
            Flow::Done => None,
            Flow::Block(rest) => {
                rest.await;
                None
            }
            Flow::Behind(behind) => Some(behind),
        }
    }

    /// Takes up to so many bytes into the buffer.
    pub fn take(&mut self, bytes_max: usize) {
        let (items, end) = self.session.outbox.take(bytes_max);
        self.buffer.extend(items);
        self.end = self.end.take().or(end);
    }

    /// Writes the next stanza of the buffer.
    pub fn write(&mut self) -> Option<String> {
        let item = self.buffer.pop_front()?;
        let mut text = String::new();
        item.stanza.write(&mut text, item.to.as_ref(), None);
        item.written();
        if item.row > 0 {
            offline::delivered(&self.server, &self.session, &[item.row]);
        }
        Some(text)
    }

    /// The next stanza that is written, which may still be on its way.
    pub async fn receive(&mut self) -> String {
        let jid = self.session.jid.clone();
        let received = std::future::poll_fn(|cx| {
            self.session.outbox.register(cx.waker());
            self.take(1);
            self.write().map_or(Poll::Pending, Poll::Ready)
        });
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, received).await.unwrap_or_else(|_| panic!("nothing comes for {jid}"))
    }

    /// The short form of the next stanza: see [`short`].
    pub async fn next(&mut self) -> String {
        short(&self.receive().await)
    }

    /// Everything that is queued now, in short form.
    pub fn rest(&mut self) -> String {
        self.take(usize::MAX);
        let mut out = String::new();
        while let Some(text) = self.write() {
            writeln!(out, "{}", short(&text)).unwrap();
        }
        out
    }

    /// Waits until the account has been given all that waited for it.
    pub async fn drained(&self) {
        while self.session.account.with(|state| state.log.drain.is_some() || !state.log.waiting.is_empty()) {
            tokio::task::yield_now().await;
        }
    }

    /// Our side of the stream is closed, but what is in the buffer is still to be written.
    pub fn leave(&self) {
        bind::leave(&self.server, &self.session);
    }

    /// The connection is gone: what is in its buffer was not written.
    pub fn lose(self) {
        bind::end(&self.server, &self.session, self.buffer);
    }
}

/// A stanza as a line: its kind, id and type, and of its content the text or the error condition.
pub fn short(xml: &str) -> String {
    let attr = |name: &str| {
        let (_, rest) = xml.split('>').next()?.split_once(&format!(" {name}='"))?;
        rest.split('\'').next()
    };
    let mut out = xml[1..].split([' ', '/', '>']).next().unwrap().to_owned();
    for name in ["id", "type"] {
        if let Some(value) = attr(name) {
            write!(out, " {value}").unwrap();
        }
    }
    if let Some((_, error)) = xml.split_once("<error type='") {
        let kind = error.split('\'').next().unwrap();
        let condition = error.split('<').nth(1).unwrap().split([' ', '/']).next().unwrap();
        write!(out, ": {kind} {condition}").unwrap();
    }
    out
}

/// Small, fast, and the same for the same seed (xorshift).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}
