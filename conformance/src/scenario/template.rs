//! Templates: what a received element has to look like. The rules stand in `conformance/README.md`.

use super::matching::Matching;
use super::rule::{Captures, Rule, shorten};
use crate::xml::{CLIENT, Element, SASL, STANZA_ERRORS, STREAM, STREAM_ERRORS, escape, parse_fragment};

/// Additions of other specifications that any server may make: they do not count unless a template names them.
const WELCOME: &[(&str, &str)] =
    &[("urn:xmpp:sid:0", "stanza-id"), ("vcard-temp:x:update", "x"), ("urn:xmpp:mam:tmp", "archived")];

/// When presence was sent, XEP-0203: an answer to a probe may tell it (RFC 6121 §4.3.2).
const DELAY: &str = "urn:xmpp:delay";

/// An element to compare with.
#[derive(Debug)]
pub(crate) struct Template {
    ns: String,
    name: String,
    attributes: Vec<((String, String), Rule)>,
    text: Option<Rule>,
    /// All of these are there.
    children: Vec<Template>,
    /// These may be there.
    maybe: Vec<Template>,
    /// None of these is there.
    not: Vec<Template>,
    /// Others may be there.
    any: bool,
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} xmlns={:?}", self.name, self.ns)?;
        self.attributes.iter().try_for_each(|((_, name), rule)| write!(f, " {name}={rule:?}"))
    }
}

impl Template {
    /// All templates of a payload whose variables are filled in.
    ///
    /// # Errors
    /// Bad XML or an unknown rule.
    pub(crate) fn parse_all(xml: &str) -> Result<Vec<Self>, String> {
        parse_fragment(xml)?.iter().map(Self::new).collect()
    }

    fn new(element: &Element) -> Result<Self, String> {
        let mut template = Self {
            ns: element.ns.clone(),
            name: element.name.clone(),
            attributes: Vec::new(),
            text: None,
            children: Vec::new(),
            maybe: Vec::new(),
            not: Vec::new(),
            any: false,
        };
        for (name, value) in &element.attributes {
            template.attributes.push((name.clone(), Rule::new(value)?));
        }
        for child in element.children() {
            match child.name.as_str() {
                "any" if child.nodes.is_empty() && child.attributes.is_empty() => template.any = true,
                "maybe" => template.maybe.extend(Self::inside(child)?),
                "not" => template.not.extend(Self::inside(child)?),
                _ => template.children.push(Self::new(child)?),
            }
        }
        let text = element.text();
        if !text.trim().is_empty() {
            template.text = Some(Rule::new(&text)?);
        }
        Ok(template)
    }

    fn inside(group: &Element) -> Result<Vec<Self>, String> {
        group.children().map(Self::new).collect()
    }

    /// Compares with an element that was received.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn check(&self, element: &Element) -> Result<Captures, String> {
        let mut captures = Captures::new();
        self.check_into(element, &mut captures)?;
        Ok(captures)
    }

    fn check_into(&self, element: &Element, captures: &mut Captures) -> Result<(), String> {
        let place = &self.name;
        if !element.is(&self.ns, &self.name) {
            return Err(format!(
                "it is <{} xmlns=\"{}\">, expected <{place} xmlns=\"{}\">",
                element.name, element.ns, self.ns
            ));
        }
        for (name, rule) in &self.attributes {
            let value = element.attributes.get(name).map(String::as_str);
            rule.check(value, captures).map_err(|why| format!("{place}: attribute {} {why}", name.1))?;
        }
        self.check_text(element, captures).map_err(|why| format!("{place}: text {why}"))?;
        self.check_children(element, captures).map_err(|why| format!("{place}: {why}"))
    }

    fn check_text(&self, element: &Element, captures: &mut Captures) -> Result<(), String> {
        let text = element.text();
        match &self.text {
            Some(rule) => rule.check(Some(&text), captures),
            None if self.any || text.trim().is_empty() => Ok(()),
            None => Err(format!("{:?} is not expected", shorten(&text))),
        }
    }

    fn check_children(&self, element: &Element, captures: &mut Captures) -> Result<(), String> {
        let children: Vec<&Element> = element.children().collect();
        if let Some(bad) =
            children.iter().find(|child| self.not.iter().any(|template| template.check(child).is_ok()))
        {
            return Err(format!("{bad} must not be there"));
        }
        let mut matching = Matching::new(children.len());
        // Each pair is compared once: doing it again for the captures would double the work at every level.
        let mut kept: Vec<Vec<Result<Captures, String>>> = Vec::new();
        for (number, template) in self.children.iter().chain(&self.maybe).enumerate() {
            let tried: Vec<_> = children.iter().map(|child| template.check(child)).collect();
            let required = number < self.children.len();
            if !matching.add(tried.iter().map(Result::is_ok).collect()) && required {
                return Err(missing(template, &children, &tried));
            }
            kept.push(tried);
        }
        for (number, (child, owner)) in children.iter().zip(&matching.owners).enumerate() {
            match owner.map(|template| &kept[template][number]) {
                Some(found) => captures.extend(found.iter().flatten().map(|(k, v)| (k.clone(), v.clone()))),
                None if self.any || self.welcomes(element, child) => {}
                None => return Err(format!("{} is not expected", shorten(&child.to_string()))),
            }
        }
        Ok(())
    }

    /// Children that may always be there.
    fn welcomes(&self, parent: &Element, child: &Element) -> bool {
        let is_error_stanza = parent.ns == CLIENT && parent.attribute("type") == Some("error");
        let in_stanza_error = parent.is(CLIENT, "error");
        let in_stream_error = parent.is(STREAM, "error");
        let delayed_presence = parent.is(CLIENT, "presence") && child.is(DELAY, "delay");
        let detail = child.name == "text" || (child.ns != STANZA_ERRORS && child.ns != STREAM_ERRORS);
        (is_error_stanza && !child.is(CLIENT, "error"))
            || ((in_stanza_error || in_stream_error) && detail)
            || delayed_presence
            || (parent.is(SASL, "failure") && child.is(SASL, "text"))
            || WELCOME.iter().any(|(ns, name)| child.is(ns, name))
    }
}

