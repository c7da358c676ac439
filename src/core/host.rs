//! The virtual hosts: any number of domains, each with accounts of its own.

use std::collections::HashMap;
use std::sync::Arc;

use hearth_wire::BareJid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One virtual host in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// The domain in the addresses of its users.
    pub domain: String,
    /// Whether guests without an account may log in under a random name (SASL ANONYMOUS, XEP-0175).
    #[serde(default)]
    pub anonymous: bool,
    /// Another host (`name` or `name:port`) that all clients of this one are sent to, with `see-other-host` (RFC 6120
    /// §4.9.3.19), for example while it moves.
    #[serde(default)]
    pub see_other_host: Option<String>,
}

/// A virtual host as the server uses it.
#[derive(Debug)]
pub struct Host {
    /// The prepared domain.
    pub domain: BareJid,
    /// Its settings.
    pub config: HostConfig,
}

/// Two hosts of one name, or a name that is none.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Not a domain.
    #[error("host `{0}`: not a domain name: {1}")]
    Name(String, hearth_wire::JidError),
    /// Clients are sent to something that is no host.
    #[error("host `{0}`: see_other_host `{1}` is neither `name` nor `name:port`")]
    Other(String, String),
    /// Named twice.
    #[error("host `{0}` is named twice")]
    Twice(String),
    /// None at all.
    #[error("no host is named: add a [[host]] with its domain")]
    None,
}

/// All virtual hosts, by prepared domain.
#[derive(Debug)]
pub struct Hosts {
    by_domain: HashMap<String, Arc<Host>>,
    first: Arc<Host>,
}

impl Hosts {
    /// Prepares the domains of the configuration.
    ///
    /// # Errors
    /// [`HostError`] if a name is malformed or given twice, or if there is none.
    pub fn new(configs: &[HostConfig]) -> Result<Self, HostError> {
        let mut by_domain = HashMap::new();
        let mut first = None;
        for config in configs {
            let domain = hearth_wire::jid::prepare_domain(&config.domain)
                .and_then(|domain| BareJid::parse(&domain))
                .map_err(|error| HostError::Name(config.domain.clone(), error))?;
            if let Some(other) = config.see_other_host.as_deref().filter(|other| !is_other_host(other)) {
                return Err(HostError::Other(config.domain.clone(), other.to_owned()));
            }
            let host = Arc::new(Host { domain, config: config.clone() });
            if by_domain.insert(host.domain.as_str().to_owned(), Arc::clone(&host)).is_some() {
                return Err(HostError::Twice(config.domain.clone()));
            }
            first.get_or_insert(host);
        }
        Ok(Self { by_domain, first: first.ok_or(HostError::None)? })
    }

    /// The host with this prepared domain.
    pub fn get(&self, domain: &str) -> Option<&Arc<Host>> {
        self.by_domain.get(domain)
    }

    /// The one named first: it speaks where no right name was given.
    pub fn first(&self) -> &Arc<Host> {
        &self.first
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.by_domain.values()
    }
}

/// Whether clients can be sent there: a domain, an IPv4 address or an IPv6 one in brackets, and perhaps a port (RFC 6120
/// §4.9.3.19).
fn is_other_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        // the colons in brackets belong to the address
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    hearth_wire::jid::prepare_domain(name).is_ok() && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_hosts_only() {
        for other in [
            "b.example",
            "b.example:5222",
            "192.0.2.1:1",
            "[2001:db8::1]",
            "[2001:db8::1]:65535",
            "bücher.example",
        ] {
            assert!(is_other_host(other), "{other}");
        }
        for other in [
            "",
            " ",
            "a b",
            "b.example:",
            ":5222",
            "b.example:0",
            "b.example:65536",
            "b.example:+1",
            "a b:99999999",
            "2001:db8::1",
            "[2001:db8::1",
            "[b.example]:1",
            "xmpp://b.example",
            "b.example/x",
            "<b>",
            "me@b.example",
        ] {
            assert!(!is_other_host(other), "{other}");
        }
    }

    #[test]
    fn a_host_that_sends_nowhere_is_refused() {
        let host = |other: &str| HostConfig {
            domain: "a.example".to_owned(),
            anonymous: false,
            see_other_host: Some(other.to_owned()),
        };
        assert!(Hosts::new(&[host("b.example:5222")]).is_ok());
        let refused = Hosts::new(&[host("b example")]).unwrap_err().to_string();
        assert_eq!(refused, "host `a.example`: see_other_host `b example` is neither `name` nor `name:port`");
    }
}
