//! The content of a stanza: canonical bytes that we wrote, with an index of the outermost elements.
//!
//! A payload is shared between all recipients and never rendered again; a tree is built from one child only
//! when a handler asks for it.

use smallvec::SmallVec;

use crate::text;
use crate::tree;
use minidom::Element;

/// Enough for the children of a usual chat message.
pub(crate) type Children = SmallVec<[Child; 6]>;

/// One outermost element of a payload: where it stands, and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// First byte. Stanzas are far below 4 GiB (`FramerLimits`).
    start: u32,
    /// One past the last byte.
    end: u32,
    /// Length of the local name, which stands behind the `<`.
    name_len: u32,
    /// Length of the namespace, which stands in the declaration behind the name; [`CONTENT`] without one.
    namespace_len: u32,
}

/// What a declaration takes in front of its namespace.
pub(crate) const DECLARATION: &str = " xmlns='";

/// An element of the content namespace, which declares none.
const CONTENT: u32 = u32::MAX;

impl Child {
    pub(crate) fn new(start: usize, end: usize, name_len: usize, namespace_len: Option<usize>) -> Self {
        let namespace_len = namespace_len.map_or(CONTENT, |len| len as u32);
        Self { start: start as u32, end: end as u32, name_len: name_len as u32, namespace_len }
    }

    /// The same child when its element begins at `start`.
    pub(crate) fn at(self, start: usize) -> Self {
        Self { start: start as u32, end: start as u32 + (self.end - self.start), ..self }
    }

    /// Bytes in front of it.
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }
}

/// The canonical content of an element: text and elements, with an index of the elements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    bytes: Box<str>,
    children: Children,
}

impl Payload {
    /// No content.
    pub fn empty() -> Self {
        Self::default()
    }

    pub(crate) fn from_parts(bytes: Box<str>, children: Children) -> Self {
        Self { bytes, children }
    }

    /// The canonical bytes.
    pub fn as_str(&self) -> &str {
        &self.bytes
    }

    /// The outermost elements in document order.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The only outermost element, if there is exactly one.
    pub fn only_child(&self) -> Option<Child> {
        match self.children.as_slice() {
            [child] => Some(*child),
            _ => None,
        }
    }

    /// Local name of a child.
    pub fn name(&self, child: Child) -> &str {
        self.part(child.start() + 1, child.name_len)
    }

    /// Namespace of a child, as it is written (escaped, which matters to no namespace that a specification defines);
    /// `None` is the content namespace.
    pub fn namespace(&self, child: Child) -> Option<&str> {
        let at = child.start() + 1 + child.name_len as usize + DECLARATION.len();
        (child.namespace_len != CONTENT).then(|| self.part(at, child.namespace_len))
    }

    fn part(&self, start: usize, len: u32) -> &str {
        self.bytes.get(start..start + len as usize).unwrap_or_default()
    }

    /// The first child with this name and namespace.
    pub fn find(&self, name: &str, namespace: &str) -> Option<Child> {
        self.children.iter().copied().find(|&c| self.namespace(c) == Some(namespace) && self.name(c) == name)
    }

    /// The first child of the content namespace with this name (`body`, `show` …).
    pub fn find_content(&self, name: &str) -> Option<Child> {
        self.children.iter().copied().find(|&c| c.namespace_len == CONTENT && self.name(c) == name)
    }

    /// Whether a child with this name and namespace exists.
    pub fn has(&self, name: &str, namespace: &str) -> bool {
        self.find(name, namespace).is_some()
    }

    /// Whether any child is of this namespace.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.children.iter().any(|&c| self.namespace(c) == Some(namespace))
    }

    /// The canonical bytes of one child.
    pub fn raw(&self, child: Child) -> &str {
        self.part(child.start(), child.end - child.start)
    }

    /// The character data of a child; empty if it holds elements.
    pub fn text(&self, child: Child) -> String {
        let raw = self.raw(child);
        // neither `<` nor `>` stands in canonical text or attributes
        let inside = raw.find('>').zip(raw.rfind("</")).and_then(|(start, end)| raw.get(start + 1..end));
        inside.filter(|inside| !inside.contains('<')).map(text::unescape).unwrap_or_default()
    }

    /// Builds the tree of one child; the content namespace is given as `content`.
    pub fn element(&self, child: Child, content: &str) -> Option<Element> {
        tree::tree(self.raw(child), content)
    }

    /// A payload of the children for which `keep` answers true; `None` when all are kept.
    pub fn retain(&self, mut keep: impl FnMut(&Self, Child) -> bool) -> Option<Self> {
        let kept: Children = self.children.iter().copied().filter(|&c| keep(self, c)).collect();
        if kept.len() == self.children.len() {
            return None;
        }
        let mut bytes = String::with_capacity(self.bytes.len());
        let children = kept
            .iter()
            .map(|&child| {
                let start = bytes.len();
                bytes.push_str(self.raw(child));
                child.at(start)
            })
            .collect();
        Some(Self { bytes: bytes.into_boxed_str(), children })
    }
}

#[cfg(test)]
mod tests {
    use crate::writer::XmlWriter;

    #[test]
    fn children_are_found_by_name_and_namespace() {
        let mut w = XmlWriter::new();
        w.open_content("body").text("a & b").close();
        w.open("x", "urn:x").attr("k", "v").close();
        w.open("y", "").open("z", "").close().close();
        let payload = w.into_payload();
        let body = payload.find_content("body").unwrap();
        assert_eq!(payload.text(body), "a & b");
        assert!(payload.has("x", "urn:x") && !payload.has("body", "urn:x"));
        let x = payload.element(payload.find("x", "urn:x").unwrap(), "jabber:client").unwrap();
        assert_eq!(x.attr("k"), Some("v"));
        let y = payload.find("y", "").unwrap();
        assert_eq!((payload.raw(y), payload.text(y).as_str()), ("<y xmlns=''><z/></y>", ""));
    }

    #[test]
    fn dropping_a_child_keeps_the_index_true() {
        let mut w = XmlWriter::new();
        w.open("a", "urn:a").close().open("b", "urn:b").close().open_content("body").text("t").close();
        let payload = w.into_payload();
        let rest = payload.retain(|p, c| p.name(c) != "a").unwrap();
        assert_eq!(rest.as_str(), "<b xmlns='urn:b'/><body>t</body>");
        assert_eq!(rest.text(rest.find_content("body").unwrap()), "t");
        assert!(rest.has("b", "urn:b"));
        assert!(rest.retain(|_, _| true).is_none());
    }
}
