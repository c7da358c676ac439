//! Steps of clients: connecting, leaving, contacts, sending.

use super::stage::{Client, Play, STEP_S, describe};
use crate::client::{Received, deadline_in, xml_of_presence};
use crate::scenario::{ConnectOptions, Escaping, PresenceOption, SendAs, Stage, Times};
use crate::xml::{CLIENT, Element, parse_fragment};

const ROSTER: &str = "jabber:iq:roster";

impl Play<'_> {
    /// `romeo/orchard connects …`
    pub(super) async fn connect(&mut self, who: &str, options: &ConnectOptions) -> Result<(), String> {
        let (user, resource) = who.split_once('/').ok_or("only user/resource connects")?;
        let stage = Stage::Bound { user: user.to_owned(), resource: resource.to_owned() };
        self.reach(who, &stage, options).await?;
        if options.interest {
            let request = format!("<iq type='get' id='runner-roster'><query xmlns='{ROSTER}'/></iq>");
            self.ask(who, &request, "runner-roster").await?;
        }
        match options.presence {
            PresenceOption::Without => Ok(()),
            PresenceOption::Plain => self.appear(who, None).await,
            PresenceOption::Priority(priority) => self.appear(who, Some(priority)).await,
        }
    }

    /// Sends initial presence and takes away what the user's own resources see of it.
    async fn appear(&mut self, who: &str, priority: Option<i8>) -> Result<(), String> {
        let me = self.client(who)?.jid.clone().ok_or("not bound")?;
        let bare = bare(&me).to_owned();
        let mut others = Vec::new();
        for (name, client) in &mut self.clients {
            let Some(jid) = client.jid.clone() else { continue };
            if name != who && bare == self::bare(&jid) && client.available && client.is_bound() {
                client.presence_once.push(me.clone());
                others.push(jid);
            }
        }
        let offline = self.offline_contacts(who);
        let client = self.client(who)?;
        client.presence_once.extend(others);
        client.unavailable_once.extend(offline);
        client.available = true;
        client.connection.send(xml_of_presence(priority).as_bytes(), deadline_in(STEP_S)).await?;
        self.take_reflection(who, &me).await
    }

    /// Bare JIDs of those whose presence a client will see, and who are not there yet.
    fn offline_contacts(&self, who: &str) -> Vec<String> {
        let user = bare(who);
        let is_there = |name: &str| {
            let mut clients = self.clients.iter().filter(|(client, _)| bare(client) == name);
            clients.any(|(_, client)| client.available && client.is_bound())
        };
        self.watching
            .iter()
            .filter(|(watcher, other)| watcher == user && !is_there(other))
            .filter_map(|(_, other)| self.vars.get(other).map(str::to_owned))
            .collect()
    }

    /// Waits for the own presence; whatever comes before it stays.
    async fn take_reflection(&mut self, who: &str, me: &str) -> Result<(), String> {
        let found = self
            .take_element(who, |element| {
                element.is(CLIENT, "presence")
                    && element.attribute("from") == Some(me)
                    && element.attribute("type").is_none()
            })
            .await;
        found.map(|_| ()).map_err(|why| format!("the own presence was not reflected: {why}"))
    }

    /// Sends an IQ and takes its answer away, leaving all else.
    pub(super) async fn ask(&mut self, who: &str, request: &str, id: &str) -> Result<Element, String> {
        self.client(who)?.connection.send(request.as_bytes(), deadline_in(STEP_S)).await?;
        self.take_element(who, |element| {
            element.is(CLIENT, "iq")
                && element.attribute("id") == Some(id)
                && matches!(element.attribute("type"), Some("result" | "error"))
        })
        .await
    }

    /// Takes the first element that is wanted out of what comes, leaving the others in their order.
    async fn take_element(
        &mut self,
        who: &str,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Element, String> {
        let deadline = deadline_in(STEP_S);
        let connection = &mut self.client(who)?.connection;
        let mut looked_at = 0;
        loop {
            while let Some(received) = connection.inbox.get(looked_at) {
                match received {
                    Received::Element(element) if wanted(element) => {
                        if let Some(Received::Element(element)) = connection.inbox.remove(looked_at) {
                            return Ok(element);
                        }
                    }
                    Received::Element(_) => {}
                    other => return Err(describe(Some(other))),
                }
                looked_at += 1;
            }
            if !connection.fill(deadline).await {
                return Err(describe(None));
            }
        }
    }

    /// `romeo/orchard disconnects`
    pub(super) async fn disconnect(&mut self, who: &str) -> Result<(), String> {
        self.close_stream(who).await?;
        let deadline = deadline_in(STEP_S);
        let connection = &mut self.client(who)?.connection;
        while !connection.is_gone() {
            match connection.next(deadline).await {
                None => return Err("the server did not close the stream".to_owned()),
                Some(Received::Bad(why)) => return Err(why),
                Some(Received::StreamClose) => connection.close().await,
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// `romeo/orchard drops the connection`
    pub(super) fn drop_connection(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        client.jid = None;
        client.connection.drop_hard()
    }

    /// `romeo/orchard hangs up`
    pub(super) async fn hang_up(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        client.jid = None;
        client.connection.hang_up().await
    }

    /// `romeo/orchard stops reading`, `romeo/orchard reads on`
    pub(super) fn set_reading(&mut self, who: &str, reads: bool) -> Result<(), String> {
        let connection = &mut self.client(who)?.connection;
        connection.note(if reads { "** we read on" } else { "** we stop reading" });
        connection.is_reading = reads;
        Ok(())
    }

    /// `romeo/orchard reads to the end`
    pub(super) async fn read_to_the_end(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        client.jid = None;
        let deadline = deadline_in(STEP_S);
        loop {
            match client.connection.next(deadline).await {
                None => return Err("the connection was not closed".to_owned()),
                Some(Received::Bad(why)) => return Err(why),
                Some(Received::Closed(_)) => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// `romeo/orchard sends: …` and its variants.
    pub(super) async fn send(
        &mut self,
        who: &str,
        payload: &str,
        how: SendAs,
        times: &Times,
    ) -> Result<(), String> {
        let deadline = deadline_in(STEP_S);
        match how {
            SendAs::Raw => {
                let bytes = self.vars.bytes(payload, Escaping::Raw)?;
                self.secrets.sent(&String::from_utf8_lossy(&bytes));
                self.client(who)?.connection.send(&bytes, deadline).await
            }
            SendAs::ByteByByte => {
                let bytes = self.vars.bytes(payload, Escaping::Raw)?;
                self.secrets.sent(&String::from_utf8_lossy(&bytes));
                let connection = &mut self.client(who)?.connection;
                connection.send_byte_by_byte(&bytes, deadline).await
            }
            SendAs::Stanzas => {
                let counted = self.counted(times)?;
                let (_, count) = times.range(counted)?;
                let mut xml = String::new();
                for turn in counted + 1..=counted + count {
                    let turn = times.is_numbered().then_some(turn);
                    xml.push_str(&self.vars.turn(payload, Escaping::Xml, turn)?);
                }
                self.count(times, counted + count);
                self.secrets.sent(&xml);
                let elements =
                    parse_fragment(&xml).map_err(|why| format!("`sends:` wants well-formed XML: {why}"))?;
                let client = self.client(who)?;
                elements.iter().for_each(|element| client.note_presence(element));
                client.connection.send(xml.as_bytes(), deadline).await
            }
        }
    }

    /// `romeo/orchard sends, cut off at every byte: …`: for each byte a connection that ends before it.
    pub(super) async fn send_cut_off(&mut self, who: &str, payload: &str) -> Result<(), String> {
        let (user, resource) = who.split_once('/').ok_or("only user/resource connects")?;
        let stage = Stage::Bound { user: user.to_owned(), resource: resource.to_owned() };
        // nothing between our bytes and the server's stream
        let options = ConnectOptions { plaintext: true, ..ConnectOptions::default() };
        let bytes = self.vars.bytes(payload, Escaping::Raw)?;
        for end in 1..bytes.len() {
            self.reach(who, &stage, &options).await?;
            let client = self.client(who)?;
            client.connection.send(&bytes[..end], deadline_in(STEP_S)).await?;
            client.jid = None;
            if end % 2 == 0 {
                client.connection.drop_hard()?;
            } else {
                client.connection.hang_up().await?;
                while client.connection.fill(deadline_in(STEP_S)).await {}
            }
        }
        Ok(())
    }

    /// `romeo and juliet are contacts`, `romeo is subscribed to juliet`
    pub(super) async fn make_contacts(&mut self, who: &str, other: &str, mutual: bool) -> Result<(), String> {
        let names = [format!("{who}/runner-setup"), format!("{other}/runner-setup")];
        let options = ConnectOptions { interest: true, ..ConnectOptions::default() };
        for name in &names {
            self.connect(name, &options).await?;
        }
        self.subscribe(&names[0], &names[1], who, other).await?;
        if mutual {
            self.subscribe(&names[1], &names[0], other, who).await?;
        }
        self.watching.push((who.to_owned(), other.to_owned()));
        if mutual {
            self.watching.push((other.to_owned(), who.to_owned()));
        }
        for name in &names {
            self.client(name)?
                .connection
                .send(b"<presence type='unavailable'/>", deadline_in(STEP_S))
                .await?;
            self.ping(name).await?;
        }
        for name in &names {
            self.disconnect(name).await?;
        }
        Ok(())
    }

    /// One direction, with both ends seeing it through.
    async fn subscribe(&mut self, from: &str, to: &str, user: &str, other: &str) -> Result<(), String> {
        let user = self.vars.text(&format!("${{{user}}}"), Escaping::Plain)?;
        let other = self.vars.text(&format!("${{{other}}}"), Escaping::Plain)?;
        let presence = |to: &str, kind: &str| format!("<presence to='{to}' type='{kind}'/>");
        let is = |element: &Element, from: &str, kind: &str| {
            element.is(CLIENT, "presence")
                && element.attribute("type") == Some(kind)
                && element.attribute("from").map(bare) == Some(from)
        };
        let request = presence(&other, "subscribe");
        self.client(from)?.connection.send(request.as_bytes(), deadline_in(STEP_S)).await?;
        self.take_element(to, |element| is(element, &user, "subscribe")).await?;
        let answer = presence(&user, "subscribed");
        self.client(to)?.connection.send(answer.as_bytes(), deadline_in(STEP_S)).await?;
        self.take_element(from, |element| is(element, &other, "subscribed")).await?;
        Ok(())
    }
}

impl Client {
    /// Follows what a scenario says about presence by hand.
    fn note_presence(&mut self, element: &Element) {
        if element.is(CLIENT, "presence") && element.attribute("to").is_none() {
            match element.attribute("type") {
                None => self.available = true,
                Some("unavailable") => self.available = false,
                Some(_) => {}
            }
        }
    }
}

/// A JID without its resource.
pub(super) fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}
