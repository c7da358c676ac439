//! What types cannot say: settings that are well-formed and yet cannot be meant.

use std::collections::HashSet;
use std::net::SocketAddr;

use hearth_core::host::{HostConfig, HostError, Hosts};
use hearth_core::limits::{PRE_AUTH_STANZA_BYTES_MAX, SESSION_QUEUE_BYTES_MAX};
use hearth_net::listener::collide;
use hearth_wire::Jid;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::Config;

/// The largest stanza that may be allowed: several must fit into a session's queue.
const STANZA_BYTES_MAX: u32 = (SESSION_QUEUE_BYTES_MAX / 2) as u32;

/// A setting that cannot be meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    /// The key's path.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) text: String,
    /// What to do.
    pub(crate) fix: String,
}

struct Judge(Vec<Objection>);

/// All objections to a configuration.
pub(crate) fn judge(config: &Config) -> Vec<Objection> {
    let mut judge = Judge(Vec::new());
    judge.admins(config);
    judge.paths(config);
    judge.hosts(&config.host);
    judge.listeners(config);
    judge.login(config);
    judge.limits(config);
    judge.log(config);
    judge.0
}

impl Judge {
    fn object(&mut self, path: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Objection { path: path.into(), text: text.into(), fix: fix.into() });
    }

    fn admins(&mut self, config: &Config) {
        for (n, admin) in config.admins.iter().enumerate() {
            match Jid::parse(admin) {
                Ok(jid) if jid.local().is_some() && jid.is_bare() => {}
                _ => self.object(
                    format!("admins[{n}]"),
                    format!("`{admin}` is not an account"),
                    "write user@domain",
                ),
            }
        }
    }

    /// An empty path would be the directory of the configuration.
    fn paths(&mut self, config: &Config) {
        let socket = config.admin.socket.as_ref().map(|socket| ("admin.socket", socket));
        let paths =
            [("data.directory", &config.data.directory), ("tls.certificates", &config.tls.certificates)];
        for (key, path) in paths.into_iter().chain(socket) {
            if path.as_os_str().is_empty() {
                self.object(key, "is empty", "name a path, or leave it out");
            }
        }
    }

    fn hosts(&mut self, hosts: &[HostConfig]) {
        if hosts.is_empty() {
            self.object("host", "no host is named", "add a [[host]] with its domain");
        }
        let mut seen = HashSet::new();
        for (n, host) in hosts.iter().enumerate() {
            let path = format!("host[{n}].domain");
            match Hosts::new(std::slice::from_ref(host)) {
                Err(error @ HostError::Other(..)) => self.object(
                    format!("host[{n}].see_other_host"),
                    error.to_string(),
                    "write it as in \"chat.example.org\", \"chat.example.org:5222\" or \"[2001:db8::1]:5222\"",
                ),
                Err(error) => {
                    self.object(path, error.to_string(), "write it as in the part of an address behind the @")
                }
                Ok(prepared) if !seen.insert(prepared.first().domain.clone()) => {
                    self.object(path, format!("host `{}` is named twice", host.domain), "keep one of them");
                }
                Ok(_) => {}
            }
        }
    }

    fn listeners(&mut self, config: &Config) {
        if config.listen.is_empty() {
            self.object("listen", "no client could connect", "add a [[listen]] with an address");
        }
        for (n, listen) in config.listen.iter().enumerate() {
            let path = format!("listen[{n}].address");
            if hearth_net::is_exposed(listen) {
                let text = format!("clients would talk in plain text over the network on {}", listen.address);
                self.object(
                    format!("listen[{n}].starttls"),
                    text,
                    "write starttls = \"required\", or plaintext_off_loopback = true if you mean it",
                );
            }
            let (before, after) = config.listen.split_at(n);
            let other = before.iter().chain(after.iter().skip(1)).find(|other| {
                let is_taken = collide(listen.address, other.address);
                // of two that collide the narrower one is too much; of two alike, the later one
                let is_before = before.iter().any(|before| std::ptr::eq(before, *other));
                is_taken && (width(other.address), is_before) > (width(listen.address), !is_before)
            });
            match other {
                Some(other) if other.address == listen.address => {
                    self.object(path, format!("{} is there twice", listen.address), "keep one of them");
                }
                Some(other) => {
                    let text = format!("{} is taken by the [[listen]] on {}", listen.address, other.address);
                    self.object(path, text, "remove this [[listen]]: the other one takes its clients too");
                }
                None => {}
            }
        }
    }

    fn login(&mut self, config: &Config) {
        let login = &config.login;
        let any = login.plain || login.scram_sha_1 || login.scram_sha_256 || login.scram_sha_512;
        if !any && !config.host.iter().all(|host| host.anonymous) {
            self.object("login", "nobody could log in", "set one of the mechanisms to true");
        }
    }

    fn limits(&mut self, config: &Config) {
        let limits = &config.limits;
        let bytes = PRE_AUTH_STANZA_BYTES_MAX..=STANZA_BYTES_MAX;
        if !bytes.contains(&limits.stanza_bytes_max) {
            let text = format!("{} bytes are no limit for a stanza", limits.stanza_bytes_max);
            let fix = format!("choose from {} to {}", bytes.start(), bytes.end());
            self.object("limits.stanza_bytes_max", text, fix);
        }
        for (name, value) in [
            ("login_s_max", limits.login_s_max),
            ("stanza_s_max", limits.stanza_s_max),
            ("close_s_max", limits.close_s_max),
            ("connections_before_login_max", limits.connections_before_login_max),
            ("connections_before_login_per_address_max", limits.connections_before_login_per_address_max),
            ("sessions_per_account_max", limits.sessions_per_account_max),
        ] {
            if value == 0 {
                self.object(format!("limits.{name}"), "with 0, nobody gets in or stays", "choose at least 1");
            }
        }
    }

    fn log(&mut self, config: &Config) {
        let level = &config.log.level;
        // to the filter a word alone may also be the name of a part, at full volume
        let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
        if EnvFilter::try_new(level).is_err() || !level.split(',').all(is_known) {
            let fix = "write one of off, error, warn, info, debug, trace";
            self.object("log.level", format!("`{level}` is no level"), fix);
        }
    }
}

