//! First-level elements that are not stanzas, and the way from canonical bytes to a tree.

use minidom::Element;

use crate::ns;
use crate::payload::Payload;
#[cfg(test)]
use crate::tree::tree;
use crate::writer::XmlWriter;

/// A first-level element that is not a stanza (`<starttls/>`, `<auth/>`, `<r/>` …): what negotiation is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonza {
    /// Local name.
    pub name: Box<str>,
    /// Namespace.
    pub namespace: Box<str>,
    /// Attributes without a namespace, in document order, as plain (unescaped) text.
    pub attributes: Vec<(Box<str>, String)>,
    /// Its content.
    pub payload: Payload,
}

impl Nonza {
    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        &*self.name == name && &*self.namespace == namespace
    }

    /// The value of an attribute.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.as_str())
    }

    /// The character data directly inside, if it holds no elements.
    pub fn text(&self) -> String {
        if self.payload.children().is_empty() {
            crate::text::unescape(self.payload.as_str())
        } else {
            String::new()
        }
    }
}

/// Writes a tree in canonical form. Trees speak `jabber:client` where they mean the content namespace of a stream.
pub fn write_tree(element: &Element, writer: &mut XmlWriter) {
    match element.ns().as_str() {
        ns::CLIENT if writer.in_content() => writer.open_content(element.name()),
        namespace => writer.open(element.name(), namespace),
    };
    for ((namespace, name), value) in element.attrs() {
        match namespace.as_str() {
            "" => writer.attr(name.as_str(), value),
            ns::XML => writer.attr(&format!("xml:{}", name.as_str()), value),
            namespace => writer.attr_ns(namespace, name.as_str(), value),
        };
    }
    for node in element.nodes() {
        match node {
            minidom::Node::Element(child) => write_tree(child, writer),
            minidom::Node::Text(text) => {
                writer.text(text);
            }
        }
    }
    writer.close();
}

impl From<&Element> for Payload {
    fn from(element: &Element) -> Self {
        let mut writer = XmlWriter::new();
        write_tree(element, &mut writer);
        writer.into_payload()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_survives_the_way_there_and_back() {
        let source = "<a xmlns='urn:a' xml:lang='de' k='1'>t&lt;<b xmlns='urn:b'/><c/></a>";
        let payload = Payload::from(&tree(source, "jabber:client").unwrap());
        assert_eq!(payload.as_str(), "<a xmlns='urn:a' k='1' xml:lang='de'>t&lt;<b xmlns='urn:b'/><c/></a>");
    }
}
