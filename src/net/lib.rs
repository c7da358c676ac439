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
pub mod socket;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::ended::Ended;
use hearth_core::outbox::{End, Outbox};
use hearth_core::server::Server;
use hearth_core::stream::policy::StartTls;
use hearth_wire::StreamCondition;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::closing::Closing;
use crate::config::{Encryption, ListenConfig};
use crate::connection::Shared;
use crate::gate::Gate;
use crate::tls::TlsHosts;

/// How long streams have to end when the server stops.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// How long they have once they are forced: the time of a few commits.
const FORCED_MAX: Duration = Duration::from_secs(5);

/// What the listeners are started with.
#[derive(Debug)]
pub struct NetSettings {
    /// Where to listen.
    pub listen: Vec<ListenConfig>,
    /// The certificates.
    pub tls: TlsHosts,
    /// Whether development certificates may be shown to the network.
    pub development: bool,
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
    closing: Arc<Closing>,
    tasks: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Net {
    /// Binds every address, then begins to accept on all.
    ///
    /// # Errors
    /// [`NetError`]; nothing is accepted then.
    pub fn start(server: Arc<Server>, settings: NetSettings) -> Result<Self, NetError> {
        let gate = Arc::new(Gate::default());
        let closing = Arc::new(Closing::default());
        let mut bound = Vec::new();
        for listen in settings.listen {
            let address = listen.address;
            if is_exposed(&listen) {
                return Err(NetError::Plaintext(address));
            }
            let listener = listener::bind(address).map_err(|error| NetError::Bind { address, error })?;
            let shared = Shared {
                server: Arc::clone(&server),
                tls: settings.tls.clone(),
                gate: Arc::clone(&gate),
                closing: Arc::clone(&closing),
                starttls: listen.starttls,
                development: settings.development,
                direct: listen.encryption == Encryption::Direct,
            };
            bound.push((listener, Arc::new(shared)));
        }
        let addresses = bound.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect();
        let tasks = bound
            .into_iter()
            .map(|(listener, shared)| tokio::spawn(listener::accept(listener, shared)))
            .collect();
        Ok(Self { server, closing, tasks, addresses })
    }

    /// The addresses bound, with the ports that the system chose for port 0.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, tells every session that the server shuts down (RFC 6120 §4.9.3.20), and waits for them, but not
    /// for ever.
    pub async fn shutdown(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.for_each_session(|outbox| {
            let condition = Some(StreamCondition::SystemShutdown);
            outbox.end(End { condition, text: None, why: Ended::Shutdown });
        });
        if timeout(SHUTDOWN_MAX, self.closing.ended()).await.is_err() {
            // who does not read loses the connection, and what it was to be sent waits in the store
            self.closing.force();
            self.for_each_session(Outbox::wake);
            if timeout(FORCED_MAX, self.closing.ended()).await.is_err() {
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

/// Whether a listener would let plain text over the network without the configuration saying so.
pub fn is_exposed(listen: &ListenConfig) -> bool {
    listen.encryption == Encryption::Starttls
        && listen.starttls != StartTls::Required
        && !listen.address.ip().is_loopback()
        && !listen.plaintext_off_loopback
}
