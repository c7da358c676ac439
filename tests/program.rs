//! The built program as its operator meets it: started, given commands, signalled, stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const CONFIG: &str = "[data]\ncreate = true\n[[listen]]\naddress = '127.0.0.1:0'\n[[listen]]\naddress = '[::1]:0'\n\
                      encryption = 'direct'\n";

/// A folder with a configuration, for one server.
fn folder(config: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    dir
}

fn hearth(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH")) {
        command.env_remove(name);
    }
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    hearth(dir, arguments).output().unwrap()
}

/// What a command that must succeed says.
#[track_caller]
fn said(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command that must fail says.
#[track_caller]
fn refused(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn with_password(dir: &Path, arguments: &[&str], password: &str) -> Output {
    let mut command = hearth(dir, arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    child.wait_with_output().unwrap()
}

/// A running server; killed with the test if that ends early.
struct Server {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts it and waits until it serves.
    fn start(dir: &Path) -> Self {
        let mut command = hearth(dir, &[]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, log };
        server.wait_for("serving");
        server
    }

    /// Reads the log up to a line that says this.
    fn wait_for(&mut self, words: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended before `{words}`:\n{seen}");
            seen.push_str(&line);
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        // the shell's own `kill`: a bare machine has no other
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end; what it said on the screen.
    fn end(mut self) -> String {
        self.wait_for("ended");
        assert!(self.child.wait().unwrap().success());
        let mut screen = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut screen).unwrap();
        screen
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it has usually ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_first_start_leads_to_an_account_and_a_good_end() {
    let dir = folder(CONFIG);
    let server = Server::start(dir.path());
    let added = with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret");
    assert_eq!((text(&added.stdout).as_str(), added.status.code()), ("me@localhost was made\n", Some(0)));
    assert!(said(dir.path(), &["account", "list"]).contains("me@localhost  enabled"));
    assert!(said(dir.path(), &["status", "--json"]).starts_with("{\"done\":{"));
    assert!(said(dir.path(), &["check"]).ends_with("0 errors, 0 warnings\n"));
    let second = refused(dir.path(), &["serve"]);
    assert!(second.contains("is in use by process"), "{second}");
    assert_eq!(said(dir.path(), &["stop"]), "the server is stopping\n");
    let screen = server.end();
    assert!(
        screen.contains("account add you@localhost") && screen.contains("development-ca.crt"),
        "{screen}"
    );
    assert!(!dir.path().join("data/hearth.sock").exists());

    let server = Server::start(dir.path());
    server.signal("TERM");
    assert_eq!(server.end(), "", "with an account there is nothing left to explain");
}

#[test]
fn without_a_server_accounts_are_managed_on_the_data() {
    let dir = folder(CONFIG);
    let added = with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret");
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(
        said(dir.path(), &["account", "show", "me@localhost"])
            .contains("SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1")
    );
    assert!(
        refused(dir.path(), &["account", "remove", "you@localhost"])
            .contains("there is no account you@localhost")
    );
    for command in ["status", "stop", "reload"] {
        assert!(refused(dir.path(), &[command]).contains("no server is running"), "{command}");
    }
}

#[test]
fn a_reload_takes_what_is_good_and_nothing_of_what_is_bad() {
    let dir = folder(CONFIG);
    let mut server = Server::start(dir.path());
    let write = |config: String| std::fs::write(dir.path().join("config.toml"), config).unwrap();
    write(format!("admins = ['me@localhost']\n{CONFIG}[log]\nlevel = 'debug'\n"));
    let told = said(dir.path(), &["reload"]);
    assert!(told.contains("changes of log wait for a restart"), "{told}");
    assert!(told.contains("unchanged: localhost"), "{told}");
    write(format!("{CONFIG}[limits]\nroster_item_max = 1\n"));
    let told = refused(dir.path(), &["reload"]);
    assert!(told.contains("did you mean `roster_items_max`?"), "{told}");
    server.signal("HUP");
    let line = server.wait_for("not reloaded");
    assert!(line.contains("did you mean `roster_items_max`?"), "{line}");
    write(CONFIG.to_owned());
    server.signal("HUP");
    server.wait_for("reloaded: ");
    server.signal("INT");
    server.end();
}

#[test]
fn what_keeps_it_from_starting_is_told_with_its_fix() {
    let empty = tempfile::tempdir().unwrap();
    // where a server is installed, its configuration would be found
    if !Path::new("/etc/hearth/config.toml").exists() {
        assert!(refused(empty.path(), &[]).contains("`hearth init` writes one"));
    }
    let dir = folder("[data]\ncreate = false\n[[listen]]\naddress = '127.0.0.1:0'\n");
    assert!(refused(dir.path(), &[]).contains("run `hearth init`"));
    let dir = folder("[data]\ncreat = true\n");
    assert!(refused(dir.path(), &[]).contains("config.toml:2: there is no setting `data.creat`"));
    let dir = folder("data.create = true\n[[listen]]\naddress = '[::]:0'\n");
    assert!(refused(dir.path(), &[]).contains("there is no certificate for localhost"));
    assert_eq!(run(dir.path(), &["check"]).status.code(), Some(1));
}

#[test]
fn an_explicit_beginning_writes_a_configuration_and_data() {
    let dir = tempfile::tempdir().unwrap();
    assert!(said(dir.path(), &["init"]).contains("config.toml was written"));
    assert!(dir.path().join("data/hearth.db").exists());
    assert!(said(dir.path(), &["init"]).contains("nothing was changed"));
    assert!(said(dir.path(), &["account", "list"]).contains("0 of 0 accounts"));
}
