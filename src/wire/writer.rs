//! Writes XML in our canonical form: default namespaces only, single quotes, nothing superfluous.
//!
//! Everything that leaves the server is written here, so received bytes are never forwarded. The *content
//! namespace* (`jabber:client`, `jabber:server` …) is left to the stream that carries the result: elements of
//! it are written without `xmlns` where their parent is of it too.

use smallvec::SmallVec;

use crate::payload::{Child, Children, DECLARATION, Payload};
use crate::text::{self, Place};

/// A stretch of the output.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Appends a namespace and remembers where.
    fn escaped(namespace: &str, out: &mut String) -> Self {
        let start = out.len() as u32;
        text::escape(namespace, Place::Attribute, out);
        Self { start, end: out.len() as u32 }
    }

    /// Whether it is this namespace. What is written is escaped: with an `&` in it, equal text would not mean an equal
    /// namespace, and it is not taken for one.
    fn is(self, namespace: &str, out: &str) -> bool {
        out.get(self.start as usize..self.end as usize) == Some(namespace) && !namespace.contains('&')
    }
}

#[derive(Debug, Clone, Copy)]
struct Open {
    start: u32,
    name_len: u32,
    /// Where its namespace was declared, by itself or by an element around it; none: the content namespace.
    namespace: Option<Span>,
}

/// A writer of canonical XML. Elements nest by [`open`](Self::open) and [`close`](Self::close); what is closed on
/// the outermost level becomes a child of the [`Payload`].
#[derive(Debug, Default)]
pub struct XmlWriter {
    out: String,
    open: SmallVec<[Open; 4]>,
    children: Children,
    in_tag: bool,
    /// Of the tag just opened.
    prefixes: Prefixes,
}

impl XmlWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    /// Opens an element of a namespace; it is declared only where the parent's differs.
    pub fn open(&mut self, name: &str, namespace: &str) -> &mut Self {
        self.open_declares(name, namespace);
        self
    }

    /// The same; answers whether the namespace was declared.
    pub(crate) fn open_declares(&mut self, name: &str, namespace: &str) -> bool {
        let inherited =
            self.open.last().and_then(|open| open.namespace).filter(|at| at.is(namespace, &self.out));
        self.begin(name);
        let at = inherited.unwrap_or_else(|| {
            self.out.push_str(DECLARATION);
            let at = Span::escaped(namespace, &mut self.out);
            self.out.push('\'');
            at
        });
        if let Some(open) = self.open.last_mut() {
            open.namespace = Some(at);
        }
        inherited.is_none()
    }

    /// Opens an element of the content namespace. Only at the outermost level or inside another such element.
    pub fn open_content(&mut self, name: &str) -> &mut Self {
        debug_assert!(self.in_content());
        self.begin(name);
        self
    }

    /// Whether an element opened now could be of the content namespace.
    pub(crate) fn in_content(&self) -> bool {
        self.open.last().is_none_or(|open| open.namespace.is_none())
    }

    fn begin(&mut self, name: &str) {
        self.end_tag();
        let start = self.out.len() as u32;
        self.open.push(Open { start, name_len: name.len() as u32, namespace: None });
        self.out.push('<');
        self.out.push_str(name);
        self.in_tag = true;
        self.prefixes.0.clear();
    }

    /// Adds an attribute to the element just opened. `name` is `xml:lang` or has no prefix.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        self.attr_start("", name);
        text::escape(value, Place::Attribute, &mut self.out);
        self.out.push('\'');
        self
    }

    /// Adds an attribute if there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds an attribute of a namespace under a prefix of our own.
    pub fn attr_ns(&mut self, namespace: &str, name: &str, value: &str) -> &mut Self {
        self.attr_ns_declares(namespace, name, value);
        self
    }

    /// The same; answers whether a prefix was declared.
    pub(crate) fn attr_ns_declares(&mut self, namespace: &str, name: &str, value: &str) -> bool {
        debug_assert!(self.in_tag);
        self.prefixes.attr(&mut self.out, namespace, name, value)
    }

    fn attr_start(&mut self, prefix: &str, name: &str) {
        debug_assert!(self.in_tag);
        attr_start(prefix, name, &mut self.out);
    }

    /// Adds an attribute whose value `write` appends in canonical form. `prefix` is empty or `xml:`.
    pub(crate) fn attr_canonical<E>(
        &mut self,
        prefix: &str,
        name: &str,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        self.attr_start(prefix, name);
        write(&mut self.out)?;
        self.out.push('\'');
        Ok(())
    }

    /// Adds character data.
    pub fn text(&mut self, data: &str) -> &mut Self {
        if !data.is_empty() {
            self.end_tag();
            text::escape(data, Place::Text, &mut self.out);
        }
        self
    }

    /// Where character data in canonical form can be appended.
    pub(crate) fn text_sink(&mut self) -> &mut String {
        self.end_tag();
        &mut self.out
    }

    /// Adds a finished payload. The place must be of the content namespace.
    pub fn payload(&mut self, payload: &Payload) -> &mut Self {
        if payload.as_str().is_empty() {
            return self;
        }
        self.end_tag();
        let offset = self.out.len();
        self.out.push_str(payload.as_str());
        if self.open.is_empty() {
            self.children.extend(payload.children().iter().map(|child| child.at(offset + child.start())));
        }
        self
    }

    /// Closes the innermost element.
    pub fn close(&mut self) -> &mut Self {
        let Some(open) = self.open.pop() else { return self };
        let (start, name_len) = (open.start as usize, open.name_len as usize);
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            self.out.push_str("</");
            self.out.extend_from_within(start + 1..start + 1 + name_len);
            self.out.push('>');
        }
        if self.open.is_empty() {
            // on the outermost level a namespace other than the content's was declared by the element itself
            let namespace_len = open.namespace.map(|span| (span.end - span.start) as usize);
            self.children.push(Child::new(start, self.out.len(), name_len, namespace_len));
        }
        self
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }

    /// What is written so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// The result: the outermost elements with their index.
    pub fn into_payload(self) -> Payload {
        debug_assert!(self.open.is_empty());
        Payload::from_parts(self.out.into_boxed_str(), self.children)
    }

    /// The result as text.
    pub fn into_string(self) -> String {
        self.out
    }
}

