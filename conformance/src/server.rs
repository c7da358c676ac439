//! Servers under test: started for a run on free loopback ports in a private folder, stopped by process id.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Target;
use crate::faults::{Disk, SlowSync};
use crate::scenario::Own;

/// Virtual hosts of every server that the runner starts (names that exist nowhere, RFC 2606).
const HOSTS: [&str; 2] = ["verona.example", "mantua.example"];

/// Ports that the starters ask for.
const PORTS: [&str; 7] =
    ["C2S_PORT", "C2S_TLS_PORT", "S2S_PORT", "COMPONENT_PORT", "HTTP_PORT", "HTTPS_PORT", "DIST_PORT"];

/// Where ports are looked for.
const PORT_MIN: u16 = 20_000;
const PORT_COUNT: u16 = 12_000;
const PORT_TRIES_MAX: u32 = 1_000;

/// How often it is looked whether a process is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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

/// What a server is to be like, beside what all are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// A file to merge into its configuration.
    pub(crate) variant: Option<PathBuf>,
    /// A server that one scenario does with as it likes.
    pub(crate) own: Option<Own>,
}

/// A running server; dropping it stops it and removes its folder.
pub(crate) struct Server {
    starter: PathBuf,
    folder: PathBuf,
    environment: BTreeMap<&'static str, String>,
    /// Whether it may be in any state at the end.
    is_own: bool,
    disk: Option<Disk>,
    slow: Mutex<Option<SlowSync>>,
    pub(crate) target: Target,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(kind: Kind, root: &Path, name: &str, setup: &Setup) -> Result<Self> {
        let starter = kind.starter(root);
        if !starter.exists() {
            bail!("{} does not exist", starter.display());
        }
        let mut failed = None;
        for attempt in 1..=STARTS_MAX {
            match Self::try_start(&starter, &format!("{name}-{attempt}"), setup) {
                Ok(server) => return Ok(server),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("not tried")))
            .context(format!("{} does not start", kind.name()))
    }

    fn try_start(starter: &Path, name: &str, setup: &Setup) -> Result<Self> {
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
        // all it can say: what must not be said is looked for in it
        environment.insert("LOG_LEVEL", "trace".to_owned());
        let own = setup.own.clone().unwrap_or_default();
        if let Some(extra) = extra_config(&folder, setup)? {
            environment.insert("EXTRA_CONFIG", extra.display().to_string());
        }
        let disk = own.disk_mb.map(|size_mb| Disk::mount(&folder.join("data"), size_mb)).transpose()?;
        let server = Self {
            starter: starter.to_path_buf(),
            folder,
            environment,
            is_own: setup.own.is_some(),
            disk,
            slow: Mutex::new(None),
            target,
        };
        server.call(&["start"])?;
        Ok(server)
    }

    fn starter(&self, arguments: &[&str]) -> Result<Command> {
        let (command, rest) = arguments.split_first().context("no command")?;
        let mut starter = Command::new(&self.starter);
        starter.arg(command).arg(&self.folder).args(rest).envs(&self.environment);
        starter.env_remove("EJABBERD_CONFIG_PATH").stdin(Stdio::null());
        Ok(starter)
    }

    fn call(&self, arguments: &[&str]) -> Result<()> {
        let mut starter = self.starter(arguments)?;
        let output = starter.output().with_context(|| format!("cannot run {}", self.starter.display()))?;
        if !output.status.success() {
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let command = arguments.join(" ");
            bail!("{} {command}: {}\n{out}{err}", self.starter.display(), output.status);
        }
        Ok(())
    }

    /// The folder with its log files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where Hearth's log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("hearth.log")
    }

    /// What it wrote about its own faults: the first line that tells of a panic.
    pub(crate) fn panic(&self) -> Option<String> {
        let log = std::fs::read(self.log()).ok()?;
        let log = String::from_utf8_lossy(&log);
        log.lines().find(|line| line.contains("panicked at")).map(str::to_owned)
    }
}

/// What a scenario does with its own server.
impl Server {
    fn pid(&self) -> Result<u32> {
        let pid = std::fs::read_to_string(self.folder.join("pid")).context("the server does not run")?;
        Ok(pid.trim().parse()?)
    }

    /// Tells it to stop by its own command, and does not wait.
    pub(crate) fn tell_to_stop(&self) -> Result<()> {
        let mut stop = self.starter(&["command", "stop"])?;
        let mut stop = stop.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // whether it worked is seen by the server's end
        std::thread::spawn(move || stop.wait());
        Ok(())
    }

