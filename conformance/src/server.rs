//! Servers under test: started for a run on free loopback ports in a private folder, stopped by process id.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::client::Target;

/// Virtual hosts of every server that the runner starts (names that exist nowhere, RFC 2606).
const HOSTS: [&str; 2] = ["verona.example", "mantua.example"];

/// Ports that the starters ask for.
const PORTS: [&str; 7] =
    ["C2S_PORT", "C2S_TLS_PORT", "S2S_PORT", "COMPONENT_PORT", "HTTP_PORT", "HTTPS_PORT", "DIST_PORT"];

/// A start fails when somebody takes a port between our look and the server's; then others are tried.
const STARTS_MAX: u32 = 3;

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    Hearth,
    Prosody,
    Ejabberd,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hearth => "hearth",
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        }
    }

    /// The program that starts and stops it; the interface is in `conformance/peers/README.md`.
    fn starter(self, root: &Path) -> PathBuf {
        match self {
            Self::Hearth => root.join("conformance/peer"),
            Self::Prosody | Self::Ejabberd => root.join("conformance/peers").join(self.name()),
        }
    }
}

/// A running server; dropping it stops it and removes its folder.
pub(crate) struct Server {
    starter: PathBuf,
    folder: PathBuf,
    environment: BTreeMap<&'static str, String>,
    pub(crate) target: Target,
}

impl Server {
    /// Starts a server; `extra` is a file to merge into its configuration.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(kind: Kind, root: &Path, name: &str, extra: Option<&Path>) -> Result<Self> {
        let starter = kind.starter(root);
        if !starter.exists() {
            bail!("{} does not exist", starter.display());
        }
        let mut failed = None;
        for attempt in 1..=STARTS_MAX {
            match Self::try_start(kind, root, &format!("{name}-{attempt}"), extra) {
                Ok(server) => return Ok(server),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("not tried")))
            .context(format!("{} does not start", kind.name()))
    }

    fn try_start(kind: Kind, root: &Path, name: &str, extra: Option<&Path>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("hearth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let ports = free_ports()?;
        let at = |port: &str| SocketAddr::from((Ipv4Addr::LOCALHOST, ports[port]));
        let target = Target {
            addr: at("C2S_PORT"),
            tls_addr: at("C2S_TLS_PORT"),
            host: HOSTS[0].to_owned(),
            host2: HOSTS[1].to_owned(),
        };
        let mut environment: BTreeMap<&'static str, String> =
            ports.iter().map(|(name, port)| (*name, port.to_string())).collect();
        environment.insert("DOMAIN", target.host.clone());
        environment.insert("DOMAIN2", target.host2.clone());
        environment.insert("BIND", Ipv4Addr::LOCALHOST.to_string());
        environment.insert("MAM", "off".to_owned());
        if let Some(extra) = extra {
            environment.insert("EXTRA_CONFIG", extra.display().to_string());
        }
        let server = Self { starter: kind.starter(root), folder, environment, target };
        server.call("start")?;
        Ok(server)
    }

    fn call(&self, command: &str) -> Result<()> {
        let output = Command::new(&self.starter)
            .arg(command)
            .arg(&self.folder)
            .envs(&self.environment)
            .env_remove("EJABBERD_CONFIG_PATH")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.starter.display()))?;
        if !output.status.success() {
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            bail!("{} {command}: {}\n{out}{err}", self.starter.display(), output.status);
        }
        Ok(())
    }

    /// The folder with its log files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.call("stop") {
            eprintln!("could not stop a server: {error:#}");
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("could not remove {}: {error}", self.folder.display());
        }
    }
}

/// One free port for each name; all are held until all are found, so that they differ.
fn free_ports() -> Result<BTreeMap<&'static str, u16>> {
    let mut held = Vec::new();
    let mut ports = BTreeMap::new();
    for name in PORTS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        ports.insert(name, listener.local_addr()?.port());
        held.push(listener);
    }
    Ok(ports)
}
