//! The mechanisms, and which of them a connection is offered.
//!
//! RFC 6120 §6.3.3, §6.3.4; channel binding: RFC 5802 §6, RFC 9266, RFC 5929 §4, XEP-0440.

use zeroize::Zeroizing;

use super::{Failure, ScramHash};

/// A SASL mechanism that this server can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Name and password in the clear (RFC 4616).
    Plain,
    /// Nobody in particular (RFC 4505).
    Anonymous,
    /// SCRAM without channel binding (RFC 5802, RFC 7677).
    Scram(ScramHash),
    /// SCRAM bound to the TLS channel.
    ScramPlus(ScramHash),
}

impl Mechanism {
    /// All of them, in the server's order of preference (RFC 6120 §6.3.3).
    pub const ALL: [Self; 8] = [
        Self::ScramPlus(ScramHash::Sha512),
        Self::ScramPlus(ScramHash::Sha256),
        Self::ScramPlus(ScramHash::Sha1),
        Self::Scram(ScramHash::Sha512),
        Self::Scram(ScramHash::Sha256),
        Self::Scram(ScramHash::Sha1),
        Self::Plain,
        Self::Anonymous,
    ];

    /// The name registered with IANA.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::Scram(hash) => hash.scheme(),
            Self::ScramPlus(ScramHash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::ScramPlus(ScramHash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(ScramHash::Sha512) => "SCRAM-SHA-512-PLUS",
        }
    }

    /// The mechanism of this name; names are in capitals (RFC 4422 §3.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Does the client's message carry what the exchange begins with? Then a client that sent no initial
    /// response is asked for it with an empty challenge (RFC 4422 §5, item 2a). ANONYMOUS's may stay away.
    pub(super) const fn needs_client_first(self) -> bool {
        match self {
            Self::Plain | Self::Scram(_) | Self::ScramPlus(_) => true,
            Self::Anonymous => false,
        }
    }
}

/// Which mechanisms a virtual host wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// PLAIN, where the connection is encrypted.
    pub plain: bool,
    /// PLAIN also where it is not: for loopback and tests.
    pub plain_unencrypted: bool,
    /// ANONYMOUS; off unless the administrator wants it (RFC 4505 §5).
    pub anonymous: bool,
    /// SCRAM with these hashes, bound to the channel wherever there is one.
    pub scram: Vec<ScramHash>,
}

impl Policy {
    /// Whether PLAIN is offered on a connection with or without TLS.
    pub fn has_plain(&self, encrypted: bool) -> bool {
        self.plain && (encrypted || self.plain_unencrypted)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { plain: true, plain_unencrypted: false, anonymous: false, scram: ScramHash::ALL.to_vec() }
    }
}

/// A way to bind an exchange to its TLS channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// RFC 9266: this very connection.
    TlsExporter,
    /// RFC 5929 §4: the server's certificate.
    TlsServerEndPoint,
}

impl BindingType {
    /// Both, stronger first.
    pub const ALL: [Self; 2] = [Self::TlsExporter, Self::TlsServerEndPoint];

    /// The name registered with IANA.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|binding| binding.name() == name)
    }
}

/// What the transport knows about its connection, now: it changes with STARTTLS.
#[derive(Clone, Default)]
pub struct ConnectionFacts {
    /// TLS is on.
    pub encrypted: bool,
    /// 32 bytes of exported keying material (RFC 9266 §2); `None` for TLS 1.2 without extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// The hash of the served certificate (RFC 5929 §4.1); `None` where its signature defines none.
    pub end_point: Option<Vec<u8>>,
}

impl std::fmt::Debug for ConnectionFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the exported key is the connection's own secret
        f.debug_struct("ConnectionFacts").field("encrypted", &self.encrypted).finish_non_exhaustive()
    }
}

/// What a connection is offered: made when the features are sent, and held to until the exchange is over.
pub struct Offer {
    mechanisms: Vec<Mechanism>,
    plain_after_tls: bool,
    exporter: Option<Zeroizing<[u8; 32]>>,
    end_point: Option<Vec<u8>>,
}

impl Offer {
    /// What this host offers to this connection.
    pub fn new(policy: &Policy, facts: ConnectionFacts) -> Self {
        let ConnectionFacts { encrypted, exporter, end_point } = facts;
        let bindable = encrypted && (exporter.is_some() || end_point.is_some());
        let wanted = |mechanism: &Mechanism| match mechanism {
            Mechanism::Plain => policy.has_plain(encrypted),
            Mechanism::Anonymous => policy.anonymous,
            Mechanism::Scram(hash) => policy.scram.contains(hash),
            Mechanism::ScramPlus(hash) => bindable && policy.scram.contains(hash),
        };
        Self {
            mechanisms: Mechanism::ALL.into_iter().filter(wanted).collect(),
            plain_after_tls: policy.plain && !encrypted,
            exporter: exporter.map(Zeroizing::new),
            end_point,
        }
    }

