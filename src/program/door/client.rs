//! The caller's side of the local socket. A person waits for it, so it blocks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::protocol::{RESPONSE_BYTES_MAX, Request, Response};

/// How long an answer may take: removing an account with a long history, or a large part of an import.
const ANSWER_WAIT: Duration = Duration::from_secs(300);

/// A connection to the running server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects; `None` where no server is running.
    ///
    /// # Errors
    /// The socket is there, but this user may not open it.
    pub(crate) fn connect(path: &Path) -> anyhow::Result<Option<Self>> {
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                bail!("{}: give commands as the user that runs the server, or as root", path.display());
            }
            Err(error) => return Err(error).context(format!("the local socket {}", path.display())),
        };
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Some(Self { stream: BufReader::new(stream) }))
    }

    /// Sends a request and waits for its answer; where the server ends by it, for that too.
    ///
    /// # Errors
    /// The connection ended, or the answer is none.
    pub(crate) fn call(&mut self, request: &Request) -> anyhow::Result<Response> {
        self.stream.get_mut().write_all(&request.to_line()).context("the server went away")?;
        let mut line = Vec::new();
        let read = (&mut self.stream).take(RESPONSE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.context("the server does not answer")? == 0 {
            bail!("the server went away before it answered; its log says why");
        }
        let response: Response = serde_json::from_slice(&line).context("what answers is not this server")?;
        if request.ends_server() && response.is_done() {
            self.wait_for_end()?;
        }
        Ok(response)
    }

    /// Waits until the other side has closed the connection.
    fn wait_for_end(&mut self) -> anyhow::Result<()> {
        match io::copy(&mut self.stream, &mut io::sink()) {
            Ok(_) => Ok(()),
            // a process that ends may reset what it had open
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error).context("the server does not come to its end"),
        }
    }
}
