//! One command of the registry, given on the command line: to the running server, or, where that makes sense and none
//! runs, on the stored data alone.

mod print;
mod values;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use hearth_core::clock::SystemClock;
use hearth_core::command::{self, Caller, Command};
use hearth_core::host::Hosts;
use hearth_core::server::{Parts, Server};
use tokio::runtime::Runtime;

use super::config::{Config, Loaded};
use super::data;
use super::door::client::Client;
use super::door::protocol::{Request, Response};

/// Gives the command and prints what becomes of it.
///
/// # Errors
/// It could not be given at all.
pub(crate) fn run(command: &Command, matches: &ArgMatches, loaded: Loaded) -> anyhow::Result<ExitCode> {
    // before anybody is asked for a password: is there somebody to give it to?
    let mut server = Recipient::find(command, loaded)?;
    let json = matches.get_flag("json");
    let mut code = ExitCode::SUCCESS;
    for values in values::read(command, matches)? {
        let request = Request { command: command.name.to_owned(), values };
        let response = server.call(request)?;
        if !response.is_done() {
            code = ExitCode::FAILURE;
        }
        print::response(&response, json)?;
        if !response.is_done() {
            break;
        }
    }
    server.end()?;
    Ok(code)
}

/// Who carries a command out.
enum Recipient {
    Running(Client),
    Offline { server: Arc<Server>, runtime: Runtime },
}

impl Recipient {
    fn find(command: &Command, loaded: Loaded) -> anyhow::Result<Self> {
        let socket = loaded.config.socket();
        match Client::connect(&socket)? {
            Some(client) => Ok(Self::Running(client)),
            None if command.offline => Self::offline(loaded),
            None => bail!("no server is running: nobody answers at {}", socket.display()),
        }
    }

    /// A server without listeners on the same data.
    fn offline(loaded: Loaded) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Loaded { config, plan, .. } = loaded;
        let store = data::open(&config, &plan)?;
        let parts = Parts {
            hosts: hosts(&config)?,
            settings: config.settings(),
            store,
            plan,
            clock: Arc::new(SystemClock),
        };
        let server = runtime.block_on(Server::new(parts))?;
        Ok(Self::Offline { server, runtime })
    }

    fn call(&mut self, request: Request) -> anyhow::Result<Response> {
        match self {
            Self::Running(client) => client.call(&request),
            Self::Offline { server, runtime } => {
                let values = request.values.into_iter().map(|(name, secret)| (name, secret.0));
                Ok(runtime
                    .block_on(command::call(server, Caller::LocalSocket, &request.command, values))
                    .into())
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Offline { server, runtime } => {
                runtime.block_on(server.store().close()).context("the database did not end well")
            }
        }
    }
}

/// The virtual hosts of a configuration.
///
/// # Errors
/// One is none; the configuration was judged, so this does not happen.
pub(crate) fn hosts(config: &Config) -> anyhow::Result<Hosts> {
    Ok(Hosts::new(&config.host)?)
}
