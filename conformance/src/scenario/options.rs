//! The comma-separated options behind a step: `without presence, over TLS 1.3`.

/// A version of TLS that a step insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    V1_2,
    V1_3,
}

/// What a client announces once it is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PresenceOption {
    #[default]
    Plain,
    Without,
    Priority(i8),
}

/// How a connection is made, and how far a client goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectOptions {
    pub(crate) presence: PresenceOption,
    pub(crate) interest: bool,
    pub(crate) direct_tls: bool,
    pub(crate) plaintext: bool,
    pub(crate) tls: Option<TlsVersion>,
    pub(crate) mechanism: Option<String>,
    pub(crate) server_made_resource: bool,
    /// Little room for what was not read yet, so that a client that does not read is soon noticed.
    pub(crate) small_buffer: bool,
    /// The host to which the stream is addressed.
    pub(crate) to: Option<String>,
    pub(crate) sni: Option<String>,
    /// `None`: `xmpp-client`; an empty name: no ALPN at all.
    pub(crate) alpn: Option<String>,
}

impl ConnectOptions {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for option in split(text)? {
            options.add(&option)?;
        }
        Ok(options)
    }

    fn add(&mut self, option: &str) -> Result<(), String> {
        match option {
            "without presence" => self.presence = PresenceOption::Without,
            "with interest" => self.interest = true,
            "over direct TLS" => self.direct_tls = true,
            "over TLS 1.2" => self.tls = Some(TlsVersion::V1_2),
            "over TLS 1.3" => self.tls = Some(TlsVersion::V1_3),
            "in plaintext" => self.plaintext = true,
            "without resource" => self.server_made_resource = true,
            "with a small buffer" => self.small_buffer = true,
            "without ALPN" => self.alpn = Some(String::new()),
            _ => {
                if let Some(priority) = option.strip_prefix("with priority ") {
                    let priority = priority.parse().map_err(|_| format!("`{priority}` is not a priority"))?;
                    self.presence = PresenceOption::Priority(priority);
                } else if let Some(mechanism) = option.strip_prefix("with mechanism ") {
                    self.mechanism = Some(mechanism.to_owned());
                } else if let Some(host) = option.strip_prefix("to ") {
                    self.to = Some(host.to_owned());
                } else if let Some(host) = option.strip_prefix("with SNI ") {
                    self.sni = Some(host.to_owned());
                } else if let Some(protocol) = option.strip_prefix("with ALPN ") {
                    self.alpn = Some(protocol.to_owned());
                } else {
                    return Err(format!("unknown option `{option}`"));
                }
            }
        }
        Ok(())
    }
}

/// How a SASL exchange is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthenticateOptions {
    pub(crate) mechanism: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) authzid: Option<String>,
    pub(crate) binding: Option<String>,
    pub(crate) flag: Option<char>,
}

impl AuthenticateOptions {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for option in split(text)? {
            let (word, value) = option.split_once(' ').ok_or_else(|| format!("unknown option `{option}`"))?;
            match word {
                "with" => options.mechanism = Some(value.to_owned()),
                "password" => options.password = Some(unquote(value)?),
                "username" => options.username = Some(unquote(value)?),
                "authzid" => options.authzid = Some(unquote(value)?),
                "binding" => options.binding = Some(value.to_owned()),
                "flag" => options.flag = value.chars().next(),
                _ => return Err(format!("unknown option `{option}`")),
            }
        }
        Ok(options)
    }
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '"';
        match parts.last_mut() {
            Some(part) if quoted || character != ',' => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
}

fn unquote(text: &str) -> Result<String, String> {
    let inside = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.map(str::to_owned).ok_or_else(|| format!("`{text}` wants quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_separated_by_commas() {
        let options = ConnectOptions::parse("without presence, over TLS 1.3").unwrap();
        assert_eq!(options.presence, PresenceOption::Without);
        assert_eq!(options.tls, Some(TlsVersion::V1_3));
        let options = AuthenticateOptions::parse("with SCRAM-SHA-1, password \"a, b\"").unwrap();
        assert_eq!(options.mechanism.as_deref(), Some("SCRAM-SHA-1"));
        assert_eq!(options.password.as_deref(), Some("a, b"));
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(ConnectOptions::parse("with love").is_err());
        assert!(AuthenticateOptions::parse("password x").is_err());
        assert!(AuthenticateOptions::parse("password \"x").is_err());
    }
}
