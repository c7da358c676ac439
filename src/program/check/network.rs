//! Certificates and ports.

use std::io;
use std::net::{SocketAddr, TcpListener};

use hearth_core::host::Hosts;
use hearth_net::config::ListenConfig;
use hearth_net::listener::collide;
use hearth_net::tls::{self, Problem, Severity};
use time::OffsetDateTime;

use super::{Findings, certificates as served};
use crate::program::config::Config;

/// The certificate of every host.
pub(super) fn certificates(config: &Config, found: &mut Findings) {
    if !served::is_needed(&config.listen) {
        found.add(
            Severity::Warning,
            "tls",
            "no listener offers TLS",
            "use starttls = \"required\" or encryption = \"direct\"",
        );
        return;
    }
    let Ok(hosts) = Hosts::new(&config.host) else { return };
    let mut domains: Vec<String> = hosts.all().map(|host| host.domain.to_string()).collect();
    domains.sort();
    for domain in domains {
        let about = format!("certificate of {domain}");
        match tls::find(&config.tls.certificates, &domain) {
            Some(files) => judge(config, &about, &tls::inspect(&files, OffsetDateTime::now_utc()), found),
            None if served::may_develop(config) => {
                found.note(&about, "there is none: one of a development CA is made at the start");
            }
            None => {
                let directory = config.tls.certificates.display();
                let fix = format!("put {domain}.crt and {domain}.key into {directory}");
                found.error(&about, format!("there is none in {directory}"), fix);
            }
        }
    }
    if config.tls.development && !served::is_local(&config.listen) {
        found.add(
            Severity::Warning,
            "tls.development",
            "clients on the network may be shown certificates that they must not trust",
            "get certificates from an authority, then set it to false",
        );
    }
}

fn judge(config: &Config, about: &str, findings: &tls::Findings, found: &mut Findings) {
    for finding in findings.iter() {
        let barred = finding.problem == Problem::Development && !served::may_develop(config);
        let severity = if barred { Severity::Error } else { finding.severity };
        found.add(severity, about, finding.problem.to_string(), finding.fix.clone());
    }
    if findings.is_empty() {
        found.note(about, "is good");
    }
}

/// Whether every address can be bound, and what a firewall must let through. `own`: where a running server of ours
/// listens; `None`: one runs that does not tell.
pub(super) fn ports(config: &Config, own: Option<&[SocketAddr]>, found: &mut Findings) {
    for listen in &config.listen {
        port(listen, own, found);
    }
    let mut open: Vec<u16> =
        config.listen.iter().filter(|l| !l.address.ip().is_loopback()).map(|l| l.address.port()).collect();
    open.sort_unstable();
    open.dedup();
    if open.is_empty() {
        found.note("listen", "only clients on this machine can connect");
    } else {
        let ports: Vec<String> = open.iter().map(ToString::to_string).collect();
        found.note("listen", format!("a firewall must let TCP ports {} through", ports.join(", ")));
    }
}

fn port(listen: &ListenConfig, own: Option<&[SocketAddr]>, found: &mut Findings) {
    let about = format!("listen {}", listen.address);
    if own.is_some_and(|own| own.contains(&listen.address)) {
        return found.note(&about, "is served by the running server");
    }
    let Err(error) = TcpListener::bind(listen.address) else { return };
    if error.kind() == io::ErrorKind::AddrInUse {
        let Some(own) = own else {
            return found.note(&about, "is taken; the running server, if it is that, does not tell");
        };
        if let Some(held_by) = own.iter().find(|own| collide(**own, listen.address)) {
            let text =
                format!("is taken by the running server, which listens on {held_by}; a restart opens it");
            return found.note(&about, text);
        }
    }
    let (text, fix) = explain(&error);
    found.error(&about, format!("{text}: {error}"), fix);
}

/// Why an address cannot be bound, and what to do about it.
pub(crate) fn explain(error: &io::Error) -> (&'static str, &'static str) {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ("another program has this port", "stop it (`ss -ltnp` names it), or choose another port")
        }
        io::ErrorKind::PermissionDenied => (
            "this user may not open ports below 1024",
            "choose a higher port, or give the program the capability CAP_NET_BIND_SERVICE",
        ),
        io::ErrorKind::AddrNotAvailable => {
            ("this machine does not have this address", "use an address from `ip address`, or [::]")
        }
        _ => ("it cannot be opened", "choose another address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(taken: &str, own: Option<&str>, severity: Severity, part: &str) {
        let held = TcpListener::bind(taken).unwrap();
        let port = held.local_addr().unwrap().port();
        let own = own.map(|ip| [SocketAddr::new(ip.parse().unwrap(), port)]);
        let toml = format!("[[listen]]\naddress = '127.0.0.1:{port}'");
        let mut found = Findings::default();
        ports(&toml::from_str(&toml).unwrap(), own.as_ref().map(|own| &own[..]), &mut found);
        assert!(found.0[0].severity == severity && found.0[0].text.contains(part), "{found:?}");
    }

    #[test]
    fn a_port_of_somebody_else_is_told_although_the_server_runs() {
        check("127.0.0.1:0", Some("127.0.0.1"), Severity::Note, "is served by the running server");
        check(
            "0.0.0.0:0",
            Some("0.0.0.0"),
            Severity::Note,
            "is taken by the running server, which listens on 0.0.0.0",
        );
        check("127.0.0.1:0", None, Severity::Note, "does not tell");
        check("127.0.0.1:0", Some("127.0.0.2"), Severity::Error, "another program has this port");
    }
}
