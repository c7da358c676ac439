//! Steps that look at what came.

use std::time::Duration;

use tokio::time::Instant;

use super::stage::{Play, STEP_S, describe};
use crate::client::{Received, deadline_in};
use crate::scenario::{Captures, Escaping, Matching, Rule, Template, Times};
use crate::xml::{CLIENT, Element, STREAM, STREAM_ERRORS, escape, parse_fragment};

impl Play<'_> {
    /// The next thing that the scenario is to see.
    pub(super) async fn next(
        &mut self,
        who: &str,
        within_s: u64,
        wanted: &[Template],
    ) -> Result<Option<Received>, String> {
        let deadline = deadline_in(within_s);
        let client = self.client(who)?;
        loop {
            match client.connection.next(deadline).await {
                Some(received) if client.passes_over(&received, wanted) => {}
                other => return Ok(other),
            }
        }
    }

    /// `receives: …`, once or several times.
    pub(super) async fn receive(
        &mut self,
        who: &str,
        payload: &str,
        times: &Times,
        within_s: u64,
    ) -> Result<(), String> {
        let counted = self.counted(times)?;
        let (least, most) = times.range(counted)?;
        let mut done = 0;
        while done < most {
            let turn = times.is_numbered().then_some(counted + done + 1);
            match self.receive_turn(who, payload, turn, within_s, done < least).await? {
                true => done += 1,
                false => break,
            }
        }
        self.count(times, counted + done);
        Ok(())
    }

    /// One turn: false when something else came, which stays, or nothing, and the turn need not be.
    async fn receive_turn(
        &mut self,
        who: &str,
        payload: &str,
        turn: Option<u32>,
        within_s: u64,
        needed: bool,
    ) -> Result<bool, String> {
        for template in self.templates(payload, turn)? {
            let received = self.next(who, within_s, std::slice::from_ref(&template)).await?;
            let checked = match &received {
                Some(Received::Element(element)) => {
                    template.check(element).map_err(|why| format!("\n      because {why}"))
                }
                _ => Err(String::new()),
            };
            match checked {
                Ok(captures) => self.keep(captures),
                Err(why) if needed => {
                    let shown = self.vars.turn(payload, Escaping::Xml, turn);
                    let came = describe(received.as_ref());
                    return Err(expected(shown.as_deref().unwrap_or(payload), &format!("{came}{why}")));
                }
                Err(_) => {
                    let inbox = &mut self.client(who)?.connection.inbox;
                    received.into_iter().for_each(|other| inbox.push_front(other));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// `receives in any order: …`
    pub(super) async fn receive_any_order(
        &mut self,
        who: &str,
        payload: &str,
        within_s: u64,
    ) -> Result<(), String> {
        let templates = self.templates(payload, None)?;
        let mut elements: Vec<Element> = Vec::new();
        while elements.len() < templates.len() {
            match self.next(who, within_s, &templates).await? {
                Some(Received::Element(element)) => elements.push(element),
                other => {
                    let came: String = elements.iter().map(|element| format!("\n      {element}")).collect();
                    let came = format!("{} after{came}", describe(other.as_ref()));
                    return Err(expected(&self.shown(payload), &came));
                }
            }
        }
        match match_all(&templates, &elements) {
            Ok(captures) => {
                captures.into_iter().for_each(|captures| self.keep(captures));
                Ok(())
            }
            Err(why) => Err(expected(&self.shown(payload), &why)),
        }
    }

    /// `receives nothing`: a round trip on every other client that may have caused something, then one here.
    pub(super) async fn receive_nothing(&mut self, who: &str) -> Result<(), String> {
        if !self.client(who)?.is_bound() {
            return Err("`receives nothing` is proven by a ping and needs a bound client".to_owned());
        }
        let others: Vec<String> = self.clients.keys().filter(|name| *name != who).cloned().collect();
        for other in others {
            let client = self.client(&other)?;
            if client.is_bound() && client.connection.is_reading {
                // A client whose stream the server has ended cannot cause anything anymore.
                self.ping(&other).await.ok();
            }
        }
        let before = self.ping(who).await?;
        let client = self.client(who)?;
        for _ in 0..before {
            let Some(received) = client.connection.inbox.pop_front() else { break };
            if !client.passes_over(&received, &[]) {
                return Err(expected("nothing", &describe(Some(&received))));
            }
        }
        Ok(())
    }

    /// `has received nothing`: until now. Whether something is under way is another question.
    pub(super) async fn has_received_nothing(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        let a_moment = Instant::now() + Duration::from_millis(50);
        while client.connection.fill(a_moment).await {}
        while let Some(received) = client.connection.inbox.pop_front() {
            if !client.passes_over(&received, &[]) {
                return Err(expected("nothing until now", &describe(Some(&received))));
            }
        }
        Ok(())
    }

    /// Asks the server for a sign of life (XEP-0199); returns how many things came before the answer.
    pub(super) async fn ping(&mut self, who: &str) -> Result<usize, String> {
        self.pings += 1;
        let id = format!("runner-ping-{}", self.pings);
        let client = self.client(who)?;
        let host = escape(&client.host);
        let request = format!("<iq type='get' id='{id}' to='{host}'><ping xmlns='urn:xmpp:ping'/></iq>");
        let deadline = deadline_in(STEP_S);
        let connection = &mut client.connection;
        connection.send(request.as_bytes(), deadline).await?;
        loop {
            let answer = connection.inbox.iter().position(|received| is_answer(received, &id));
            if let Some(index) = answer {
                connection.inbox.remove(index);
                return Ok(index);
            }
            if !connection.fill(deadline).await {
                return Err(format!("no answer to a ping: {}", describe(connection.inbox.back())));
            }
        }
    }

    /// `ignores: …`
    pub(super) fn ignore(&mut self, who: &str, payload: &str) -> Result<(), String> {
        let templates = self.templates(payload, None)?;
        self.client(who)?.ignored.extend(templates);
        Ok(())
    }

    /// `receives stream header: …`
    pub(super) async fn receive_header(&mut self, who: &str, attributes: &str) -> Result<(), String> {
        let rules = self.attributes(attributes)?;
        let received = self.next(who, STEP_S, &[]).await?;
        let Some(Received::Header(header)) = &received else {
            return Err(expected("a stream header", &describe(received.as_ref())));
        };
        let came = format!("{} with xmlns={:?}", header.element, header.content_ns);
        if !header.element.is(STREAM, "stream") || header.content_ns.as_deref() != Some(CLIENT) {
            return Err(expected("a stream header of jabber:client", &came));
        }
        let mut captures = Captures::new();
        for (name, value) in &rules.attributes {
            let told = header.element.attributes.get(name).map(String::as_str);
            let checked = Rule::new(value).and_then(|rule| rule.check(told, &mut captures));
            checked.map_err(|why| {
                expected(&format!("stream header {attributes}"), &format!("{came}: {} {why}", name.1))
            })?;
        }
        self.keep(captures);
        Ok(())
    }

    /// Attributes that are written without an element.
    pub(super) fn attributes(&self, text: &str) -> Result<Element, String> {
        let xml = format!("<stream:stream {}/>", self.vars.text(text, Escaping::Xml)?);
        let mut elements = parse_fragment(&xml).map_err(|why| format!("bad attributes: {why}"))?;
        elements.pop().ok_or_else(|| "no attributes".to_owned())
    }

    /// `receives stream error: …`, with everything that has to follow it.
    pub(super) async fn receive_stream_error(
        &mut self,
        who: &str,
        conditions: &[String],
        after_header: bool,
    ) -> Result<(), String> {
        if after_header {
            self.receive_header(who, "").await?;
        }
        let wanted = format!("stream error {}", conditions.join(" | "));
        let received = self.next(who, STEP_S, &[]).await?;
        let fits = |element: &Element| {
            element.is(STREAM, "error")
                && conditions.iter().any(|condition| element.child(STREAM_ERRORS, condition).is_some())
        };
        match &received {
            Some(Received::Element(element)) if fits(element) => {}
            other => return Err(expected(&wanted, &describe(other.as_ref()))),
        }
        self.receive_stream_close(who).await?;
        self.see_closed(who).await
    }

    /// `receives the stream close`
    pub(super) async fn receive_stream_close(&mut self, who: &str) -> Result<(), String> {
        match self.next(who, STEP_S, &[]).await? {
            Some(Received::StreamClose) => Ok(()),
            other => Err(expected("</stream:stream>", &describe(other.as_ref()))),
        }
    }

    /// `sees the connection closed`
    pub(super) async fn see_closed(&mut self, who: &str) -> Result<(), String> {
        self.client(who)?.jid = None;
        match self.next(who, STEP_S, &[]).await? {
            Some(Received::Closed(_)) => Ok(()),
            other => Err(expected("the end of the connection", &describe(other.as_ref()))),
        }
    }

    /// A payload as it is to be shown: with its variables, where they are known.
    fn shown(&self, payload: &str) -> String {
        self.vars.text(payload, Escaping::Xml).unwrap_or_else(|_| payload.to_owned())
    }
}

fn is_answer(received: &Received, id: &str) -> bool {
    match received {
        Received::Element(element) => {
            element.is(CLIENT, "iq")
                && element.attribute("id") == Some(id)
                && matches!(element.attribute("type"), Some("result" | "error"))
        }
        _ => false,
    }
}

/// Templates to elements, each to one.
fn match_all(templates: &[Template], elements: &[Element]) -> Result<Vec<Captures>, String> {
    let mut matching = Matching::new(elements.len());
    for template in templates {
        let tried: Vec<_> = elements.iter().map(|element| template.check(element)).collect();
        if !matching.add(tried.iter().map(Result::is_ok).collect()) {
            let told = elements.iter().zip(&tried).map(|(element, tried)| {
                let why = tried.as_ref().err().map_or("which another template has taken", String::as_str);
                format!("\n      {element}: {why}")
            });
            return Err(format!("nothing fits <{template}>:{}", told.collect::<String>()));
        }
    }
    let pairs = elements.iter().zip(&matching.owners);
    pairs.filter_map(|(element, owner)| owner.map(|number| templates[number].check(element))).collect()
}

fn expected(wanted: &str, came: &str) -> String {
    format!("expected {wanted}\n      but {came}")
}