/// Namespaces that one tag gave prefixes to, in their order: `n0`, `n1` …
#[derive(Debug, Default)]
pub(crate) struct Prefixes(SmallVec<[Span; 1]>);

impl Prefixes {
    /// Appends an attribute to the tag's text, and the declaration of its namespace if it was the first of it; answers
    /// whether it was.
    pub(crate) fn attr(&mut self, out: &mut String, namespace: &str, name: &str, value: &str) -> bool {
        let known = self.0.iter().position(|span| span.is(namespace, out));
        let prefix = format!("n{}:", known.unwrap_or(self.0.len()));
        if known.is_none() {
            attr_start("xmlns:", prefix.trim_end_matches(':'), out);
            self.0.push(Span::escaped(namespace, out));
            out.push('\'');
        }
        attr_start(&prefix, name, out);
        text::escape(value, Place::Attribute, out);
        out.push('\'');
        known.is_none()
    }
}

fn attr_start(prefix: &str, name: &str, out: &mut String) {
    out.push(' ');
    out.push_str(prefix);
    out.push_str(name);
    out.push_str("='");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_declared_only_where_they_change() {
        let mut w = XmlWriter::new();
        w.open("query", "urn:a")
            .attr("v", "1'2")
            .open("item", "urn:a")
            .close()
            .open("x", "urn:b")
            .text("<")
            .close()
            .close();
        assert_eq!(w.as_str(), "<query xmlns='urn:a' v='1&apos;2'><item/><x xmlns='urn:b'>&lt;</x></query>");
        let payload = w.into_payload();
        let child = payload.children()[0];
        assert_eq!((payload.name(child), payload.namespace(child)), ("query", Some("urn:a")));
    }

    #[test]
    fn content_elements_carry_no_namespace_but_foreign_children_do() {
        let mut w = XmlWriter::new();
        w.open("forwarded", "urn:f")
            .open("message", "jabber:client")
            .open("body", "jabber:client")
            .close()
            .close()
            .close();
        assert_eq!(
            w.as_str(),
            "<forwarded xmlns='urn:f'><message xmlns='jabber:client'><body/></message></forwarded>"
        );
        let mut w = XmlWriter::new();
        w.open_content("body").text("hi").close().open_content("thread").close();
        assert_eq!(w.as_str(), "<body>hi</body><thread/>");
        assert_eq!(w.into_payload().children().len(), 2);
    }

    #[test]
    fn attributes_of_a_namespace_get_a_prefix_of_ours() {
        let mut w = XmlWriter::new();
        w.open("a", "urn:a").attr_ns("urn:b", "k", "v").attr_ns("urn:b", "l", "").attr_ns("urn:c", "k", "");
        w.open("b", "urn:a").attr_ns("urn:c", "k", "v").close().close();
        assert_eq!(
            w.as_str(),
            "<a xmlns='urn:a' xmlns:n0='urn:b' n0:k='v' n0:l='' xmlns:n1='urn:c' n1:k=''>\
             <b xmlns:n0='urn:c' n0:k='v'/></a>"
        );
    }

    #[test]
    fn a_namespace_is_not_taken_for_the_escaped_form_of_another() {
        let mut w = XmlWriter::new();
        w.open("a", "u&v").open("b", "u&amp;v").open("c", "u&amp;v").close().close().close();
        assert_eq!(w.as_str(), "<a xmlns='u&amp;v'><b xmlns='u&amp;amp;v'><c xmlns='u&amp;amp;v'/></b></a>");
    }
}
