//! The tree of one canonical element, for the handlers that ask for one.
//!
//! minidom's own reader would do for small elements only: its tokens end at 8 KiB. What is read here we wrote
//! ourselves, so nothing has to be checked again; it is taken apart by quick-xml.

use minidom::Element;
use minidom::rxml::{Namespace, NcName};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::ns;
use crate::text;

/// Prefixes in force: prefix, namespace, depth of the element that declares it.
type Prefixes = Vec<(String, String, usize)>;

/// Builds the tree of one canonical element whose content namespace is `content`.
pub(crate) fn tree(canonical: &str, content: &str) -> Option<Element> {
    let mut reader = Reader::from_str(canonical);
    let mut open: Vec<Element> = Vec::new();
    let mut prefixes = Prefixes::new();
    loop {
        let ended = match reader.read_event().ok()? {
            Event::Start(tag) => {
                open.push(element(&tag, open.last(), open.len(), content, &mut prefixes)?);
                continue;
            }
            Event::Empty(tag) => element(&tag, open.last(), open.len(), content, &mut prefixes)?,
            Event::End(_) => open.pop()?,
            Event::Text(data) => {
                open.last_mut()?.append_text(&*data);
                continue;
            }
            Event::GeneralRef(reference) => {
                open.last_mut()?.append_text(text::unescape(&format!("&{};", &*reference)));
                continue;
            }
            _ => return None,
        };
        prefixes.retain(|(_, _, depth)| *depth < open.len());
        match open.last_mut() {
            Some(parent) => {
                parent.append_child(ended);
            }
            None => return Some(ended),
        }
    }
}

/// One element without its content. A canonical element has no prefix: it is of the namespace it declares, or of its
/// parent's.
fn element(
    tag: &BytesStart<'_>,
    parent: Option<&Element>,
    depth: usize,
    content: &str,
    prefixes: &mut Prefixes,
) -> Option<Element> {
    let mut namespace = None;
    let mut attributes = Vec::new();
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.ok()?;
        let value = text::unescape(&attribute.value);
        match attribute.key.0.split_once(':') {
            None if attribute.key.0 == "xmlns" => namespace = Some(value),
            Some(("xmlns", prefix)) => prefixes.push((prefix.to_owned(), value, depth)),
            name => attributes.push((name.unwrap_or(("", attribute.key.0)), value)),
        }
    }
    let namespace = namespace.unwrap_or_else(|| parent.map_or_else(|| content.to_owned(), Element::ns));
    let mut element = Element::bare(tag.name().0, namespace);
    for ((prefix, local), value) in attributes {
        let namespace = match prefix {
            "" => Namespace::NONE,
            "xml" => Namespace::from(ns::XML),
            prefix => {
                let bound = prefixes.iter().rev().find(|(known, ..)| known == prefix)?;
                Namespace::from(bound.1.clone())
            }
        };
        element.set_attr(namespace, NcName::try_from(local).ok()?, value);
    }
    Some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_attributes_and_text_are_read_back() {
        let tree = tree(
            "<a xmlns='urn:a' k='1 &amp; 2' xml:lang='de'>x &lt; y<b><c xmlns='urn:c' xmlns:n0='urn:n' n0:k='v'/></b><d/></a>",
            "jabber:client",
        );
        let a = tree.unwrap();
        assert!(a.is("a", "urn:a"));
        assert_eq!((a.attr("k"), a.text().as_str()), (Some("1 & 2"), "x < y"));
        let c = a.get_child("b", "urn:a").unwrap().get_child("c", "urn:c").unwrap();
        assert_eq!(
            c.attrs().iter().next().map(|((ns, name), v)| (ns.as_str(), name.as_str(), v.as_str())),
            Some(("urn:n", "k", "v"))
        );
        assert!(a.get_child("d", "urn:a").is_some());
    }

    #[test]
    fn the_content_namespace_is_what_the_stream_says() {
        let body = tree("<body>hi</body>", "jabber:client").unwrap();
        assert!(body.is("body", "jabber:client"));
    }

    #[test]
    fn large_tokens_are_whole() {
        let long = "x".repeat(100_000);
        let tree = tree(&format!("<a xmlns='urn:a' k='{long}'>{long}</a>"), "jabber:client").unwrap();
        assert_eq!((tree.attr("k"), tree.text()), (Some(long.as_str()), long.clone()));
    }
}
