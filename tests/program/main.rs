//! The built program as its operator meets it: started, given commands, signalled, stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reload;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const CONFIG: &str = "[data]\ncreate = true\n[[listen]]\naddress = '127.0.0.1:0'\n[[listen]]\naddress = '[::1]:0'\n\
                      encryption = 'direct'\n";

/// A stream that is opened and closed.
const OPEN: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' \
                    version='1.0'></stream:stream>";

/// A folder with a configuration, for one server.
fn folder(config: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    dir
}

fn hearth(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    alone(command.args(arguments), dir);
    command
}

/// In this folder, and without what the environment would tell it.
fn alone<'c>(command: &'c mut Command, dir: &Path) -> &'c mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH")) {
        command.env_remove(name);
    }
    command.current_dir(dir).stdin(Stdio::null())
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
        Self::start_as(&mut hearth(dir, &[]))
    }

    /// Starts it in another way.
    fn start_as(command: &mut Command) -> Self {
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
fn as_many_files_as_the_system_allows_are_taken() {
    let dir = folder(CONFIG);
    let program = format!("ulimit -Sn 256; exec {}", env!("CARGO_BIN_EXE_hearth"));
    let server = Server::start_as(alone(Command::new("sh").args(["-c", &program]), dir.path()));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    let checked = said(dir.path(), &["check"]);
    assert!(checked.contains(&format!("at most {}, one for each client", numbers[1])), "{checked}");
    server.signal("TERM");
    server.end();
}

#[test]
fn when_files_run_out_admins_still_get_in_and_the_log_says_it_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = folder(&format!("[data]\ncreate = true\n[[listen]]\naddress = '{address}'\n"));
    let program = format!("ulimit -n 80; exec {}", env!("CARGO_BIN_EXE_hearth"));
    let mut command = Command::new("sh");
    let mut server = Server::start_as(alone(command.args(["-c", &program]), dir.path()));
    let idle: Vec<_> = (0..150).map(|_| TcpStream::connect(address).unwrap()).collect();
    let line = server.wait_for("connections are not served");
    assert!(line.contains("ERROR") && line.contains("descriptors=70"), "{line}");
    let refused = |status: &str| {
        let row = status.lines().find(|line| line.contains("refused-files")).map(str::to_owned);
        row.and_then(|row| row.split_whitespace().last()?.parse::<u32>().ok()).unwrap_or(0)
    };
    // the command itself needs descriptors of the server: for its connection, and to store
    while refused(&said(dir.path(), &["status"])) < 80 {}
    let added =
        with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret!1");
    assert!(added.status.success(), "{}", text(&added.stderr));
    drop(idle);
    // a connection that is not served may end with a reset
    let is_served = || {
        let mut said = String::new();
        let mut socket = TcpStream::connect(address).unwrap();
        let asked = socket.write_all(OPEN.as_bytes());
        asked.and_then(|()| std::io::Read::read_to_string(&mut socket, &mut said)).is_ok() && !said.is_empty()
    };
    while !is_served() {}
    server.signal("TERM");
    let seen = server.wait_for("ended");
    assert!(!seen.contains("could not be accepted"), "{seen}");
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
fn only_those_who_make_accounts_begin_the_data() {
    let dir = folder(CONFIG);
    for command in [&["account", "list"][..], &["account", "show", "me@localhost"]] {
        assert!(refused(dir.path(), command).contains("there is no database in"), "{command:?}");
        assert!(!dir.path().join("data").exists(), "{command:?}");
    }
    let added = with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret");
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(said(dir.path(), &["account", "list"]).contains("me@localhost"));
}

#[test]
fn a_directory_in_other_use_is_left_alone() {
    let dir = folder(CONFIG);
    let www = dir.path().join("data");
    std::fs::create_dir(&www).unwrap();
    std::fs::write(www.join("index.html"), "").unwrap();
    std::fs::set_permissions(&www, std::fs::Permissions::from_mode(0o755)).unwrap();
    for command in [&[][..], &["init"], &["account", "import", "config.toml"]] {
        let told = refused(dir.path(), command);
        assert!(told.contains("it holds `index.html`"), "{command:?}: {told}");
    }
    let checked = run(dir.path(), &["check"]);
    assert!(text(&checked.stdout).contains("it holds `index.html`"), "{}", text(&checked.stdout));
    assert_eq!(std::fs::read_dir(&www).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(&www).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_running_server_takes_commands_although_its_configuration_has_mistakes_now() {
    let dir = folder(CONFIG);
    let server = Server::start(dir.path());
    std::fs::write(dir.path().join("config.toml"), format!("{CONFIG}[data]\ncreat = 1\n")).unwrap();
    assert!(
        refused(dir.path(), &["status"]).contains("config.toml"),
        "no TOML any more: nobody knows the socket"
    );
    std::fs::write(dir.path().join("config.toml"), format!("nonsense = 1\n{CONFIG}")).unwrap();
    assert!(said(dir.path(), &["status"]).contains("uptime_s"));
    said(dir.path(), &["stop"]);
    server.end();
    assert!(refused(dir.path(), &["status"]).contains("there is no setting `nonsense`"));
}

#[test]
fn a_listener_that_takes_the_place_of_another_is_refused_before_the_start() {
    let dir = folder(
        "data.create = true\n[[listen]]\naddress = '[::]:65500'\n[[listen]]\naddress = '[::1]:65500'\n",
    );
    let told = "config.toml:5: listen[1].address: [::1]:65500 is taken by the [[listen]] on [::]:65500";
    assert!(refused(dir.path(), &[]).contains(told));
    assert!(text(&run(dir.path(), &["check"]).stdout).contains(told));
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
fn a_port_that_is_taken_is_told_with_its_fix() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = folder(&format!("data.create = true\n[[listen]]\naddress = '{address}'\n"));
    let told = refused(dir.path(), &[]);
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
    assert!(told.contains("another program has this port (stop it"), "{told}");
}

#[test]
fn a_running_server_does_not_hide_that_a_port_is_taken() {
    let dir = folder(CONFIG);
    let server = Server::start(dir.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    std::fs::write(dir.path().join("config.toml"), format!("{CONFIG}[[listen]]\naddress = '{address}'\n"))
        .unwrap();
    let checked = text(&run(dir.path(), &["check"]).stdout);
    assert!(
        checked.contains(&format!("ERROR   listen {address}: another program has this port")),
        "{checked}"
    );
    drop(taken);
    said(dir.path(), &["reload"]);
    let checked = said(dir.path(), &["check"]);
    assert!(checked.contains(&format!("listen {address}: is served by the running server")), "{checked}");
    server.signal("TERM");
    server.end();
}

#[test]
fn an_address_is_looked_at_before_a_password_is_asked_for() {
    let dir = folder(CONFIG);
    for (address, why) in
        [("me", "me is not of the form user@domain"), ("a b@localhost", "`a b@localhost` is no address")]
    {
        let told = refused(dir.path(), &["account", "add", address]);
        assert!(told.contains(why), "{told}");
    }
    let told = refused(dir.path(), &["account", "add", "me@localhost"]);
    assert!(told.contains("use --password-stdin"), "{told}");
    let short = with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret");
    assert!(short.status.success() && text(&short.stderr).contains("fewer than 8 characters"));
}

#[test]
fn an_explicit_beginning_writes_a_configuration_and_data() {
    let dir = tempfile::tempdir().unwrap();
    assert!(said(dir.path(), &["init"]).contains("config.toml was written"));
    assert!(dir.path().join("data/hearth.db").exists());
    assert!(said(dir.path(), &["init"]).contains("nothing was changed"));
    assert!(said(dir.path(), &["account", "list"]).contains("0 of 0 accounts"));
}

#[test]
fn a_log_for_programs_is_json_to_the_last_line() {
    let only_json = |output: &Output| {
        let log = text(&output.stderr);
        assert!(
            !log.is_empty() && log.lines().all(|line| line.starts_with('{') && line.ends_with('}')),
            "{log}"
        );
        assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(1)));
        log
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir =
        folder(&format!("data.create = true\nlog.format = 'json'\n[[listen]]\naddress = '{address}'\n"));
    assert!(only_json(&run(dir.path(), &[])).contains("another program has this port"));
    let dir = folder("log.format = 'json'\nlog.levle = 'warn'\n");
    assert!(only_json(&run(dir.path(), &[])).contains("did you mean `level`?"));
    let dir = folder("no toml");
    let by_variable = hearth(dir.path(), &[]).env("HEARTH__log__format", "json").output().unwrap();
    assert!(only_json(&by_variable).contains("config.toml:1"));

    let dir = folder(&format!("{CONFIG}[log]\nformat = 'json'\n"));
    let server = Server::start(dir.path());
    server.signal("TERM");
    assert_eq!(server.end(), "", "nobody is welcomed where a program reads");
}

#[test]
fn a_long_import_is_looked_at_as_a_whole_and_told_as_one() {
    const KEYS: &str =
        "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";
    let dir = folder(CONFIG);
    let good: String = (0..6_000).map(|n| format!("user{n}@localhost {KEYS}\n")).collect();
    let import = |lines: String, more: &[&str]| {
        std::fs::write(dir.path().join("accounts"), lines).unwrap();
        run(dir.path(), &[&["account", "import", "accounts"], more].concat())
    };
    let refused = import(format!("{good}bad@localhost nonsense\n"), &[]);
    assert!(
        text(&refused.stderr).contains("nothing was done:\naccounts:6001: bad@localhost: not in the form")
    );
    assert!(!dir.path().join("data").exists(), "nothing was begun");
    let empty = import(String::new(), &[]);
    assert!(
        text(&empty.stderr).contains("there is nothing in accounts; it is to hold lines of `user@domain")
    );
    let part = import(format!("{good}me@elsewhere.example {KEYS}\n"), &["--json"]);
    let (told, code) = (text(&part.stdout), part.status.code());
    assert!(told.starts_with("{\"failed\":") && told.lines().count() == 1 && code == Some(1), "{told}");
    assert!(told.contains("lines 5001 to 6001: me@elsewhere.example:"), "{told}");
    assert!(told.contains("done before that: made: 5000"), "{told}");
    let whole = text(&import(good, &[]).stdout);
    assert!(whole.contains("made                             1000\n"), "{whole}");
    assert!(whole.contains("there already, left as they are  5000\n"), "{whole}");
}

#[test]
fn an_interrupted_question_leaves_the_terminal_as_it_was() {
    let dir = folder(CONFIG);
    // script(1) makes a terminal; the shell in it is the wrapper that does not put it right, and tells when nothing that is
    // typed is seen any more
    let watch = "(until stty -a < /dev/tty | grep -q -e -isig; do :; done; echo unseen) &";
    let ask = format!("{} account add me@localhost", env!("CARGO_BIN_EXE_hearth"));
    let wrapper = format!("{watch} {ask}; echo ended $?; stty -a");
    let mut command = Command::new("script");
    alone(command.args(["--quiet", "--return", "--command", &wrapper, "/dev/null"]), dir.path());
    let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut seen = Vec::new();
    while !text(&seen).contains("unseen") {
        let mut byte = [0];
        assert_eq!(std::io::Read::read(&mut screen, &mut byte).unwrap(), 1, "{}", text(&seen));
        seen.extend(byte);
    }
    keys.write_all(b"\x03").unwrap();
    std::io::Read::read_to_end(&mut screen, &mut seen).unwrap();
    script.wait().unwrap();
    let seen = text(&seen);
    assert!(seen.contains("ended 130"), "{seen}");
    for flag in ["echo", "icanon", "isig"] {
        assert!(!seen.split_whitespace().any(|word| word == format!("-{flag}")), "{flag}: {seen}");
    }
}
