//! The caller's side of the local socket. A person waits for it, so it blocks. One connection carries one request.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::protocol::{RESPONSE_BYTES_MAX, Request, Response};

/// How long an answer may take: removing an account with a long history, or a large part of an import.
const ANSWER_WAIT: Duration = Duration::from_secs(300);

/// Whether a server is running. Keeps nothing of it: the caller may have to ask a person something first.
///
/// # Errors
/// The socket is there, but this user may not open it.
pub(crate) fn is_there(path: &Path) -> anyhow::Result<bool> {
    Ok(connect(path)?.is_some())
}

/// Sends a request and waits for its answer; where the server ends by it, for that too. `None` where no server is
/// running.
///
/// # Errors
/// This user may not open the socket, the connection ended, or the answer is none.
pub(crate) fn call(path: &Path, request: &Request) -> anyhow::Result<Option<Response>> {
    let Some(mut stream) = connect(path)?.map(BufReader::new) else { return Ok(None) };
    stream.get_mut().write_all(&request.to_line()).context("the server went away")?;
    let mut line = Vec::new();
    let read = (&mut stream).take(RESPONSE_BYTES_MAX).read_until(b'\n', &mut line);
    if read.context("the server does not answer")? == 0 {
        bail!("the server went away before it answered; its log says why");
    }
    let response: Response = serde_json::from_slice(&line).context("what answers is not this server")?;
    if request.ends_server() && response.is_done() {
        wait_for_end(&mut stream)?;
    }
    Ok(Some(response))
}

/// Where the running server listens; `None` where it does not say.
pub(crate) fn listening(path: &Path) -> Option<Vec<SocketAddr>> {
    let status = Request { command: "status".to_owned(), values: BTreeMap::new() };
    let Ok(Some(Response::Done { rows, .. })) = call(path, &status) else { return None };
    let names = rows.iter().filter_map(|row| row.first());
    let addresses = names.filter_map(|name| name.strip_prefix("listening{address=\"")?.strip_suffix("\"}"));
    Some(addresses.filter_map(|address| address.parse().ok()).collect())
}

fn connect(path: &Path) -> anyhow::Result<Option<UnixStream>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let path = path.display();
            return Err(error)
                .context(format!("{path}: give commands as the user that runs the server, or as root"));
        }
        Err(error) => return Err(error).context(format!("the local socket {}", path.display())),
    };
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    Ok(Some(stream))
}

/// Waits until the other side has closed the connection.
fn wait_for_end(stream: &mut impl io::Read) -> anyhow::Result<()> {
    match io::copy(stream, &mut io::sink()) {
        Ok(_) => Ok(()),
        // a process that ends may reset what it had open
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error).context("the server does not come to its end"),
    }
}
