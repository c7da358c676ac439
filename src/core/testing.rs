//! Clients without sockets, for the tests of this crate and of those above it: what a connection does with a session, step
//! by step and by hand. Only with the feature `testing`.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use hearth_wire::{BareJid, Stanza, StanzaError, framer};

use crate::bind::{self, BindRequest};
use crate::host::{Host, HostConfig, Hosts};
use crate::offline;
use crate::outbox::End;
use crate::router::{Behind, Flow};
use crate::sasl::{Credentials, ITERATIONS_MIN, Identity, Password};
use crate::server::Server;
use crate::session::{Connected, Session};

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts by domain, and whether guests are welcome there.
pub fn hosts(hosts: &[(&str, bool)]) -> Hosts {
    let host = |(domain, anonymous): &(&str, bool)| HostConfig {
        domain: (*domain).to_owned(),
        anonymous: *anonymous,
        see_other_host: None,
    };
    Hosts::new(&hosts.iter().map(host).collect::<Vec<_>>()).unwrap()
}

/// The keys of all accounts; made once, since making them is slow on purpose.
pub fn keys() -> &'static Credentials {
    static KEYS: OnceLock<Credentials> = OnceLock::new();
    KEYS.get_or_init(|| {
        let password = Password::new("secret").unwrap();
        Credentials::derive(&password, &[[1; 16], [2; 16], [3; 16]], ITERATIONS_MIN).unwrap()
    })
}

/// A stanza of a client, as it is written in a stream.
pub fn stanza(xml: &str) -> Stanza {
    let (name, rest) = xml.split_at(xml.find([' ', '/', '>']).unwrap());
    framer::read_stanza(&format!("{name} xmlns='jabber:client'{rest}"))
        .unwrap_or_else(|| panic!("no stanza: {xml}"))
}

/// Sends a stanza and waits until the server has dealt with it, as a connection does.
pub async fn send(server: &Arc<Server>, session: &Arc<Session>, xml: &str) {
    match server.accept(session, stanza(xml), None) {
        Flow::Done => {}
        Flow::Block(rest) => rest.await,
        Flow::Behind(behind) => {
            std::future::poll_fn(|cx| {
                session.outbox.register(cx.waker());
                if behind.is_settled() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            behind.release(server);
        }
    }
}

/// Waits until an account has been given all that waited for it.
pub async fn drained(session: &Session) {
    while session.account.with(|state| state.log.drain.is_some() || !state.log.waiting.is_empty()) {
        tokio::task::yield_now().await;
    }
}

/// A client with a bound resource.
pub struct Client {
    /// The server.
    pub server: Arc<Server>,
    /// Its session.
    pub session: Arc<Session>,
    /// Taken from the queue and not written: what a connection has in its buffer.
    buffer: VecDeque<String>,
    /// The word to end, once it was taken.
    pub end: Option<End>,
}

impl Client {
    /// A session of an account on the first host.
    pub async fn bind(server: &Arc<Server>, name: &str, resource: &str) -> Self {
        let host = Arc::clone(server.hosts().first());
        Self::bind_at(server, host, name, resource).await
    }

    /// A session of anybody on the first host.
    ///
    /// # Errors
    /// The refusal of [`bind::bind`].
    pub async fn bind_as(
        server: &Arc<Server>,
        identity: Identity,
        resource: &str,
    ) -> Result<Self, StanzaError> {
        let host = Arc::clone(server.hosts().first());
        Self::bind_with(server, host, identity, resource).await
    }

    /// A session of somebody who logged in to this host, however long ago.
    pub async fn bind_at(server: &Arc<Server>, host: Arc<Host>, name: &str, resource: &str) -> Self {
        let jid = BareJid::from_parts(Some(name), host.domain.domain()).unwrap();
        Self::bind_with(server, host, Identity::Account(jid), resource).await.unwrap()
    }

    async fn bind_with(
        server: &Arc<Server>,
        host: Arc<Host>,
        identity: Identity,
        resource: &str,
    ) -> Result<Self, StanzaError> {
        let peer = ([127, 0, 0, 1], 5000).into();
        let connected = Connected { peer, tls: None, mechanism: "PLAIN", since_ms: 0 };
        let resource = Some(resource.to_owned());
        let request = BindRequest { identity, proved: None, host, resource, connected, lang: None };
        Self::bound(server, request).await
    }

    /// A session with everything said about it.
    ///
    /// # Errors
    /// The refusal of [`bind::bind`].
    pub async fn bound(server: &Arc<Server>, request: BindRequest) -> Result<Self, StanzaError> {
        let session = bind::bind(server, request).await?;
        Ok(Self { server: Arc::clone(server), session, buffer: VecDeque::new(), end: None })
    }

    /// A session that has said it is available, and has read that it is.
    pub async fn online(server: &Arc<Server>, name: &str, resource: &str) -> Self {
        let mut client = Self::bind(server, name, resource).await;
        client.send("<presence/>").await;
        let presence = client.receive().await;
        assert!(presence.starts_with("<presence"), "{presence}");
        client
    }

    /// See [`send`].
    pub async fn send(&self, xml: &str) {
        send(&self.server, &self.session, xml).await;
    }

    /// Sends a stanza; if it waits for its row, it is left waiting.
    pub async fn send_and_go_on(&self, xml: &str) -> Option<Behind> {
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
        let (_, end) = self.session.outbox.take(bytes_max, |item| {
            let mut text = String::new();
            item.stanza.write(&mut text, item.to.as_ref(), None);
            self.buffer.push_back(text);
        });
        self.end = self.end.take().or(end);
    }

    /// Writes the next stanza of the buffer.
    pub fn write(&mut self) -> Option<String> {
        let text = self.buffer.pop_front()?;
        let rows = self.session.outbox.written(1);
        if !rows.is_empty() {
            offline::delivered(&self.server, &self.session, &rows);
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
        tokio::time::timeout(PATIENCE, received).await.unwrap_or_else(|_| panic!("nothing comes for {jid}"))
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

    /// See [`drained`].
    pub async fn drained(&self) {
        drained(&self.session).await;
    }

    /// Our side of the stream is closed, but what is in the buffer is still to be written.
    pub fn leave(&self) {
        bind::leave(&self.server, &self.session);
    }

    /// The connection is gone: what is in its buffer was not written.
    pub fn lose(self) {
        bind::end(&self.server, &self.session);
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
