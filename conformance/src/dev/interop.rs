//! Real clients in `conformance/clients`, each against a server of its own; the contract is in the README.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::shell;
use super::tools::{self, Missing, Tool};
use crate::server::{Kind, Server, Setup};

/// How a client says that it cannot run here.
const CANNOT_RUN: i32 = 77;

/// How the clients did.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) passed: Vec<String>,
    pub(super) failed: Vec<String>,
    pub(super) skipped: Vec<String>,
}

/// Runs every client whose name contains the filter.
///
/// # Errors
/// The server does not start, or the clients' folder cannot be read.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
pub(super) fn run(root: &Path, filter: Option<&str>) -> Result<Outcome> {
    tools::prepare_server(root, Kind::Hearth)?;
    let mut outcome = Outcome::default();
    for client in clients(root)? {
        if filter.is_some_and(|part| !client.name.contains(part)) {
            continue;
        }
        println!("--- {}", client.name);
        let place = match client.play(root) {
            Ok(Ended::Passed) => &mut outcome.passed,
            Ok(Ended::CannotRun(why)) => {
                println!("  SKIPPED {}: {why}", client.name);
                &mut outcome.skipped
            }
            Err(error) => {
                println!("  FAILED  {}: {error:#}", client.name);
                &mut outcome.failed
            }
        };
        place.push(client.name);
    }
    let Outcome { passed, failed, skipped } = &outcome;
    println!("clients: {} passed, {} failed ({} skipped)", passed.len(), failed.len(), skipped.len());
    Ok(outcome)
}

enum Ended {
    Passed,
    CannotRun(String),
}

struct Client {
    name: String,
    folder: PathBuf,
    /// For what it installs; kept between runs.
    cache: PathBuf,
}

/// All clients, by name.
fn clients(root: &Path) -> Result<Vec<Client>> {
    let all = root.join("conformance/clients");
    let mut clients = Vec::new();
    if !all.exists() {
        return Ok(clients);
    }
    for entry in std::fs::read_dir(&all).with_context(|| all.display().to_string())? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.join("run").is_file() {
            clients.push(Client { cache: root.join("target/clients").join(&name), name, folder });
        }
    }
    clients.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(clients)
}

impl Client {
    fn play(&self, root: &Path) -> Result<Ended> {
        if let Err(Missing::NotInstalled(why)) = self.install() {
            return Ok(Ended::CannotRun(why));
        }
        let server = Server::start(Kind::Hearth, root, &format!("client-{}", self.name), &Setup::default())?;
        let mut command = Command::new(self.folder.join("run"));
        command
            .current_dir(root)
            .arg(server.target.addr.to_string())
            .arg(&server.target.host)
            .env("TLS_ADDR", server.target.tls_addr.to_string())
            .env("DOMAIN2", &server.target.host2)
            .env("CACHE", &self.cache);
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        match status.code() {
            Some(0) => Ok(Ended::Passed),
            Some(CANNOT_RUN) => Ok(Ended::CannotRun("it says so itself".to_owned())),
            _ => bail!("{status}"),
        }
    }

    /// Brings what the client's files ask for.
    fn install(&self) -> Result<(), Missing> {
        let not_installed = |error: anyhow::Error| Missing::NotInstalled(format!("{error:#}"));
        std::fs::create_dir_all(&self.cache).map_err(|error| not_installed(error.into()))?;
        self.install_debian()?;
        if self.folder.join("requirements.txt").exists() {
            tools::need(&[&Tool { program: "python3", package: "python3" }])?;
            self.install_python().map_err(not_installed)?;
        }
        if self.folder.join("package.json").exists() {
            tools::need(&[&Tool { program: "npm", package: "npm" }])?;
            self.install_node().map_err(not_installed)?;
        }
        Ok(())
    }

    /// `debian-packages`: lines of `PROGRAM PACKAGE`.
    fn install_debian(&self) -> Result<(), Missing> {
        let Ok(text) = std::fs::read_to_string(self.folder.join("debian-packages")) else { return Ok(()) };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let tools: Vec<Tool<'_>> = lines
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(program, package)| Tool { program, package: package.trim() })
            .collect();
        tools::need(&tools.iter().collect::<Vec<_>>())
    }

    /// `requirements.txt`: into a virtual environment, made afresh when the file has changed.
    fn install_python(&self) -> Result<()> {
        let wanted = self.folder.join("requirements.txt");
        self.once(&wanted, "venv", |venv| {
            let made = shell::run(Command::new("python3").args(["-m", "venv"]).arg(venv));
            if made.is_err() {
                // Debian keeps a part of the standard library in a package of its own.
                tools::apt_get(&["python3-venv"])?;
                shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
            }
            let pip = venv.join("bin/pip");
            shell::run(Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&wanted))
        })
    }

    /// `package.json`, beside it `package-lock.json`: into a folder of the cache.
    fn install_node(&self) -> Result<()> {
        let wanted = self.folder.join("package.json");
        self.once(&wanted, "node", |node| {
            std::fs::create_dir_all(node)?;
            std::fs::copy(&wanted, node.join("package.json"))?;
            let lock = self.folder.join("package-lock.json");
            if lock.exists() {
                std::fs::copy(&lock, node.join("package-lock.json"))?;
            }
            shell::run(Command::new("npm").current_dir(node).args(["install", "--silent", "--no-audit"]))
        })
    }

    /// Installs into `CACHE/name` unless that was done for the very same wishes.
    fn once(&self, wishes: &Path, name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (place, mark) = (self.cache.join(name), self.cache.join(format!("{name}.installed")));
        let wanted = std::fs::read(wishes)?;
        if std::fs::read(&mark).is_ok_and(|before| before == wanted) {
            return Ok(());
        }
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        install(&place)?;
        std::fs::write(&mark, wanted).context("cannot note what was installed")
    }
}