    /// The offered mechanisms, best first.
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// The channel binding types to advertise (XEP-0440), stronger first; none without a `-PLUS` to use them.
    pub fn binding_types(&self) -> impl Iterator<Item = BindingType> + '_ {
        BindingType::ALL.into_iter().filter(|t| self.offers_plus() && self.binding_data(*t).is_some())
    }

    /// The mechanism that a client asks for by name.
    ///
    /// # Errors
    /// [`Failure::Mechanism`] when it was not offered, known or not; [`Failure::Encryption`] when it will be
    /// after TLS.
    pub fn choose(&self, name: &str) -> Result<Mechanism, Failure> {
        let mechanism = Mechanism::from_name(name).ok_or(Failure::Mechanism)?;
        if self.mechanisms.contains(&mechanism) {
            Ok(mechanism)
        } else if mechanism == Mechanism::Plain && self.plain_after_tls {
            Err(Failure::Encryption)
        } else {
            Err(Failure::Mechanism)
        }
    }

    /// Was any mechanism with channel binding offered?
    pub(super) fn offers_plus(&self) -> bool {
        self.mechanisms.iter().any(|m| matches!(m, Mechanism::ScramPlus(_)))
    }

    /// The data of a binding type, if this connection has it.
    pub(super) fn binding_data(&self, binding: BindingType) -> Option<&[u8]> {
        match binding {
            BindingType::TlsExporter => self.exporter.as_ref().map(|data| data.as_slice()),
            BindingType::TlsServerEndPoint => self.end_point.as_deref(),
        }
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("mechanisms", &self.mechanisms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(policy: &Policy, facts: ConnectionFacts) -> String {
        let offer = Offer::new(policy, facts);
        let bindings = offer.binding_types().map(BindingType::name).collect::<Vec<_>>().join(" ");
        let mechanisms = offer.mechanisms().iter().map(|m| m.name()).collect::<Vec<_>>().join(" ");
        format!("{mechanisms} | {bindings}")
    }

    fn tls() -> ConnectionFacts {
        ConnectionFacts { encrypted: true, exporter: Some([1; 32]), end_point: Some(vec![2; 32]) }
    }

    #[test]
    fn every_mechanism_is_found_by_its_name() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
            assert!(mechanism.name().len() <= 20, "RFC 4422 §3.1");
        }
        assert_eq!(Mechanism::from_name("plain"), None);
        assert_eq!(BindingType::from_name("tls-unique"), None);
    }

    #[test]
    fn the_offer_follows_the_connection() {
        assert_eq!(
            names(&Policy::default(), tls()),
            "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS \
             SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN | tls-exporter tls-server-end-point"
        );
        let without_exporter = ConnectionFacts { exporter: None, ..tls() };
        assert!(names(&Policy::default(), without_exporter).ends_with("PLAIN | tls-server-end-point"));
        let unbindable = ConnectionFacts { exporter: None, end_point: None, ..tls() };
        assert_eq!(names(&Policy::default(), unbindable), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN | ");
        let clear = ConnectionFacts { encrypted: false, ..tls() };
        assert_eq!(names(&Policy::default(), clear), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 | ");
    }

    #[test]
    fn the_offer_follows_the_policy() {
        let anonymous = Policy { anonymous: true, plain: false, scram: Vec::new(), ..Policy::default() };
        assert_eq!(names(&anonymous, tls()), "ANONYMOUS | ");
        let old = Policy { scram: vec![ScramHash::Sha1], plain: false, ..Policy::default() };
        assert_eq!(names(&old, tls()), "SCRAM-SHA-1-PLUS SCRAM-SHA-1 | tls-exporter tls-server-end-point");
        let loopback = Policy { plain_unencrypted: true, scram: Vec::new(), ..Policy::default() };
        assert_eq!(names(&loopback, ConnectionFacts::default()), "PLAIN | ");
    }

    #[test]
    fn only_what_was_offered_can_be_chosen() {
        let offer = Offer::new(&Policy::default(), ConnectionFacts::default());
        assert_eq!(offer.choose("SCRAM-SHA-1"), Ok(Mechanism::Scram(ScramHash::Sha1)));
        assert_eq!(offer.choose("PLAIN"), Err(Failure::Encryption));
        for name in ["SCRAM-SHA-1-PLUS", "ANONYMOUS", "CRAM-MD5", "scram-sha-1", ""] {
            assert_eq!(offer.choose(name), Err(Failure::Mechanism), "{name}");
        }
        let none = Policy { plain: false, ..Policy::default() };
        let offer = Offer::new(&none, ConnectionFacts::default());
        assert_eq!(offer.choose("PLAIN"), Err(Failure::Mechanism));
    }
}
