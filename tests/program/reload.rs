//! A configuration that is read anew while the server runs.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use super::*;

#[test]
fn a_reload_takes_what_is_good_and_nothing_of_what_is_bad() {
    let dir = folder(CONFIG);
    let mut server = Server::start(dir.path());
    let write = |config: String| std::fs::write(dir.path().join("config.toml"), config).unwrap();
    assert!(said(dir.path(), &["reload"]).starts_with("nothing has changed in the configuration\n"));
    write(format!("admins = ['me@localhost']\n{CONFIG}[xep.register]\nopen = true\n"));
    let told = said(dir.path(), &["reload"]);
    assert!(told.starts_with("changed: admins, xep.register.open\n"), "{told}");
    assert!(told.contains("unchanged: localhost"), "{told}");
    write(format!("{CONFIG}[limits]\nroster_item_max = 1\n"));
    let told = refused(dir.path(), &["reload"]);
    assert!(told.contains("nothing was changed"), "{told}");
    assert!(told.contains("config.toml:9") && told.contains("did you mean `roster_items_max`?"), "{told}");
    server.signal("HUP");
    let line = server.wait_for("not reloaded");
    assert!(line.contains("did you mean `roster_items_max`?"), "{line}");
    write(CONFIG.to_owned());
    server.signal("HUP");
    let line = server.wait_for("reloaded: ");
    assert!(line.contains("changed: admins, xep.register.open"), "{line}");
    server.signal("INT");
    server.end();
}

#[test]
fn a_reload_says_what_needs_a_restart() {
    let dir = folder(CONFIG);
    let server = Server::start(dir.path());
    std::fs::write(dir.path().join("running.toml"), CONFIG).unwrap();
    let changed = CONFIG.replace("create = true", "create = true\ndurability = 'crash'\ndirectory = 'other'");
    std::fs::write(dir.path().join("config.toml"), format!("{changed}[admin]\nsocket = 'x.sock'\n")).unwrap();
    for _ in 0..2 {
        let told = said(dir.path(), &["reload", "--config", "running.toml"]);
        let later = "needs a restart: admin.socket, data.directory, data.durability\n";
        assert!(told.contains(later), "{told}");
    }
    server.signal("TERM");
    server.end();
}

#[test]
fn a_reload_changes_the_log() {
    let dir = folder(CONFIG);
    let mut server = Server::start(dir.path());
    let log = |lines: &str| {
        std::fs::write(dir.path().join("config.toml"), format!("{CONFIG}[log]\n{lines}")).unwrap()
    };
    log("format = 'json'");
    assert!(said(dir.path(), &["reload"]).starts_with("changed: log.format\n"));
    let line = server.wait_for("reloaded: changed: log.format");
    assert!(line.starts_with('{') && line.ends_with("}\n"), "{line}");
    log("level = 'warn'");
    assert!(said(dir.path(), &["reload"]).starts_with("changed: log.format, log.level\n"));
    log("level = 'info'");
    assert!(said(dir.path(), &["reload"]).starts_with("changed: log.level\n"));
    let line = server.wait_for("reloaded: changed: log.level");
    assert!(!line.contains("log.format"), "what was reloaded before was not worth a line: {line}");
    server.signal("TERM");
    server.end();
}

#[test]
fn a_reload_opens_and_closes_listeners() {
    let dir = folder(CONFIG);
    let mut server = Server::start(dir.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = |address: SocketAddr| format!("{CONFIG}[[listen]]\naddress = '{address}'\n");
    let write = |config: &str| std::fs::write(dir.path().join("config.toml"), config).unwrap();
    let address = taken.local_addr().unwrap();
    write(&format!("{}[log]\nformat = 'json'\n", listen(address)));
    let told = refused(dir.path(), &["reload"]);
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
    drop(taken);
    write(&listen(address));
    let told = said(dir.path(), &["reload"]);
    assert!(told.starts_with(&format!("changed: listen {address} (added)\n")), "{told}");
    assert!(greeting(address).contains("<stream:features>"), "it serves");
    // the same port at another address: the old listener is in the way
    let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
    write(&format!("{}[tls]\ndevelopment = true\n", listen(any)));
    let told = said(dir.path(), &["reload"]);
    assert!(told.contains(&format!("\nneeds a restart: listen {any} (port {}", any.port())), "{told}");
    assert!(greeting(address).contains("<stream:features>"), "it stays as long");
    write(CONFIG);
    let told = said(dir.path(), &["reload"]);
    assert!(told.contains(&format!("listen {address} (removed)")), "{told}");
    server.wait_for(&format!("listen {address} (removed)"));
    assert!(TcpStream::connect(address).is_err());
    server.signal("TERM");
    server.end();
}

/// What a server says to a client that opens a stream.
fn greeting(address: SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(OPEN.as_bytes()).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut socket, &mut said).unwrap();
    said
}