    /// SIGTERM, without waiting.
    pub(crate) fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw).context("no process number")?;
        kill_process(pid, Signal::TERM).context("SIGTERM")
    }

    /// Waits until the process is gone.
    pub(crate) fn wait_for_end(&self, time: Duration) -> Result<()> {
        let pid = self.pid()?;
        let deadline = Instant::now() + time;
        while is_alive(pid) {
            if Instant::now() > deadline {
                bail!("the server did not stop within {} s", time.as_secs());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        self.speed_up()?;
        self.call(&["stop"])
    }

    /// SIGKILL; the process is gone afterwards.
    pub(crate) fn kill(&self) -> Result<()> {
        if !is_alive(self.pid()?) {
            bail!("the server is not there any more: nothing to kill");
        }
        self.call(&["kill"])?;
        self.speed_up()
    }

    /// Starts it again, with the data that it left behind.
    pub(crate) fn start_again(&self) -> Result<()> {
        self.call(&["start"])
    }

    /// A command of its command line.
    pub(crate) fn run(&self, command: &str) -> Result<()> {
        let words: Vec<&str> = std::iter::once("command").chain(command.split_whitespace()).collect();
        self.call(&words)
    }

    /// Waits for a line in its log that holds these parts (with ` .. ` between them) in this order.
    pub(crate) fn wait_for_log(&self, parts: &str, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        loop {
            let log = std::fs::read(self.log())?;
            if String::from_utf8_lossy(&log).lines().any(|line| holds(line, parts)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server has not logged `{parts}`");
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn fill_disk(&self) -> Result<()> {
        self.disk.as_ref().context("the disk has no size of its own")?.fill()
    }

    pub(crate) fn empty_disk(&self) -> Result<()> {
        self.disk.as_ref().context("the disk has no size of its own")?.empty()
    }

    /// From now on every sync takes this much longer.
    pub(crate) fn slow_down(&self, delay: Duration) -> Result<()> {
        // whoever holds it now has to let go first
        self.speed_up()?;
        let slow = SlowSync::of(self.pid()?, delay)?;
        *self.slow()? = Some(slow);
        Ok(())
    }

    /// Syncs take as long as they take.
    pub(crate) fn speed_up(&self) -> Result<()> {
        drop(self.slow()?.take());
        Ok(())
    }

    fn slow(&self) -> Result<MutexGuard<'_, Option<SlowSync>>> {
        self.slow.lock().map_err(|_| anyhow::anyhow!("a step failed badly"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // what holds it would hold its end, too
        drop(self.slow.lock().map(|mut slow| slow.take()));
        let last = if self.is_own { "kill" } else { "stop" };
        if let Err(error) = self.call(&[last]) {
            eprintln!("could not stop a server: {error:#}");
            return;
        }
        drop(self.disk.take());
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("could not remove {}: {error}", self.folder.display());
        }
    }
}

/// The file that is merged into the configuration.
fn extra_config(folder: &Path, setup: &Setup) -> Result<Option<PathBuf>> {
    let Some(own) = &setup.own else { return Ok(setup.variant.clone()) };
    let path = folder.join("own.toml");
    std::fs::write(&path, own.config.join("\n"))?;
    Ok(Some(path))
}

/// Whether a line holds all parts, one behind the other.
fn holds(line: &str, parts: &str) -> bool {
    let behind = |rest: Option<usize>, part: &str| {
        let from = rest?;
        line[from..].find(part).map(|at| from + at + part.len())
    };
    parts.split(" .. ").fold(Some(0), behind).is_some()
}

/// Whether a process runs (one that has ended may wait for its parent to look).
fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:\tZ")))
}

/// One free port for each name; all are held until all are found, so that they differ.
///
/// They lie below those that the system gives to outgoing connections: a server that is started again finds its own free.
fn free_ports() -> Result<BTreeMap<&'static str, u16>> {
    let mut held = Vec::new();
    let mut ports = BTreeMap::new();
    for name in PORTS {
        let listener = free_port()?;
        ports.insert(name, listener.local_addr()?.port());
        held.push(listener);
    }
    Ok(ports)
}

fn free_port() -> Result<TcpListener> {
    for _ in 0..PORT_TRIES_MAX {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let port = PORT_MIN + u16::from_le_bytes(random) % PORT_COUNT;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    bail!("no free port from {PORT_MIN} to {}", PORT_MIN + PORT_COUNT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_its_parts_in_their_order() {
        let line = "INFO audit: command=\"stop\" outcome=\"done\"";
        assert!(holds(line, "audit .. command=\"stop\" .. done") && holds(line, "stop"));
        assert!(!holds(line, "done .. audit") && !holds(line, "audit .. audit"));
    }
}
