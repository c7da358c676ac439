//! Stream features that modules offer (RFC 6120 §4.3.2). The mandatory ones (STARTTLS, SASL, binding) are the machine's.

use hearth_wire::{Payload, XmlWriter};

use crate::host::Host;
use crate::server::Server;

/// When a feature is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Until the client is authenticated.
    BeforeLogin,
    /// Once it is.
    AfterLogin,
}

/// What a feature may look at when it is offered.
#[derive(Debug, Clone, Copy)]
pub struct FeatureContext<'a> {
    /// The server.
    pub server: &'a Server,
    /// The host the client opened its stream to.
    pub host: &'a Host,
    /// Whether TLS is on.
    pub secured: bool,
}

/// One feature.
#[derive(Debug, Clone, Copy)]
pub struct StreamFeature {
    /// Element name.
    pub name: &'static str,
    /// Namespace.
    pub namespace: &'static str,
    /// When it is offered.
    pub when: When,
    /// Its element; `None` where it is not offered after all.
    pub offer: fn(&Self, &FeatureContext<'_>) -> Option<Payload>,
}

impl StreamFeature {
    /// An empty element offered after login: merely informative.
    pub const fn after_login(name: &'static str, namespace: &'static str) -> Self {
        Self { name, namespace, when: When::AfterLogin, offer: Self::empty }
    }

    /// An empty element offered before login.
    pub const fn before_login(name: &'static str, namespace: &'static str) -> Self {
        Self { name, namespace, when: When::BeforeLogin, offer: Self::empty }
    }

    fn empty(&self, _: &FeatureContext<'_>) -> Option<Payload> {
        let mut writer = XmlWriter::new();
        writer.open(self.name, self.namespace).close();
        Some(writer.into_payload())
    }

    pub(crate) fn describe(&self) -> String {
        format!("{:?} {{{}}}{}", self.when, self.namespace, self.name)
    }
}
