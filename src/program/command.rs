//! One command of the registry, given on the command line: to the running server, or, where that makes sense and none
//! runs, on the stored data alone.

mod lines;
mod print;
mod prompt;
mod sum;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::ArgMatches;
use hearth_core::clock::SystemClock;
use hearth_core::command::{self, Caller, Command};
use hearth_core::host::Hosts;
use hearth_core::server::{Parts, Server};
use hearth_store::OpenError;
use tokio::runtime::Runtime;

use self::sum::Sum;
use self::values::Call;
use super::config::{self, Config, Loaded, Problem, Sources, load};
use super::data;
use super::door::client;
use super::door::protocol::{Request, Response};

/// Commands that may begin a server's data: the others have nothing to say of accounts that are not there.
const BEGIN_DATA: [&str; 2] = ["account add", "account import"];

/// Gives the command and prints what becomes of it.
///
/// # Errors
/// It could not be given at all.
pub(crate) fn run(command: &Command, matches: &ArgMatches, sources: &Sources) -> anyhow::Result<ExitCode> {
    // before anybody is asked for a password: is there somebody to give it to?
    if let Place::Offline(doubts) = Place::find(command, sources)? {
        doubts.iter().for_each(|doubt| eprintln!("hearth: {doubt}"));
    }
    let json = matches.get_flag("json");
    let calls = values::read(command, matches)?;
    // again: a person who is typing keeps neither a place at the server nor the database, and either may come and go
    let mut recipient = Recipient::open(Place::find(command, sources)?, command, sources)?;
    let mut sum = Sum::default();
    for Call { values, lines } in calls {
        let response = recipient.call(Request { command: command.name.to_owned(), values });
        let response = response.map_err(|error| anyhow!("{error:#}{}", sum.done()))?;
        if !sum.add(response, lines) {
            break;
        }
    }
    let response = sum.told();
    print::response(&response, json)?;
    recipient.end()?;
    Ok(if response.is_done() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a command can be given.
enum Place {
    /// To the server that answers here.
    Running(PathBuf),
    /// On the data of this configuration, about which there may be doubts.
    Offline(Vec<Problem>),
}

impl Place {
    fn find(command: &Command, sources: &Sources) -> anyhow::Result<Self> {
        let loaded = load(sources);
        // a running server takes commands, whatever has become of its configuration since
        let socket = match &loaded {
            Ok(loaded) => Some(loaded.config.socket()),
            Err(_) => config::socket(sources),
        };
        if let Some(socket) = &socket
            && client::is_there(socket)?
        {
            return Ok(Self::Running(socket.clone()));
        }
        let Loaded { mut config, plan, doubts, .. } = loaded?;
        if !command.offline {
            bail!(
                "no server is running: nobody answers at {} (start one with `hearth`; if one runs with another \
                 configuration, name that with --config)",
                config.socket().display()
            );
        }
        let may_create = config.data.create;
        config.data.create &= begins_data(command);
        match data::look(&config, &plan) {
            Err(OpenError::WouldCreate { dir }) if may_create => bail!(
                "there is no database in {}, and so no account. `hearth` makes one, or `hearth account add`; if there \
                 should be one, `data.directory` points to the wrong place",
                dir.display()
            ),
            looked => looked?,
        }
        Ok(Self::Offline(doubts))
    }
}

fn begins_data(command: &Command) -> bool {
    BEGIN_DATA.contains(&command.name)
}

/// Who carries a command out.
enum Recipient {
    Running(PathBuf),
    Offline { server: Arc<Server>, runtime: Runtime },
}

impl Recipient {
    fn open(place: Place, command: &Command, sources: &Sources) -> anyhow::Result<Self> {
        match place {
            Place::Running(socket) => Ok(Self::Running(socket)),
            Place::Offline(_) => {
                let mut loaded = load(sources)?;
                loaded.config.data.create &= begins_data(command);
                Self::offline(loaded)
            }
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
            Self::Running(socket) => {
                client::call(socket, &request)?.context("the server has stopped in the meantime")
            }
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