fn missing(template: &Template, children: &[&Element], tried: &[Result<Captures, String>]) -> String {
    let wanted = format!("<{} xmlns=\"{}\">", template.name, escape(&template.ns));
    let closest = children.iter().zip(tried).find(|(child, _)| child.is(&template.ns, &template.name));
    match closest {
        Some((_, Err(why))) => format!("no child fits {wanted}: {why}"),
        Some((_, Ok(_))) => format!("one {wanted} too few"),
        None => format!("no child {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, xml: &str) -> Result<Captures, String> {
        let element = parse_fragment(xml).unwrap().remove(0);
        Template::parse_all(template).unwrap()[0].check(&element)
    }

    #[track_caller]
    fn fits(template: &str, xml: &str) {
        assert_eq!(check(template, xml).err(), None, "{template} against {xml}");
    }

    #[track_caller]
    fn differs(template: &str, xml: &str) {
        assert!(check(template, xml).is_err(), "{template} fits {xml}");
    }

    #[test]
    fn attributes_that_are_written_must_match() {
        fits("<message to='a'/>", "<message to='a' from='b'/>");
        differs("<message to='a'/>", "<message to='b'/>");
        differs("<message to='a'/>", "<message/>");
        fits("<message xml:lang='de'/>", "<message xml:lang='de'/>");
        differs("<message xml:lang='de'/>", "<message lang='de'/>");
    }

    #[test]
    fn rules() {
        fits("<a b='!any'/>", "<a b=''/>");
        differs("<a b='!any'/>", "<a/>");
        fits("<a b='!absent'/>", "<a/>");
        differs("<a b='!absent'/>", "<a b='1'/>");
        fits("<a b='!in x|y'/>", "<a b='y'/>");
        differs("<a b='!in x|y'/>", "<a b='x|y'/>");
        fits("<a b='!not x'/>", "<a/>");
        differs("<a b='!not x'/>", "<a b='x'/>");
        fits("<a b='!maybe x'/>", "<a/>");
        differs("<a b='!maybe x'/>", "<a b='y'/>");
        fits("<a b='!!x'/>", "<a b='!x'/>");
        differs("<a>!re [0-9]+</a>", "<a>12x</a>");
        assert!(Template::parse_all("<a b='!bogus'/>").is_err());
        assert!(Template::parse_all("<a b='!re ('/>").is_err());
    }

    #[test]
    fn values_are_kept() {
        let captures = check("<a b='!set b'>!re id-(?&lt;n>[0-9]+)</a>", "<a b='x'>id-12</a>").unwrap();
        assert_eq!(captures["b"], "x");
        assert_eq!(captures["n"], "12");
    }

    #[test]
    fn children_are_a_set() {
        fits("<a><b/><c/></a>", "<a><c/><b/></a>");
        differs("<a><b/></a>", "<a><b/><b/></a>");
        differs("<a><b/><b/></a>", "<a><b/></a>");
        differs("<a/>", "<a><b/></a>");
        differs("<a><b/></a>", "<a><b xmlns='urn:x'/></a>");
        fits("<a><b/><any/></a>", "<a><b/><c/>text</a>");
        differs("<a><b/><any/></a>", "<a><c/></a>");
        fits("<a><maybe><c/></maybe></a>", "<a/>");
        fits("<a><maybe><c/></maybe></a>", "<a><c/></a>");
        differs("<a><maybe><c/></maybe></a>", "<a><d/></a>");
        differs("<a><any/><not><c/></not></a>", "<a><c/></a>");
        fits("<a><any/><not><c d='1'/></not></a>", "<a><c/></a>");
    }

    #[test]
    fn a_greedy_choice_is_taken_back() {
        fits("<a><b x='!any'/><b x='1'/></a>", "<a><b x='1'/><b x='2'/></a>");
        fits("<a><b x='1'/><b x='!any'/></a>", "<a><b x='2'/><b x='1'/></a>");
        let captures = check("<a><b x='!set x'/><b x='1'/></a>", "<a><b x='1'/><b x='2'/></a>").unwrap();
        assert_eq!(captures["x"], "2");
    }

    #[test]
    fn text_is_exact() {
        fits("<b>hi there</b>", "<b>hi there</b>");
        differs("<b>hi</b>", "<b>hi </b>");
        differs("<b/>", "<b>hi</b>");
        fits("<b/>", "<b> \n</b>");
        fits("<b>!any</b>", "<b/>");
    }

    #[test]
    fn presence_may_be_stamped() {
        fits("<presence/>", "<presence><delay xmlns='urn:xmpp:delay' stamp='x'/></presence>");
        differs("<message/>", "<message><delay xmlns='urn:xmpp:delay' stamp='x'/></message>");
    }

    #[test]
    fn errors_may_carry_details() {
        let template = "<message type='error'><error type='cancel'>\
                        <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>";
        fits(
            template,
            "<message type='error'><body>x</body><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>t</text><own xmlns='urn:x'/></error></message>",
        );
        differs(
            template,
            "<message type='error'><error type='cancel'>\
             <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        );
        differs(
            template,
            "<message><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        );
        differs(
            template,
            "<message type='error'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        );
        fits(
            "<message><body>x</body></message>",
            "<message><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' id='1'/></message>",
        );
        fits(
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
              <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>t</text></stream:error>",
        );
    }
}