/// How much of the machine an address is: one address, every one of IPv4, every one.
fn width(address: SocketAddr) -> u8 {
    match (address.ip().is_unspecified(), address.is_ipv6()) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, paths: &[&str]) {
        let config: Config = toml::from_str(toml).unwrap();
        let found: Vec<String> = judge(&config).into_iter().map(|objection| objection.path).collect();
        assert_eq!(found, paths, "{toml}");
    }

    #[test]
    fn what_cannot_be_meant_is_objected_to() {
        check("", &[]);
        check("admins = ['me@x', 'x', 'me@x/phone']", &["admins[1]", "admins[2]"]);
        check(
            "[data]\ndirectory = ''\n[tls]\ncertificates = ''\n[admin]\nsocket = ''",
            &["data.directory", "tls.certificates", "admin.socket"],
        );
        check("host = []", &["host"]);
        check(
            "[[host]]\ndomain='a b'\n[[host]]\ndomain='x'\n[[host]]\ndomain='X'",
            &["host[0].domain", "host[2].domain"],
        );
        check("[[host]]\ndomain='x'\nsee_other_host='y:5222'", &[]);
        for other in ["", "a b:99999999"] {
            let toml = format!("[[host]]\ndomain='x'\nsee_other_host='{other}'");
            check(&toml, &["host[0].see_other_host"]);
        }
        check("listen = []", &["listen"]);
        check("[[listen]]\naddress='[::]:5222'\nstarttls='off'", &["listen[0].starttls"]);
        check("[[listen]]\naddress='[::]:5222'\nstarttls='off'\nplaintext_off_loopback=true", &[]);
        check("[[listen]]\naddress='[::]:5222'\nstarttls='optional'", &["listen[0].starttls"]);
        check("[[listen]]\naddress='[::1]:5222'\nstarttls='optional'", &[]);
        check("[[listen]]\naddress='[::]:1'\n[[listen]]\naddress='[::]:1'", &["listen[1].address"]);
        let listen = |addresses: &[&str]| -> String {
            addresses.iter().map(|address| format!("[[listen]]\naddress='{address}'\n")).collect()
        };
        check(
            &listen(&["[::]:1", "[::1]:1", "[::]:2", "[::1]:2"]),
            &["listen[1].address", "listen[3].address"],
        );
        check(&listen(&["127.0.0.1:1", "0.0.0.0:1"]), &["listen[0].address"]);
        check(
            &listen(&["127.0.0.1:1", "[::1]:1", "127.0.0.2:1", "0.0.0.0:2", "0.0.0.0:0", "127.0.0.1:0"]),
            &[],
        );
        check(
            "[limits]\nstanza_bytes_max = 9999\nlogin_s_max = 0",
            &["limits.stanza_bytes_max", "limits.login_s_max"],
        );
        check("[limits]\nstanza_bytes_max = 100000000", &["limits.stanza_bytes_max"]);
        check(
            "[login]\nplain=false\nscram_sha_1=false\nscram_sha_256=false\nscram_sha_512=false",
            &["login"],
        );
        check("[log]\nlevel = 'loud'", &["log.level"]);
        check("[log]\nlevel = 'info,hearth_net=loud'", &["log.level"]);
        check("[log]\nlevel = 'info,hearth_net=debug'", &[]);
    }
}
