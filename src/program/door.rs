//! The local socket: admin commands for whoever may open it, i.e. the server's own user and root.
//!
//! The socket lies in a directory that nobody else may enter and has mode 0600. One line of JSON asks, one answers
//! ([`protocol`]), then the connection ends; both are limited, and so are the callers at a time.

pub(crate) mod client;
pub(crate) mod protocol;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearth_core::command::{self, Caller};
use hearth_core::server::Server;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use zeroize::Zeroizing;

use protocol::{REQUEST_BYTES_MAX, Request, Response};

/// Connections at a time; more wait in line. They are people and scripts of one user.
const CONNECTIONS_MAX: usize = 64;
/// Commands at a time; more wait in line, but for the one that ends the server.
const COMMANDS_MAX: usize = 16;
/// How long a caller may take for its request: whoever connects has it ready.
const REQUEST_WAIT: Duration = Duration::from_secs(10);

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// Somebody answers there.
    #[error("another server answers at {}: stop it, or give this one another `admin.socket`", .0.display())]
    InUse(PathBuf),
    /// Others could come in.
    #[error(
        "{} may be entered by other users of this machine: `chmod 700` it, or put `admin.socket` elsewhere", .0.display()
    )]
    Open(PathBuf),
    /// The system refused.
    #[error("the local socket {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The open socket. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Door {
    path: PathBuf,
    accepting: AbortHandle,
}

impl Door {
    /// Opens the socket and begins to answer.
    ///
    /// # Errors
    /// [`DoorError`].
    pub(crate) fn open(path: &Path, server: Arc<Server>) -> Result<Self, DoorError> {
        let listener = bind(path)?;
        let accepting = tokio::spawn(accept(listener, server)).abort_handle();
        Ok(Self { path: path.to_owned(), accepting })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the local socket could not be removed");
        }
    }
}

fn bind(path: &Path) -> Result<UnixListener, DoorError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| DoorError::Io { path, error }
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
    let mode = fs::metadata(directory).map_err(at(directory))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(DoorError::Open(directory.to_owned()));
    }
    if path.exists() {
        // what a server that was killed left behind answers nobody
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(DoorError::InUse(path.to_owned()));
        }
        fs::remove_file(path).map_err(at(path))?;
    }
    let listener = UnixListener::bind(path).map_err(at(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(at(path))?;
    Ok(listener)
}

/// Answers callers until it is aborted, and they with it.
async fn accept(listener: UnixListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let desk = Arc::new(Desk { server, commands: Semaphore::new(COMMANDS_MAX) });
    let mut callers = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                callers.spawn(async move {
                    if let Err(error) = desk.serve(stream).await {
                        tracing::debug!(%error, "a caller at the local socket went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "the local socket cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while callers.try_join_next().is_some() {}
    }
}

/// Where commands are given.
struct Desk {
    server: Arc<Server>,
    commands: Semaphore,
}

impl Desk {
    /// Answers one caller's request.
    async fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut line = Zeroizing::new(Vec::new());
        let mut bounded = BufReader::new((&mut stream).take(REQUEST_BYTES_MAX + 1));
        match timeout(REQUEST_WAIT, bounded.read_until(b'\n', &mut line)).await {
            // somebody only wanted to know whether there is a server
            Ok(Ok(0)) => return Ok(()),
            Ok(read) => read?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let (response, ends_server) = match Request::parse(&line) {
            Ok(request) => {
                let ends_server = request.ends_server();
                (self.answer(request).await, ends_server)
            }
            Err(response) => (response, false),
        };
        stream.write_all(&response.to_line()).await?;
        if ends_server && response.is_done() {
            // the caller sees by the end of the connection that the server has ended
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn answer(&self, request: Request) -> Response {
        let _place = if request.ends_server() {
            // whatever the others wait for: they will not get it any more
            None
        } else {
            self.commands.acquire().await.ok()
        };
        let Request { command, values } = request;
        let values = values.into_iter().map(|(name, secret)| (name, secret.0));
        command::call(&self.server, Caller::LocalSocket, &command, values).await.into()
    }
}

#[cfg(test)]
mod tests;
