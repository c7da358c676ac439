//! What clients find in the DNS: SRV records (RFC 6120 §3.2.1, XEP-0368) and addresses, beside the listeners there are.
//!
//! A name server may see another network than the clients do, and a router may forward ports, so nothing found here is
//! called an error.

mod lookup;
mod reserved;

use hearth_core::host::Hosts;
use hearth_net::config::{Encryption, ListenConfig};
use hearth_net::tls::Severity;

use self::lookup::{Host, Target};
use super::Findings;
use crate::program::config::Config;

pub(super) use self::lookup::{Whom, system};

/// Hosts that are looked up. A server with more has other means to watch its records.
const HOSTS_MAX: usize = 20;

/// Looks up every host, and compares what is found with the listeners.
pub(super) fn check(config: &Config, whom: Option<Result<Whom, String>>, found: &mut Findings) {
    let Ok(hosts) = Hosts::new(&config.host) else { return };
    let mut domains: Vec<String> = hosts.all().map(|host| host.domain.to_string()).collect();
    domains.sort();
    domains.retain(|domain| !reserved::is_reserved(domain));
    let Some(whom) = whom.filter(|_| !domains.is_empty()) else { return };
    let ports = Ports::of(&config.listen);
    if ports.starttls.is_empty() && ports.direct.is_empty() {
        return found.note("dns", "was not asked: only clients on this machine can connect");
    }
    if domains.len() > HOSTS_MAX {
        found.note("dns", format!("only the first {HOSTS_MAX} of {} hosts were looked up", domains.len()));
        domains.truncate(HOSTS_MAX);
    }
    match whom.and_then(|whom| lookup::all(whom, &domains)) {
        Ok(hosts) => hosts.iter().for_each(|host| judge(host, &ports, found)),
        Err(reason) => found.add(
            Severity::Warning,
            "dns",
            format!("{} could not be looked up: {reason}", domains.join(", ")),
            "try again where a name server can be reached, or leave this out with --offline",
        ),
    }
}

/// The ports that clients on the network can reach.
#[derive(Debug)]
struct Ports {
    starttls: Vec<u16>,
    direct: Vec<u16>,
}

impl Ports {
    fn of(listen: &[ListenConfig]) -> Self {
        let ports = |encryption| {
            let open = listen.iter().filter(|l| l.encryption == encryption && !l.address.ip().is_loopback());
            let mut ports: Vec<u16> = open.map(|l| l.address.port()).collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        Self { starttls: ports(Encryption::Starttls), direct: ports(Encryption::Direct) }
    }
}

/// One of the two services a client asks for.
struct Service<'a> {
    record: String,
    encryption: &'static str,
    targets: &'a [Target],
    ports: &'a [u16],
}

fn judge(host: &Host, ports: &Ports, found: &mut Findings) {
    let domain = &host.domain;
    let service = |name, encryption, targets, ports| Service {
        record: format!("{name}.{domain}."),
        encryption,
        targets,
        ports,
    };
    let starttls = service("_xmpp-client._tcp", "starttls", &host.starttls, &ports.starttls);
    let direct = service("_xmpps-client._tcp", "direct", &host.direct, &ports.direct);
    let about = format!("dns of {domain}");
    for service in [&starttls, &direct] {
        service.targets.iter().for_each(|target| judge_target(&about, service, target, found));
    }
    if host.starttls.is_empty() && host.direct.is_empty() {
        without_records(&about, host, &starttls, found);
    } else {
        missing(&about, &starttls, &direct, found);
        missing(&about, &direct, &starttls, found);
    }
    let all = host.starttls.iter().chain(&host.direct).flat_map(|target| &target.addresses);
    let mut all = all.chain(&host.addresses).peekable();
    if all.peek().is_some() && !all.any(|address| lookup::is_ours(*address)) {
        found.note(
            &about,
            "no address of it is this machine's own: right if a router or proxy passes clients on",
        );
    }
}

fn judge_target(about: &str, service: &Service<'_>, target: &Target, found: &mut Findings) {
    let Service { record, encryption, ports, .. } = service;
    let Target { name, port, addresses } = target;
    let mut warn = |text: String, fix: String| found.add(Severity::Warning, about, text, fix);
    if name.is_empty() {
        // RFC 2782: "the service is decidedly not available"
        if !ports.is_empty() {
            warn(format!("{record} says that there is no such service"), format!("correct {record}"));
        }
    } else if ports.is_empty() {
        let fix = format!("add a [[listen]] with encryption = \"{encryption}\", or remove {record}");
        warn(format!("{record} sends clients to {name}:{port}, and no listener is there for them"), fix);
    } else if !ports.contains(port) {
        let listeners = list(ports);
        let fix = format!("correct {record}, add a [[listen]] for {port}, or let the router forward it");
        warn(format!("{record} names port {port}; such listeners are on {listeners}"), fix);
    } else if addresses.is_empty() {
        let fix = format!("add an A or AAAA record for {name}");
        warn(format!("{record} names {name}, which has no address"), fix);
    } else {
        found.note(about, format!("{record} leads to {name}:{port} ({})", list(addresses)));
    }
}

/// RFC 6120 §3.2.2: clients use the domain's own address and port 5222.
fn without_records(about: &str, host: &Host, starttls: &Service<'_>, found: &mut Findings) {
    let Host { domain, addresses, .. } = host;
    let port = starttls.ports.first().copied().unwrap_or(5222);
    let record = format!("{} SRV 0 5 {port} {domain}.", starttls.record);
    if addresses.is_empty() {
        let fix = format!("add an A or AAAA record for {domain}, or {record} with the name of this machine");
        found.add(
            Severity::Warning,
            about,
            "there is neither an SRV record nor an address: no client finds it",
            fix,
        );
    } else if starttls.ports.contains(&5222) {
        found.note(
            about,
            format!("there are no SRV records: clients use {domain}:5222 ({})", list(addresses)),
        );
    } else {
        let text = "there are no SRV records, and no listener is on port 5222, which clients try then";
        found.add(Severity::Warning, about, text, format!("add {record}"));
    }
}

/// One of the two records is there: is the other one, too?
fn missing(about: &str, service: &Service<'_>, other: &Service<'_>, found: &mut Findings) {
    let (true, Some(port), Some(target)) =
        (service.targets.is_empty(), service.ports.first(), other.targets.first())
    else {
        return;
    };
    let Service { record, encryption, .. } = service;
    found.note(
        about,
        format!(
            "there is no {record}, so no client uses the {encryption} listener; `{record} SRV 0 5 {port} {}.` would tell \
             them",
            target.name
        ),
    );
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