#[test]
fn a_reload_adds_a_host_with_its_certificate() {
    let dir = folder(CONFIG);
    let server = Server::start(dir.path());
    let add =
        |name: &str| with_password(dir.path(), &["account", "add", name, "--password-stdin"], "secret!1");
    let refused_before = add("me@b.example");
    assert!(text(&refused_before.stderr).contains("the host b.example is not served here"));
    let hosts = "[[host]]\ndomain = 'localhost'\n[[host]]\ndomain = 'b.example'\n";
    std::fs::write(dir.path().join("config.toml"), format!("{CONFIG}{hosts}")).unwrap();
    let told = said(dir.path(), &["reload"]);
    assert!(told.starts_with("changed: host b.example (added)\n"), "{told}");
    assert!(told.contains("now served: b.example (development)"), "{told}");
    assert!(add("me@b.example").status.success());
    // a certificate that cannot be served: the new host does not come, the others stay
    std::fs::write(dir.path().join("certs/c.example.crt"), "nonsense").unwrap();
    std::fs::write(dir.path().join("certs/c.example.key"), "nonsense").unwrap();
    std::fs::write(
        dir.path().join("config.toml"),
        format!("{CONFIG}{hosts}[[host]]\ndomain = 'c.example'\n"),
    )
    .unwrap();
    let told = refused(dir.path(), &["reload"]);
    assert!(told.contains("nothing was changed") && told.contains("c.example"), "{told}");
    assert!(said(dir.path(), &["account", "list"]).contains("me@b.example"));
    std::fs::write(dir.path().join("config.toml"), CONFIG).unwrap();
    let told = said(dir.path(), &["reload"]);
    assert!(told.contains("host b.example (removed)"), "{told}");
    server.signal("TERM");
    server.end();
}

#[test]
fn a_host_that_is_renamed_leaves_no_account_behind_in_silence() {
    let dir = folder(CONFIG);
    let added = with_password(dir.path(), &["account", "add", "me@localhost", "--password-stdin"], "secret");
    assert!(added.status.success(), "{}", text(&added.stderr));
    let renamed = format!("{CONFIG}[[host]]\ndomain = 'example.org'\n");
    let lost = "nobody can log in to 1 account of localhost, which is no [[host]]";
    let mut server = Server::start(dir.path());
    std::fs::write(dir.path().join("config.toml"), &renamed).unwrap();
    let told = said(dir.path(), &["reload"]);
    assert!(told.contains(lost), "{told}");
    server.signal("TERM");
    server.wait_for("terminated");
    server.end();
    let mut command = hearth(dir.path(), &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut server = Server { child, log };
    server.wait_for(lost);
    server.wait_for("serving");
    assert!(said(dir.path(), &["check"]).contains(lost));
    assert!(said(dir.path(), &["account", "list"]).contains("me@localhost  no host"));
    said(dir.path(), &["account", "remove", "me@localhost"]);
    assert!(!said(dir.path(), &["check"]).contains(lost));
    server.signal("TERM");
    assert!(server.end().contains("Nobody can log in to 1 account of localhost"));
}

#[test]
fn a_reload_fails_when_a_certificate_is_refused_although_it_takes_the_rest() {
    let dir = folder(CONFIG);
    let mut server = Server::start(dir.path());
    let certificate = dir.path().join("certs/localhost.crt");
    let good = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, "nonsense").unwrap();
    std::fs::write(dir.path().join("config.toml"), format!("admins = ['me@localhost']\n{CONFIG}")).unwrap();
    let told = refused(dir.path(), &["reload"]);
    assert!(told.contains("a certificate was refused, the rest was taken:\nchanged: admins\n"), "{told}");
    assert!(told.contains("holds no PEM certificate") && told.contains("still served: localhost"), "{told}");
    server.signal("HUP");
    let line =
        server.wait_for("reloaded, but a certificate was refused: nothing has changed in the configuration");
    assert!(line.contains("ERROR"), "{line}");
    std::fs::write(&certificate, good).unwrap();
    assert!(said(dir.path(), &["reload"]).contains("unchanged: localhost"));
    server.signal("TERM");
    server.end();
}
