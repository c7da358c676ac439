//! Every way in which a client's connection ends, so that each is counted once and under one word (design: nothing
//! silent, a decided answer at every limit).
//!
//! The first cause counts: a session that is kicked and then does not read its stream error was kicked.

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)*) => {
        /// Why a connection ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Ended { $($(#[$doc])+ $variant,)* }

        impl Ended {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that counters use.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// Not served: as many connections as may be wait for a login already.
    RefusedAll = "refused-all",
    /// Not served: the system allows no more open files than those that are kept back for the server itself.
    RefusedFiles = "refused-files",
    /// Not served: as many as may be from this address wait for a login already.
    RefusedAddress = "refused-address",
    /// Not served: too many connections from this address in a time (RFC 6120 §13.12).
    RefusedRate = "refused-rate",
    /// Gone before it opened a stream, as port scans and health checks do.
    NoStream = "no-stream",
    /// Gone without the end of its stream: the network's end of file.
    EndOfFile = "end-of-file",
    /// Broken: reset, or timed out by the network.
    Reset = "reset",
    /// The client ended its stream, in order or with a stream error.
    ClosedByClient = "closed-by-client",
    /// The client broke the rules and got a stream error, counted by its condition (RFC 6120 §4.9.3).
    StreamError = "stream-error",
    /// The client was sent to another host (RFC 6120 §4.9.3.19).
    SentElsewhere = "sent-elsewhere",
    /// STARTTLS where it is not offered (RFC 6120 §5.4.2.2).
    StarttlsRefused = "starttls-refused",
    /// TLS: a host that is not served.
    TlsUnknownHost = "tls-unknown-host",
    /// TLS: another protocol was asked for by ALPN.
    TlsAlpn = "tls-alpn",
    /// TLS: no version or cipher in common.
    TlsIncompatible = "tls-incompatible",
    /// TLS: the client refused, e.g. the certificate.
    TlsAlertReceived = "tls-alert-received",
    /// TLS: the client broke the protocol, or spoke another one.
    TlsProtocol = "tls-protocol",
    /// TLS: the connection broke in the handshake.
    TlsConnectionLost = "tls-connection-lost",
    /// TLS: only a development certificate is there, which is not shown to the network.
    TlsDevelopment = "tls-development",
    /// TLS: the handshake was not done in time.
    TlsTimeout = "tls-timeout",
    /// Too many failed logins from its address.
    LoginsLimited = "logins-limited",
    /// Not logged in and bound in time.
    LoginTimeout = "login-timeout",
    /// A stanza was begun and not ended in time.
    StanzaTimeout = "stanza-timeout",
    /// No sign of life when it was asked for one (XEP-0199 §4.2).
    Silent = "silent",
    /// Too much was waiting to be read by the client.
    SlowReader = "slow-reader",
    /// Another client took its resource (RFC 6120 §7.7.2.2).
    Replaced = "replaced",
    /// The account was disabled or removed, or its password changed.
    AccountChanged = "account-changed",
    /// An admin ended the session.
    Kicked = "kicked",
    /// Its host is served no more (RFC 6120 §4.9.3.5).
    HostGone = "host-gone",
    /// The server stopped.
    Shutdown = "shutdown",
    /// The server had a trouble of its own.
    Internal = "internal",
}
