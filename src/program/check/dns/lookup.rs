//! Asking the name servers, with little patience.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::{Resolver, ResolverBuilder, TokioResolver};

/// Who is asked.
pub(crate) type Whom = ResolverBuilder<TokioRuntimeProvider>;

/// How long one question may take, asked twice if need be.
const QUESTION_WAIT: Duration = Duration::from_secs(2);
/// How long all of it may take.
const WAIT: Duration = Duration::from_secs(10);
/// Records looked at for one name: beyond, somebody plays.
const RECORDS_MAX: usize = 10;

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) domain: String,
    /// `_xmpp-client._tcp`.
    pub(super) starttls: Vec<Target>,
    /// `_xmpps-client._tcp`.
    pub(super) direct: Vec<Target>,
    /// Of the domain itself.
    pub(super) addresses: Vec<IpAddr>,
}

/// An SRV record, with the addresses of its target. An empty name: there is no such service.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
}

/// The name servers of this machine.
///
/// # Errors
/// A sentence: they are not known.
pub(crate) fn system() -> Result<Whom, String> {
    Resolver::builder_tokio().map_err(|error| error.to_string())
}

/// Looks up all hosts.
///
/// # Errors
/// A sentence: at least one question was not answered. That there is no such record is an answer.
pub(super) fn all(mut whom: Whom, domains: &[String]) -> Result<Vec<Host>, String> {
    be_quick(whom.options_mut());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let resolver = whom.build().map_err(|error| error.to_string())?;
        let work = async {
            let mut hosts = Vec::new();
            for domain in domains {
                hosts.push(host(&resolver, domain).await.map_err(|error| format!("{domain}: {error}"))?);
            }
            Ok(hosts)
        };
        let too_long = || format!("no answer within {} seconds", WAIT.as_secs());
        tokio::time::timeout(WAIT, work).await.map_err(|_| too_long())?
    })
}

/// Whether an address is one of this machine's: only those can be bound.
pub(super) fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn be_quick(options: &mut ResolverOpts) {
    options.timeout = QUESTION_WAIT;
    options.attempts = 1;
}

async fn host(resolver: &TokioResolver, domain: &str) -> Result<Host, NetError> {
    let (starttls, direct, addresses) = tokio::try_join!(
        targets(resolver, format!("_xmpp-client._tcp.{domain}.")),
        targets(resolver, format!("_xmpps-client._tcp.{domain}.")),
        addresses(resolver, name(&format!("{domain}."))?),
    )?;
    Ok(Host { domain: domain.to_owned(), starttls, direct, addresses })
}

fn name(text: &str) -> Result<Name, NetError> {
    Ok(Name::from_utf8(text)?)
}

async fn targets(resolver: &TokioResolver, service: String) -> Result<Vec<Target>, NetError> {
    let Some(answer) = found(resolver.srv_lookup(name(&service)?).await)? else { return Ok(Vec::new()) };
    let mut targets = Vec::new();
    for record in answer.answers() {
        let RData::SRV(srv) = &record.data else { continue };
        let name = srv.target.to_utf8().trim_end_matches('.').to_owned();
        let addresses =
            if name.is_empty() { Vec::new() } else { addresses(resolver, srv.target.clone()).await? };
        targets.push(Target { name, port: srv.port, addresses });
        if targets.len() == RECORDS_MAX {
            break;
        }
    }
    Ok(targets)
}

async fn addresses(resolver: &TokioResolver, mut name: Name) -> Result<Vec<IpAddr>, NetError> {
    name.set_fqdn(true);
    let answer = found(resolver.lookup_ip(name).await)?;
    Ok(answer.map(|answer| answer.iter().take(RECORDS_MAX).collect()).unwrap_or_default())
}

/// An answer, if there are such records.
fn found<T>(answer: Result<T, NetError>) -> Result<Option<T>, NetError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(error) => Err(error),
    }
}
