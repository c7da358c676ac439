//! Stream features that modules offer (RFC 6120 §4.3.2). The mandatory ones (STARTTLS, SASL, binding) are the machine's.

use std::sync::Arc;

use hearth_wire::{Payload, XmlWriter};

use crate::host::Host;
use crate::sasl::Offer;
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
#[derive(Clone, Copy)]
pub struct FeatureContext<'a> {
    /// The server.
    pub server: &'a Server,
    /// The host the client opened its stream to.
    pub host: &'a Host,
    /// Whether TLS is on.
    pub secured: bool,
    /// Whether who has logged in is a guest (XEP-0175): an account for as long as its session lasts.
    pub guest: bool,
    /// What SASL offers beside it; `None` after login.
    pub offer: Option<&'a Offer>,
}

/// Makes a feature's element; `None` where it is not offered after all.
type Make = Arc<dyn Fn(&FeatureContext<'_>) -> Option<Payload> + Send + Sync>;

/// One feature.
#[derive(Clone)]
pub struct StreamFeature {
    /// Element name.
    pub name: &'static str,
    /// Namespace.
    pub namespace: &'static str,
    /// When it is offered.
    pub when: When,
    /// What makes its element; `None`: it is empty and always offered.
    make: Option<Make>,
}

impl StreamFeature {
    /// An empty element offered after login: merely informative.
    pub const fn after_login(name: &'static str, namespace: &'static str) -> Self {
        Self { name, namespace, when: When::AfterLogin, make: None }
    }

    /// An empty element offered before login.
    pub const fn before_login(name: &'static str, namespace: &'static str) -> Self {
        Self { name, namespace, when: When::BeforeLogin, make: None }
    }

    /// The same with an element made for each stream; where it is `None`, the feature is not offered.
    pub fn made_by(
        mut self,
        make: impl Fn(&FeatureContext<'_>) -> Option<Payload> + Send + Sync + 'static,
    ) -> Self {
        self.make = Some(Arc::new(make));
        self
    }

    /// The same, offered only where and as long as `holds` says so.
    pub fn only_if(self, holds: impl Fn(&FeatureContext<'_>) -> bool + Send + Sync + 'static) -> Self {
        let always = self.clone();
        self.made_by(move |context| if holds(context) { always.offer(context) } else { None })
    }

    /// The same, offered to those only whose account is kept: guests cannot use it.
    pub fn not_for_guests(self) -> Self {
        self.only_if(|context| !context.guest)
    }

    /// Its element, if it is offered here.
    pub fn offer(&self, context: &FeatureContext<'_>) -> Option<Payload> {
        if let Some(make) = &self.make {
            return make(context);
        }
        let mut writer = XmlWriter::new();
        writer.open(self.name, self.namespace).close();
        Some(writer.into_payload())
    }

    pub(crate) fn describe(&self) -> String {
        format!("{:?} {{{}}}{}", self.when, self.namespace, self.name)
    }
}
