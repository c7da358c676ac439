//! Steps that befall the server and its disk.

use std::sync::Arc;
use std::time::Duration;

use super::stage::{Play, STEP_S};
use crate::scenario::{Escaping, Fault};
use crate::server::Server;

/// Longer than any scenario: the server's calls come back because the disk works again.
const STALL: Duration = Duration::from_secs(600);

impl Play<'_> {
    /// Brings it about, and waits until it is so.
    pub(super) async fn fault(&mut self, fault: &Fault) -> Result<(), String> {
        let server = self.server.clone().ok_or("only a scenario's own server can be harmed")?;
        match fault.clone() {
            Fault::ToldToStop => on(server, Server::tell_to_stop).await,
            Fault::Terminated => on(server, Server::terminate).await,
            Fault::HasStopped { within_s } => {
                on(server, move |server| server.wait_for_end(Duration::from_secs(within_s))).await
            }
            Fault::Killed => on(server, Server::kill).await,
            Fault::Starts => {
                self.abandon_connections()?;
                on(server, Server::start_again).await
            }
            Fault::Runs { command } => {
                let command = self.vars.text(&command, Escaping::Plain)?;
                on(server, move |server| server.run(&command)).await
            }
            Fault::HasLogged { parts } => {
                let parts = self.vars.text(&parts, Escaping::Plain)?;
                on(server, move |server| server.wait_for_log(&parts, Duration::from_secs(STEP_S))).await
            }
            Fault::DiskFull => on(server, Server::fill_disk).await,
            Fault::DiskHasRoom => on(server, Server::empty_disk).await,
            Fault::DiskSlow { ms } => {
                on(server, move |server| server.slow_down(Duration::from_millis(ms.into()))).await
            }
            Fault::DiskStalls => on(server, |server| server.slow_down(STALL)).await,
            Fault::DiskWorks => on(server, Server::speed_up).await,
        }
    }

    /// Connections to a server that is gone: what came on them and was not asked for is of no more interest.
    fn abandon_connections(&mut self) -> Result<(), String> {
        for client in self.clients.values_mut() {
            client.jid = None;
            if !client.connection.is_gone() {
                client.connection.drop_hard()?;
            }
        }
        Ok(())
    }
}

/// Does what waits for other programs where nobody waits for it.
async fn on(
    server: Arc<Server>,
    act: impl FnOnce(&Server) -> anyhow::Result<()> + Send + 'static,
) -> Result<(), String> {
    let done = tokio::task::spawn_blocking(move || act(&server)).await;
    done.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"))
}
