//! What an independent parser makes of a document: rxml, which takes XMPP's XML and no other.

use std::collections::BTreeMap;

use hearth_wire::Element;
use rxml::error::EndOrError;
use rxml::{Event, Parse, Parser};

/// An element with everything that means something, and nothing that does not (prefixes, order of attributes …).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// By namespace and name.
    pub(crate) attributes: BTreeMap<(String, String), String>,
    pub(crate) content: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Tree(Tree),
    /// Never empty, never next to another text.
    Text(String),
}

impl Tree {
    fn push_text(&mut self, text: &str) {
        match self.content.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => self.content.push(Node::Text(text.to_owned())),
        }
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|node| match node {
            Node::Tree(tree) => Some(tree),
            Node::Text(_) => None,
        })
    }
}

/// A document as far as it goes.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The root, with its closed children.
    pub(crate) root: Option<Tree>,
    pub(crate) is_closed: bool,
    pub(crate) error: Option<rxml::Error>,
}

/// Reads what there is. Line ends are normalised first (XML 1.0 §2.11): rxml loses a CR in front of a closing quote.
pub(crate) fn read(bytes: &[u8]) -> Document {
    let mut bytes = bytes.to_vec();
    let mut before = 0;
    bytes.retain_mut(|byte| {
        let is_second = before == b'\r' && *byte == b'\n';
        before = std::mem::replace(byte, if *byte == b'\r' { b'\n' } else { *byte });
        !is_second
    });
    read_normalised(&bytes)
}

fn read_normalised(mut bytes: &[u8]) -> Document {
    let mut parser = Parser::new();
    let mut document = Document::default();
    let mut open: Vec<Tree> = Vec::new();
    loop {
        match parser.parse(&mut bytes, false) {
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (namespace, name), attributes))) => open.push(Tree {
                namespace: namespace.to_string(),
                name: name.to_string(),
                attributes: attributes
                    .iter()
                    .map(|((namespace, name), value)| {
                        ((namespace.to_string(), name.to_string()), value.clone())
                    })
                    .collect(),
                content: Vec::new(),
            }),
            Ok(Some(Event::Text(_, text))) => open.last_mut().expect("text is inside").push_text(&text),
            Ok(Some(Event::EndElement(_))) => {
                let closed = open.pop().expect("what ends has begun");
                match open.last_mut() {
                    Some(parent) => parent.content.push(Node::Tree(closed)),
                    None => {
                        document.is_closed = true;
                        document.root = Some(closed);
                    }
                }
            }
            Ok(None) | Err(EndOrError::NeedMoreData) => break,
            Err(EndOrError::Error(error)) => {
                document.error = Some(error);
                break;
            }
        }
    }
    if document.root.is_none() && !open.is_empty() {
        document.root = Some(open.swap_remove(0));
    }
    document
}

/// The tree that our handlers are given.
impl From<&Element> for Tree {
    fn from(element: &Element) -> Self {
        let mut tree = Self {
            namespace: element.ns(),
            name: element.name().to_owned(),
            attributes: element
                .attrs()
                .into_iter()
                .map(|((namespace, name), value)| {
                    ((namespace.to_string(), name.to_string()), value.to_owned())
                })
                .collect(),
            content: Vec::new(),
        };
        for node in element.nodes() {
            match node {
                minidom::Node::Element(child) => tree.content.push(Node::Tree(child.into())),
                minidom::Node::Text(text) => tree.push_text(text),
            }
        }
        tree
    }
}
