//! The way from nothing to a bound resource, step by step, as a careful client goes it.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::connection::{Connection, Received};
use super::sasl::{SaslRequest, authenticate, best_mechanism};
use super::tls::TlsOptions;
use crate::scenario::ConnectOptions;
use crate::xml::{BIND, CLIENT, Element, STREAM, TLS, escape};

/// Where the server under test listens, and for which hosts.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// STARTTLS.
    pub(crate) addr: SocketAddr,
    /// Direct TLS.
    pub(crate) tls_addr: SocketAddr,
    pub(crate) host: String,
    pub(crate) host2: String,
}

/// An account on the server under test.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) host: String,
}

/// A stream header with the XML declaration; attributes are written as given.
pub(crate) fn open_stream_xml(attributes: &[(String, String)]) -> String {
    let attributes: String =
        attributes.iter().map(|(name, value)| format!(" {name}='{}'", escape(value))).collect();
    format!("<?xml version='1.0'?><stream:stream{attributes} xmlns='{CLIENT}' xmlns:stream='{STREAM}'>")
}

/// Available presence.
pub(crate) fn xml_of_presence(priority: Option<i8>) -> String {
    match priority {
        None => "<presence/>".to_owned(),
        Some(priority) => format!("<presence><priority>{priority}</priority></presence>"),
    }
}

impl Target {
    /// TCP, or direct TLS when the options say so.
    pub(crate) async fn connect(
        &self,
        host: &str,
        options: &ConnectOptions,
        deadline: Instant,
    ) -> Result<Connection, String> {
        let addr = if options.direct_tls { self.tls_addr } else { self.addr };
        let mut connection = Connection::open(addr, options.small_buffer).await?;
        if options.direct_tls {
            let alpn = match options.alpn.as_deref() {
                None => Some("xmpp-client".to_owned()),
                Some("") => None,
                Some(protocol) => Some(protocol.to_owned()),
            };
            let sni = options.sni.clone().unwrap_or_else(|| host.to_owned());
            connection.secure(&TlsOptions { sni, version: options.tls, alpn }, deadline).await?;
        }
        Ok(connection)
    }
}

impl Connection {
    /// Opens a stream and takes header and features.
    pub(crate) async fn open_stream(&mut self, host: &str, deadline: Instant) -> Result<Element, String> {
        self.restart();
        let to = [("to".to_owned(), host.to_owned()), ("version".to_owned(), "1.0".to_owned())];
        self.send(open_stream_xml(&to).as_bytes(), deadline).await?;
        match self.next(deadline).await {
            Some(Received::Header(header)) if header.element.is(STREAM, "stream") => {}
            other => return Err(format!("expected a stream header, got {other:?}")),
        }
        match self.next(deadline).await {
            Some(Received::Element(features)) if features.is(STREAM, "features") => Ok(features),
            other => Err(format!("expected stream features, got {other:?}")),
        }
    }

    /// `<starttls/>`, `<proceed/>`, handshake.
    pub(crate) async fn start_tls(&mut self, options: &TlsOptions, deadline: Instant) -> Result<(), String> {
        self.send(format!("<starttls xmlns='{TLS}'/>").as_bytes(), deadline).await?;
        match self.next(deadline).await {
            Some(Received::Element(proceed)) if proceed.is(TLS, "proceed") => {}
            other => return Err(format!("expected <proceed/>, got {other:?}")),
        }
        self.secure(options, deadline).await
    }

    /// Opens a stream, and secures it when the server can and the options do not forbid it; returns the features.
    pub(crate) async fn open_secured(
        &mut self,
        host: &str,
        options: &ConnectOptions,
        deadline: Instant,
    ) -> Result<Element, String> {
        let features = self.open_stream(host, deadline).await?;
        if self.is_tls() || options.plaintext {
            return Ok(features);
        }
        if features.child(TLS, "starttls").is_none() {
            return Err("STARTTLS is not offered".to_owned());
        }
        self.upgrade(host, options, deadline).await
    }

    /// STARTTLS on an open stream, and the stream opened again; returns the features.
    pub(crate) async fn upgrade(
        &mut self,
        host: &str,
        options: &ConnectOptions,
        deadline: Instant,
    ) -> Result<Element, String> {
        let sni = options.sni.clone().unwrap_or_else(|| host.to_owned());
        self.start_tls(&TlsOptions { sni, version: options.tls, alpn: None }, deadline).await?;
        self.open_stream(host, deadline).await
    }

    /// Logs in and opens the stream again; returns the features.
    pub(crate) async fn log_in(
        &mut self,
        user: &Credentials,
        features: &Element,
        options: &ConnectOptions,
        deadline: Instant,
    ) -> Result<Element, String> {
        let mechanism = match &options.mechanism {
            Some(mechanism) => mechanism.clone(),
            None => best_mechanism(features)?,
        };
        let request = SaslRequest::ordinary(user, mechanism);
        let outcome = authenticate(self, &request, deadline).await?;
        if outcome.name != "success" {
            return Err(format!("cannot log in as {}: {outcome}", user.name));
        }
        self.open_stream(&user.host, deadline).await
    }

    /// Binds a resource; returns the full JID.
    pub(crate) async fn bind(&mut self, resource: Option<&str>, deadline: Instant) -> Result<String, String> {
        let resource =
            resource.map(|name| format!("<resource>{}</resource>", escape(name))).unwrap_or_default();
        let request = format!("<iq type='set' id='runner-bind'><bind xmlns='{BIND}'>{resource}</bind></iq>");
        self.send(request.as_bytes(), deadline).await?;
        match self.next(deadline).await {
            Some(Received::Element(iq)) if iq.attribute("type") == Some("result") => iq
                .child(BIND, "bind")
                .and_then(|bind| bind.child(BIND, "jid"))
                .map(Element::text)
                .ok_or_else(|| format!("no JID in the result of binding: {iq}")),
            other => Err(format!("expected the result of binding, got {other:?}")),
        }
    }
}

impl SaslRequest {
    /// An exchange without anything odd in it.
    pub(crate) fn ordinary(user: &Credentials, mechanism: String) -> Self {
        Self {
            mechanism,
            username: user.name.clone(),
            password: user.password.clone(),
            authzid: None,
            binding: "tls-exporter".to_owned(),
            flag: 'n',
        }
    }
}
