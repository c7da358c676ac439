//! A tree of elements, attributes and text with every name resolved to its namespace.

use std::collections::BTreeMap;
use std::fmt;

/// One element with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) ns: String,
    pub(crate) name: String,
    /// By namespace (empty for none) and name.
    pub(crate) attributes: BTreeMap<(String, String), String>,
    pub(crate) nodes: Vec<Node>,
}

/// What an element may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub(crate) fn new(ns: &str, name: &str) -> Self {
        Self { ns: ns.to_owned(), name: name.to_owned(), attributes: BTreeMap::new(), nodes: Vec::new() }
    }

    pub(crate) fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// The value of an attribute without a namespace.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(&(String::new(), name.to_owned())).map(String::as_str)
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn child(&self, ns: &str, name: &str) -> Option<&Element> {
        self.children().find(|child| child.is(ns, name))
    }

    /// All text directly inside, joined.
    pub(crate) fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// Adds text, joined with text that came just before.
    pub(crate) fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    fn write(&self, inherited_ns: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The stream's own elements are written with the customary prefix, so that they read as in the RFC.
        let name = if self.ns == super::STREAM { format!("stream:{}", self.name) } else { self.name.clone() };
        write!(f, "<{name}")?;
        let mut content_ns = inherited_ns;
        if self.ns == super::STREAM {
            write!(f, " xmlns:stream=\"{}\"", super::STREAM)?;
        } else if self.ns != inherited_ns {
            write!(f, " xmlns=\"{}\"", escape(&self.ns))?;
            content_ns = &self.ns;
        }
        for (number, ((ns, attribute), value)) in self.attributes.iter().enumerate() {
            match ns.as_str() {
                "" => write!(f, " {attribute}=\"{}\"", escape(value))?,
                super::XML => write!(f, " xml:{attribute}=\"{}\"", escape(value))?,
                other => write!(
                    f,
                    " xmlns:a{number}=\"{}\" a{number}:{attribute}=\"{}\"",
                    escape(other),
                    escape(value)
                )?,
            }
        }
        if self.nodes.is_empty() {
            return f.write_str("/>");
        }
        f.write_str(">")?;
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write(content_ns, f)?,
                Node::Text(text) => f.write_str(&escape(text))?,
            }
        }
        write!(f, "</{name}>")
    }
}

impl fmt::Display for Element {
    /// XML with its namespaces declared, whatever surrounds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write("", f)
    }
}

/// Text or an attribute's value, escaped for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::parse_fragment;

    fn check(xml: &str, written: &str) {
        let elements = parse_fragment(xml).unwrap();
        assert_eq!(elements[0].to_string(), written);
    }

    #[test]
    fn namespaces_are_written_out() {
        check(
            "<iq><query xmlns='jabber:iq:roster'><item/></query></iq>",
            "<iq xmlns=\"jabber:client\"><query xmlns=\"jabber:iq:roster\"><item/></query></iq>",
        );
        check("<stream:error/>", "<stream:error xmlns:stream=\"http://etherx.jabber.org/streams\"/>");
        check("<p:x xmlns:p='urn:x'><body/></p:x>", "<x xmlns=\"urn:x\"><body xmlns=\"jabber:client\"/></x>");
    }

    #[test]
    fn children_of_a_stream_element_keep_their_namespace() {
        check(
            "<stream:features><a xmlns='urn:a'/><message/></stream:features>",
            "<stream:features xmlns:stream=\"http://etherx.jabber.org/streams\"><a xmlns=\"urn:a\"/>\
             <message xmlns=\"jabber:client\"/></stream:features>",
        );
    }

    #[test]
    fn text_survives() {
        check("<b a='&lt;&quot;'>&amp; x</b>", "<b xmlns=\"jabber:client\" a=\"&lt;&quot;\">&amp; x</b>");
    }
}
