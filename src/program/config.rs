//! The configuration: one typed tree. Its comments and defaults make `config.toml`; what is not in it is refused.

mod document;
mod judge;
mod layer;
mod load;
mod overrides;
mod paths;
mod problem;
mod unknown;
mod values;

use std::path::{Path, PathBuf};

use hearth_core::host::HostConfig;
use hearth_core::limits::Limits;
use hearth_core::server::{Conflict, Settings};
use hearth_core::stream::policy::LoginPolicy;
use hearth_net::config::{ListenConfig, TlsConfig};
use hearth_wire::BareJid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::modules::Sections;

pub(crate) use document::document;
pub(crate) use load::{Loaded, Sources, is_json, load, socket};
pub(crate) use problem::{Problem, Problems};

/// The sections that a reload leaves as they are.
pub(crate) const NEED_RESTART: [&str; 2] = ["data", "admin"];

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Accounts that may give admin commands from their clients (ad-hoc commands), for example ["me@example.org"].
    pub(crate) admins: Vec<String>,
    /// What happens when a client asks for a resource that another client of the account has.
    pub(crate) conflict: Conflict,
    /// Where accounts and messages are kept.
    pub(crate) data: DataConfig,
    /// The domains in the addresses of the users: one [[host]] for each.
    pub(crate) host: Vec<HostConfig>,
    /// Where clients connect: one [[listen]] for each address and port. As shipped, only from this machine; for
    /// everybody use "[::]:5222" and "[::]:5223", and put a real certificate into the directory below.
    pub(crate) listen: Vec<ListenConfig>,
    /// Certificates.
    pub(crate) tls: TlsConfig,
    /// How clients prove who they are.
    pub(crate) login: LoginPolicy,
    /// What one client may do, how much, and how long the server waits for it.
    pub(crate) limits: Limits,
    /// What the server tells about itself.
    pub(crate) log: LogConfig,
    /// The door for `hearth account …` and the like.
    pub(crate) admin: AdminConfig,
    /// The settings of extensions, by name.
    #[schemars(skip)]
    pub(crate) xep: Sections,
}

/// Where accounts and messages are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// The data directory. It carries no machine's name: it may be moved, and copied while the server is stopped.
    pub(crate) directory: PathBuf,
    /// Whether an empty or missing data directory is made into a new one. Set it to false once the server is in use
    /// (that is also what a missing line means): a wrong path is then refused, instead of starting without accounts.
    pub(crate) create: bool,
    /// What an acknowledged message survives.
    pub(crate) durability: Durability,
}

/// What "stored" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// A power cut: it is on the disk before anybody is told.
    #[default]
    Power,
    /// The end of the process, however sudden, but not a power cut. Saves the disk some work.
    Crash,
}

/// What the server tells about itself, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// For people or for programs.
    pub(crate) format: LogFormat,
    /// How much: error, warn, info, debug or trace; also for parts, as in "info,hearth_net=debug". The audit lines (who
    /// gave which command) are there at every level; "warn,audit=off" is without them.
    pub(crate) level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines of text.
    #[default]
    Human,
    /// One JSON object for each line.
    Json,
}

/// The door for commands on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminConfig {
    /// The socket, in a directory that only the server's own user may enter. By default `hearth.sock` in the data
    /// directory.
    pub(crate) socket: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let listener = |address: &str, encryption| {
            // these are the addresses of this file
            address.parse().ok().map(|address| ListenConfig {
                address,
                encryption,
                starttls: Default::default(),
                plaintext_off_loopback: false,
            })
        };
        use hearth_net::config::Encryption::{Direct, Starttls};
        let listen = [
            listener("127.0.0.1:5222", Starttls),
            listener("[::1]:5222", Starttls),
            listener("127.0.0.1:5223", Direct),
            listener("[::1]:5223", Direct),
        ];
        Self {
            admins: Vec::new(),
            conflict: Conflict::default(),
            data: DataConfig::default(),
            host: vec![HostConfig { domain: "localhost".to_owned(), anonymous: false, see_other_host: None }],
            listen: listen.into_iter().flatten().collect(),
            tls: TlsConfig::default(),
            login: LoginPolicy::default(),
            limits: Limits::default(),
            log: LogConfig::default(),
            admin: AdminConfig::default(),
            xep: Sections::new(),
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { directory: PathBuf::from("data"), create: false, durability: Durability::default() }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

impl Config {
    /// The configuration as shipped: the defaults, for somebody who begins.
    #[cfg(test)]
    pub(crate) fn shipped() -> Self {
        let mut config = Self::default();
        config.data.create = true;
        config
    }

    /// The path of the local socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.admin.socket.clone().unwrap_or_else(|| self.data.directory.join("hearth.sock"))
    }

    /// What may change while the server runs. The configuration has been judged.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            limits: self.limits.clone(),
            admins: self.admins.iter().filter_map(|admin| BareJid::parse(admin).ok()).collect(),
            conflict: self.conflict,
            login: self.login.clone(),
        }
    }

    /// Makes every relative path one below `base`.
    fn root_at(&mut self, base: &Path) {
        for path in
            [&mut self.data.directory, &mut self.tls.certificates].into_iter().chain(&mut self.admin.socket)
        {
            *path = base.join(&*path);
        }
    }
}
