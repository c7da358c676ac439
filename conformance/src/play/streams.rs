//! Steps on the stream itself: opening, TLS, SASL, binding, closing.

use super::stage::{Client, Play, STEP_S};
use crate::client::{SaslRequest, TlsOptions, authenticate, best_mechanism, deadline_in, open_stream_xml};
use crate::scenario::{AuthenticateOptions, ConnectOptions, Escaping, Stage, TlsVersion};
use crate::xml::{Element, SASL, XML};

impl Play<'_> {
    /// `S is open`, `is secured`, `is authenticated as …`, `is bound as …`
    pub(super) async fn reach(
        &mut self,
        who: &str,
        stage: &Stage,
        options: &ConnectOptions,
    ) -> Result<(), String> {
        let deadline = deadline_in(STEP_S);
        let options = self.filled_in(options)?;
        let user = match stage {
            Stage::Open | Stage::Secured => None,
            Stage::Authenticated { user } | Stage::Bound { user, .. } => Some(self.user(user)?),
        };
        let of_user = user.as_ref().map_or(&self.target.host, |user| &user.host);
        let host = options.to.clone().unwrap_or_else(|| of_user.clone());
        let connection = self.target.connect(&host, &options, deadline).await?;
        self.enter(who, Client::new(connection, host.clone()))?;
        let connection = &mut self.client(who)?.connection;
        if *stage == Stage::Open {
            connection.open_stream(&host, deadline).await?;
            return Ok(());
        }
        let features = connection.open_secured(&host, &options, deadline).await?;
        if let Some(user) = user {
            connection.log_in(&user, &features, &options, deadline).await?;
        }
        if let Stage::Bound { user, resource } = stage {
            let asked = (!options.server_made_resource).then_some(resource.as_str());
            self.bind(who, asked).await?;
            let jid = self.client(who)?.jid.clone().unwrap_or_default();
            self.vars.set(&format!("{user}/{resource}"), jid);
        }
        Ok(())
    }

    /// Options with the variables in them filled in.
    fn filled_in(&self, options: &ConnectOptions) -> Result<ConnectOptions, String> {
        let fill = |text: &Option<String>| match text {
            Some(text) => self.vars.text(text, Escaping::Plain).map(Some),
            None => Ok(None),
        };
        let (to, sni) = (fill(&options.to)?, fill(&options.sni)?);
        Ok(ConnectOptions { to, sni, ..options.clone() })
    }

    /// `S opens a TCP connection`, `S opens a direct TLS connection`
    pub(super) async fn open_connection(
        &mut self,
        who: &str,
        direct_tls: bool,
        options: &ConnectOptions,
    ) -> Result<(), String> {
        let options = ConnectOptions { direct_tls, ..self.filled_in(options)? };
        let host = self.target.host.clone();
        let connection = self.target.connect(&host, &options, deadline_in(STEP_S)).await?;
        self.enter(who, Client::new(connection, host))
    }

    /// `S opens a stream: …`: the attributes replace those of an ordinary header.
    pub(super) async fn open_stream(&mut self, who: &str, attributes: &str) -> Result<(), String> {
        let given = self.attributes(attributes)?;
        let host = self.client(who)?.host.clone();
        let mut header = vec![("to".to_owned(), host), ("version".to_owned(), "1.0".to_owned())];
        for ((ns, name), value) in given.attributes {
            let name = if ns == XML { format!("xml:{name}") } else { name };
            header.retain(|(other, _)| *other != name);
            if value != "!absent" {
                header.push((name, value));
            }
        }
        let client = self.client(who)?;
        if let Some((_, to)) = header.iter().find(|(name, _)| name == "to") {
            client.host.clone_from(to);
        }
        client.connection.restart();
        client.connection.send(open_stream_xml(&header).as_bytes(), deadline_in(STEP_S)).await
    }

    /// `S restarts the stream`
    pub(super) async fn restart_stream(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        client.connection.open_stream(&client.host, deadline_in(STEP_S)).await?;
        Ok(())
    }

    /// `S starts TLS`
    pub(super) async fn start_tls(&mut self, who: &str, tls: Option<TlsVersion>) -> Result<(), String> {
        let client = self.client(who)?;
        let options = TlsOptions { sni: client.host.clone(), version: tls, alpn: None };
        client.connection.start_tls(&options, deadline_in(STEP_S)).await
    }

    /// `S does the TLS handshake`
    pub(super) async fn handshake(&mut self, who: &str, tls: Option<TlsVersion>) -> Result<(), String> {
        let client = self.client(who)?;
        let options = TlsOptions { sni: client.host.clone(), version: tls, alpn: None };
        client.connection.secure(&options, deadline_in(STEP_S)).await
    }

    /// `S authenticates as …`, `S tries to authenticate as …`
    pub(super) async fn authenticate(
        &mut self,
        who: &str,
        user: &str,
        options: &AuthenticateOptions,
        to_the_end: bool,
    ) -> Result<(), String> {
        let request = self.sasl_request(user, options, who)?;
        self.secrets.password(&request.username, &request.password);
        let connection = &mut self.client(who)?.connection;
        let outcome = authenticate(connection, &request, deadline_in(STEP_S)).await?;
        if !to_the_end {
            connection.inbox.push_front(crate::client::Received::Element(outcome));
            return Ok(());
        }
        if outcome.is(SASL, "success") { Ok(()) } else { Err(format!("expected <success/>, got {outcome}")) }
    }

    fn sasl_request(
        &mut self,
        user: &str,
        options: &AuthenticateOptions,
        who: &str,
    ) -> Result<SaslRequest, String> {
        let fill = |text: &Option<String>| match text {
            Some(text) => self.vars.text(text, Escaping::Raw).map(Some),
            None => Ok(None),
        };
        let (password, username) = (fill(&options.password)?, fill(&options.username)?);
        let authzid = fill(&options.authzid)?;
        let user = self.user(user)?;
        let mechanism = match &options.mechanism {
            Some(mechanism) => mechanism.clone(),
            None => best_mechanism(&self.last_features(who)?)?,
        };
        let mut request = SaslRequest::ordinary(&user, mechanism);
        request.authzid = authzid;
        request.password = password.unwrap_or(request.password);
        request.username = username.unwrap_or(request.username);
        request.flag = options.flag.unwrap_or(request.flag);
        request.binding = options.binding.clone().unwrap_or(request.binding);
        Ok(request)
    }

    /// The stream features that were told last.
    fn last_features(&mut self, who: &str) -> Result<Element, String> {
        let seen = &self.client(who)?.connection.seen;
        let features = seen.iter().rev().find_map(|received| match received {
            crate::client::Received::Element(element) if element.name == "features" => Some(element.clone()),
            _ => None,
        });
        features.ok_or_else(|| "no stream features were received yet".to_owned())
    }

    /// `S binds orchard`
    pub(super) async fn bind(&mut self, who: &str, resource: Option<&str>) -> Result<(), String> {
        let resource = resource.map(|text| self.vars.text(text, Escaping::Plain)).transpose()?;
        let client = self.client(who)?;
        let jid = client.connection.bind(resource.as_deref(), deadline_in(STEP_S)).await?;
        client.jid = Some(jid.clone());
        self.vars.set(who, jid);
        Ok(())
    }

    /// `S closes the stream`
    pub(super) async fn close_stream(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        client.jid = None;
        client.connection.send(b"</stream:stream>", deadline_in(STEP_S)).await
    }
}
