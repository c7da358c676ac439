//! Serving: everything is started in order, runs until it is told to stop, and ends in the opposite order.

mod reload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hearth_core::clock::SystemClock;
use hearth_core::control::Order;
use hearth_core::server::{Parts, Server};
use hearth_core::unserved;
use hearth_net::tls::{Development, TlsHosts, Watcher};
use hearth_net::{Net, NetError, NetSettings};
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::certificates::{self, Certificates};
use super::check::network;
use super::command::hosts;
use super::config::{Config, Loaded, LogConfig, LogFormat, Sources, is_json, load};
use super::door::Door;
use super::logging::{self, Log};
use super::{data, welcome};

/// How often certificate files are looked at: a renewal is served after one to two of these.
const CERTIFICATES_LOOK: Duration = Duration::from_secs(30);

/// How long what sessions left to be stored may take at the end: a few commits of a slow disk.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// Serves until SIGTERM, SIGINT or `hearth stop`.
///
/// # Errors
/// What kept the server from starting; the text names the fix.
pub(crate) fn run(sources: Sources) -> anyhow::Result<ExitCode> {
    let json = is_json(&sources);
    let loaded = match load(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            if json {
                logging::start(&LogConfig { format: LogFormat::Json, ..LogConfig::default() })?;
            }
            return refused(problems.into(), json);
        }
    };
    let log = logging::start(&loaded.config.log)?;
    serve(sources, loaded, log).map(|()| ExitCode::SUCCESS).or_else(|error| refused(error, json))
}

/// What programs read is JSON to the last line: what keeps the server from serving goes into the log there.
fn refused(error: anyhow::Error, json: bool) -> anyhow::Result<ExitCode> {
    if !json || !tracing::enabled!(tracing::Level::ERROR) {
        return Err(error);
    }
    tracing::error!("{error:#}");
    Ok(ExitCode::FAILURE)
}

fn serve(sources: Sources, loaded: Loaded, log: Log) -> anyhow::Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), files = ?loaded.files, "starting");
    let descriptors_max = raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut program = Program::start(sources, loaded, log, descriptors_max).await?;
        program.wait().await;
        program.end().await
    })
}

/// Each client takes a file: as many as the system lets us have, and how many that is.
fn raise_file_limit() -> u64 {
    let raised = rlimit::increase_nofile_limit(rlimit::INFINITY).inspect_err(|error| {
        tracing::warn!(%error, "the limit on open files could not be raised");
    });
    let limit = raised.or_else(|_| rlimit::Resource::NOFILE.get_soft()).unwrap_or(u64::MAX);
    tracing::info!(limit, "open files");
    limit
}

fn watch(served: &TlsHosts, development: Option<Development>) -> AbortHandle {
    tokio::spawn(Watcher::new(served.clone(), development).run(CERTIFICATES_LOOK)).abort_handle()
}

/// A listener that cannot be, with what to do about it.
fn explained(error: NetError) -> anyhow::Error {
    let NetError::Bind { error: cause, .. } = &error else { return error.into() };
    let (why, fix) = network::explain(cause);
    anyhow::anyhow!("{error}: {why} ({fix})")
}

/// The running parts.
struct Program {
    sources: Sources,
    /// What is in force: the configuration, without what waits for a restart.
    config: Config,
    log: Log,
    server: Arc<Server>,
    served: TlsHosts,
    watcher: AbortHandle,
    net: Net,
    door: Door,
    orders: mpsc::Receiver<Order>,
    signals: Signals,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

impl Program {
    async fn start(sources: Sources, loaded: Loaded, log: Log, descriptors_max: u64) -> anyhow::Result<Self> {
        let Loaded { config, plan, files, doubts } = loaded;
        doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
        let signals = Signals::listen()?;
        let hosts = hosts(&config)?;
        // first: certificates that are made may lie in the data directory, which is made only where nothing is yet
        let store = data::open(&config, &plan)?;
        let now = OffsetDateTime::now_utc();
        let found = certificates::find(&config, &hosts, now)?;
        let served = certificates::open(&config, &found, now)?;
        let parts = Parts { plan, hosts, store, clock: Arc::new(SystemClock), settings: config.settings() };
        let server = Server::new(parts).await?;
        let orders = server.control().take_orders().context("somebody else takes the server's orders")?;
        if let Some(line) = unserved::describe(&server.unserved().await?) {
            tracing::warn!("nobody can log in to {line}: {}", unserved::FIX);
        }
        let settings = NetSettings {
            listen: config.listen.clone(),
            tls: served.clone(),
            development: config.tls.development,
            descriptors_max,
        };
        let net = Net::start(Arc::clone(&server), settings).map_err(explained)?;
        server.control().set_listening(net.local_addresses());
        // last: whoever finds the socket finds a server that clients can reach
        let door = Door::open(&config.socket(), Arc::clone(&server))?;
        let Certificates { development, authority, .. } = found;
        let watcher = watch(&served, development);
        tracing::info!(addresses = ?net.local_addresses(), "serving");
        if config.log.format == LogFormat::Human {
            welcome::greet(&server, &config, &files, authority.as_deref()).await?;
        }
        Ok(Self { sources, config, log, server, served, watcher, net, door, orders, signals })
    }

    /// Looks after other certificates than so far.
    fn watch(&mut self, development: Option<Development>) {
        self.watcher.abort();
        self.watcher = watch(&self.served, development);
    }

    /// Works until it is time to stop.
    async fn wait(&mut self) {
        loop {
            tokio::select! {
                _ = self.signals.interrupt.recv() => return tracing::info!("interrupted"),
                _ = self.signals.terminate.recv() => return tracing::info!("terminated"),
                _ = self.signals.hangup.recv() => self.reload(None).await,
                order = self.orders.recv() => match order {
                    Some(Order::Reload(answer)) => self.reload(Some(answer)).await,
                    Some(Order::Stop) | None => return tracing::info!("stopped by command"),
                },
            }
        }
    }

    /// Ends in the opposite order of the start: nobody new, sessions, what they left to be stored, the database; whoever
    /// said `stop` sees it last.
    async fn end(self) -> anyhow::Result<()> {
        self.net.shutdown().await;
        if !self.server.finish(FINISH_MAX).await {
            tracing::error!("not all that was to be stored could be: the disk is too slow");
        }
        self.server.store().close().await.context("the database did not end well")?;
        drop(self.door);
        tracing::info!("ended");
        Ok(())
    }
}
