//! Sockets: listeners, TLS, one task per connection.
//!
//! The only layer that knows of I/O. It frames what the stream machine emits, carries stanzas to the router and the
//! session's queue to the wire.

pub mod closing;
pub mod config;
pub mod connection;
pub mod gate;
pub mod listener;
pub mod outgoing;
pub mod shortage;
pub mod socket;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hearth_core::ended::Ended;
use hearth_core::limits::{SHUTDOWN_FORCED_MAX, SHUTDOWN_MAX};
use hearth_core::outbox::{End, Outbox};
use hearth_core::server::Server;
use hearth_core::stream::policy::StartTls;
use hearth_wire::StreamCondition;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::closing::Closing;
use crate::config::{Encryption, ListenConfig};
use crate::connection::Shared;
use crate::gate::Gate;
use crate::shortage::Shortage;
use crate::tls::TlsHosts;

/// What the listeners are started with.
#[derive(Debug)]
pub struct NetSettings {
    /// Where to listen.
    pub listen: Vec<ListenConfig>,
    /// The certificates.
    pub tls: TlsHosts,
    /// Whether development certificates may be shown to the network.
    pub development: bool,
    /// How many files the system lets this process have open (`RLIMIT_NOFILE`).
    pub descriptors_max: u64,
}

/// Why the listeners could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// An address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Plain text where others can read it.
    #[error(
        "the listener on {0} would let clients talk in plain text over the network; set starttls = \"required\", or \
         plaintext_off_loopback = true if you mean it"
    )]
    Plaintext(SocketAddr),
}

/// The running listeners.
#[derive(Debug)]
pub struct Net {
    server: Arc<Server>,
    tls: TlsHosts,
    gate: Arc<Gate>,
    closing: Arc<Closing>,
    shortage: Arc<Shortage>,
    listening: Vec<Listening>,
}

/// One running listener.
#[derive(Debug)]
struct Listening {
    config: ListenConfig,
    socket: Arc<TcpListener>,
    task: JoinHandle<()>,
}

/// Listeners of a changed configuration, bound and not accepting yet. Dropping it closes those that are new.
#[derive(Debug)]
pub struct Prepared {
    sockets: Vec<(ListenConfig, Arc<TcpListener>)>,
    waiting: Vec<ListenConfig>,
}

impl Prepared {
    /// The listeners as they will be.
    pub fn listen(&self) -> Vec<ListenConfig> {
        self.sockets.iter().map(|(config, _)| config.clone()).collect()
    }

    /// Those that cannot be opened while the server runs: a listener to be closed holds their port. It stays open too.
    pub fn waiting(&self) -> &[ListenConfig] {
        &self.waiting
    }
}

impl Net {
    /// Binds every address, then begins to accept on all.
    ///
    /// # Errors
    /// [`NetError`]; nothing is accepted then.
    pub fn start(server: Arc<Server>, settings: NetSettings) -> Result<Self, NetError> {
        let NetSettings { listen, tls, development, descriptors_max } = settings;
        let (gate, closing) = Default::default();
        let shortage = Arc::new(Shortage::new(descriptors_max));
        let mut net = Self { server, tls, gate, closing, shortage, listening: Vec::new() };
        let prepared = net.prepare(&listen)?;
        net.take_over(prepared, development);
        Ok(net)
    }

    /// Binds the addresses that are not bound yet. Nothing changes until [`take_over`](Self::take_over).
    ///
    /// # Errors
    /// [`NetError`]; nothing has changed then.
    pub fn prepare(&self, listen: &[ListenConfig]) -> Result<Prepared, NetError> {
        let mut old: Vec<&Listening> = self.listening.iter().collect();
        let mut prepared = Prepared { sockets: Vec::new(), waiting: Vec::new() };
        let mut missing = Vec::new();
        for config in listen {
            if is_exposed(config) {
                return Err(NetError::Plaintext(config.address));
            }
            match old.iter().position(|old| old.config.address == config.address) {
                Some(n) => prepared.sockets.push((config.clone(), Arc::clone(&old.swap_remove(n).socket))),
                None => missing.push(config),
            }
        }
        for config in missing {
            let address = config.address;
            match listener::bind(address) {
                Ok(socket) => prepared.sockets.push((config.clone(), Arc::new(socket))),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && holds(&old, address.port()) => {
                    prepared.waiting.push(config.clone());
                }
                Err(error) => return Err(NetError::Bind { address, error }),
            }
        }
        old.retain(|old| {
            prepared.waiting.iter().any(|config| config.address.port() == old.config.address.port())
        });
        prepared.sockets.extend(old.iter().map(|old| (old.config.clone(), Arc::clone(&old.socket))));
        Ok(prepared)
    }

    /// Accepts on what was prepared, and nowhere else. Connections stay as they are, those of closed listeners too.
    pub fn take_over(&mut self, prepared: Prepared, development: bool) {
        for old in self.listening.drain(..) {
            old.task.abort();
        }
        for (config, socket) in prepared.sockets {
            let shared = Shared {
                server: Arc::clone(&self.server),
                tls: self.tls.clone(),
                gate: Arc::clone(&self.gate),
                closing: Arc::clone(&self.closing),
                shortage: Arc::clone(&self.shortage),
                starttls: config.starttls,
                development,
                direct: config.encryption == Encryption::Direct,
            };
            let task = tokio::spawn(listener::accept(Arc::clone(&socket), Arc::new(shared)));
            self.listening.push(Listening { config, socket, task });
        }
    }

    /// The addresses bound, with the ports that the system chose for port 0.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listening.iter().filter_map(|listening| listening.socket.local_addr().ok()).collect()
    }

    /// Stops accepting, tells every session that the server shuts down (RFC 6120 §4.9.3.20), and waits for them, but not
    /// for ever.
    pub async fn shutdown(mut self) {
        for listening in self.listening.drain(..) {
            listening.task.abort();
        }
        self.for_each_session(|outbox| {
            let condition = Some(StreamCondition::SystemShutdown);
            outbox.end(End { condition, text: None, why: Ended::Shutdown });
        });
        if timeout(SHUTDOWN_MAX, self.closing.ended()).await.is_err() {
            // who does not read loses the connection, and what it was to be sent waits in the store
            self.closing.force();
            self.for_each_session(Outbox::wake);
            if timeout(SHUTDOWN_FORCED_MAX, self.closing.ended()).await.is_err() {
                tracing::error!("some connections did not end");
            }
        }
    }

    fn for_each_session(&self, act: impl Fn(&Outbox)) {
        self.server.accounts().for_each(|account| {
            account.with(|state| {
                state.resources.iter().for_each(|resource| act(&resource.session.outbox));
                state.leaving.iter().for_each(|session| act(&session.outbox));
            });
        });
    }
}

fn holds(listening: &[&Listening], port: u16) -> bool {
    listening.iter().any(|listening| listening.config.address.port() == port)
}

/// Whether a listener would let plain text over the network without the configuration saying so.
pub fn is_exposed(listen: &ListenConfig) -> bool {
    listen.encryption == Encryption::Starttls
        && listen.starttls != StartTls::Required
        && !listen.address.ip().is_loopback()
        && !listen.plaintext_off_loopback
}
