//! Certificates and ports.

use std::io;
use std::net::TcpListener;

use hearth_core::host::Hosts;
use hearth_net::config::ListenConfig;
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

/// Whether every address can be bound, and what a firewall must let through.
pub(super) fn ports(config: &Config, running: bool, found: &mut Findings) {
    for listen in &config.listen {
        port(listen, running, found);
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

fn port(listen: &ListenConfig, running: bool, found: &mut Findings) {
    let about = format!("listen {}", listen.address);
    let Err(error) = TcpListener::bind(listen.address) else { return };
    if error.kind() == io::ErrorKind::AddrInUse && running {
        return found.note(&about, "is taken, as it seems by the running server");
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
