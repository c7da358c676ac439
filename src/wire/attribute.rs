//! One start tag, split into its name, attributes and namespace declarations: XML 1.0 §3.1, XML names §3, §7.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::BytesStart;
use smallvec::SmallVec;

use crate::misbehaved::Misbehaved;
use crate::ns;
use crate::text;

/// More attributes than this on one element serve no protocol; the check for doubles is quadratic in them.
pub(crate) const ATTRIBUTES_MAX: u32 = 48;

/// A tag's parts as received, still escaped but for the namespaces.
#[derive(Debug, Default)]
pub(crate) struct Tag<'a> {
    pub(crate) name: Name<'a>,
    /// All attributes that are no declarations.
    pub(crate) attributes: SmallVec<[Attribute<'a>; 6]>,
    /// What it declares: prefix (empty: the default) and namespace.
    pub(crate) declared: SmallVec<[(&'a str, Cow<'a, str>); 2]>,
    /// `<a/>`.
    pub(crate) empty: bool,
}

/// A name, perhaps with a prefix; both checked to be NCNames.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    whole: &'a str,
    /// Where the local part begins; 0 without a prefix.
    local_at: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) value: &'a str,
}

impl<'a> Name<'a> {
    fn parse(whole: &'a str) -> Result<Self, Misbehaved> {
        if text::is_name(whole) {
            return Ok(Self { whole, local_at: 0 });
        }
        match whole.split_once(':') {
            Some((prefix, local)) if text::is_name(prefix) && text::is_name(local) => {
                Ok(Self { whole, local_at: prefix.len() + 1 })
            }
            _ => Err(Misbehaved::Name),
        }
    }

    /// Prefix, colon and local part as they stand in the tag.
    pub(crate) fn whole(&self) -> &'a str {
        self.whole
    }

    /// Empty if there is none.
    pub(crate) fn prefix(&self) -> &'a str {
        &self.whole[..self.local_at.saturating_sub(1)]
    }

    pub(crate) fn has_prefix(&self) -> bool {
        self.local_at != 0
    }

    pub(crate) fn local(&self) -> &'a str {
        &self.whole[self.local_at..]
    }
}

impl<'a> Tag<'a> {
    /// Splits the inside of a start tag (`name a='b'/`, without the angle brackets) into an empty one, which stays where
    /// it is: it is too large to be handed around.
    pub(crate) fn read(&mut self, inside: &'a str) -> Result<(), Misbehaved> {
        let inside = match inside.strip_suffix('/') {
            Some(inside) => {
                self.empty = true;
                inside
            }
            None => inside,
        };
        let name_end = inside.bytes().position(is_space).unwrap_or(inside.len());
        self.name = Name::parse(&inside[..name_end])?;
        if name_end == inside.len() {
            return Ok(());
        }
        // doubles are looked for below, among few and without an allocation
        for attribute in BytesStart::from_content(inside, name_end).attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| Misbehaved::Tag)?;
            let (name, value) = (place(inside, attribute.key.0)?, place(inside, &attribute.value)?);
            // quick-xml takes `a='1'b='2'`; XML wants white space between (XML 1.0 §3.1)
            if !inside.as_bytes().get(name.start.wrapping_sub(1)).copied().is_some_and(is_space) {
                return Err(Misbehaved::Tag);
            }
            self.add(Attribute { name: Name::parse(&inside[name])?, value: &inside[value] })?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn parse(inside: &'a str) -> Result<Self, Misbehaved> {
        let mut tag = Self::default();
        tag.read(inside).map(|()| tag)
    }

    fn add(&mut self, attribute: Attribute<'a>) -> Result<(), Misbehaved> {
        if self.attributes.len() + self.declared.len() >= ATTRIBUTES_MAX as usize {
            return Err(Misbehaved::TooManyAttributes(ATTRIBUTES_MAX));
        }
        let name = attribute.name;
        let prefix = match name.whole {
            "xmlns" => "",
            _ if name.prefix() == "xmlns" => name.local(),
            whole if self.attributes.iter().any(|seen| seen.name.whole == whole) => {
                return Err(Misbehaved::DuplicateAttribute);
            }
            _ => {
                self.attributes.push(attribute);
                return Ok(());
            }
        };
        if self.declared.iter().any(|&(seen, _)| seen == prefix) {
            return Err(Misbehaved::DuplicateAttribute);
        }
        self.declared.push((prefix, declaration(prefix, attribute.value)?));
        Ok(())
    }
}

/// Where `part`, a slice of `whole`, stands in it.
fn place(whole: &str, part: &str) -> Result<Range<usize>, Misbehaved> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let place = start..start.wrapping_add(part.len());
    // only a value that was rewritten stands elsewhere, and quick-xml rewrites none before it is asked to
    if whole.get(place.clone()).is_some() { Ok(place) } else { Err(Misbehaved::Tag) }
}

/// The namespace that a declaration gives to `prefix`, if it may (XML names §3, §5).
fn declaration<'a>(prefix: &str, value: &'a str) -> Result<Cow<'a, str>, Misbehaved> {
    let namespace = plain(value)?;
    let reserved = match prefix {
        "xml" => namespace != ns::XML,
        "xmlns" => true,
        _ => namespace == ns::XML || namespace == ns::XMLNS,
    };
    // a prefix cannot be undeclared in XML names 1.0
    if reserved || (namespace.is_empty() && !prefix.is_empty()) {
        return Err(Misbehaved::Declaration);
    }
    Ok(namespace)
}

/// An attribute value as plain text. Borrowing is the common case.
pub(crate) fn plain(value: &str) -> Result<Cow<'_, str>, Misbehaved> {
    if text::is_plain(value) {
        return Ok(value.into());
    }
    let mut canonical = String::with_capacity(value.len());
    text::canonicalise(value, text::Place::Attribute, &mut canonical)?;
    Ok(text::unescape(&canonical).into())
}

/// White space of XML (XML 1.0 §2.3).
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without the white space at its end.
pub(crate) fn trim_end(text: &str) -> &str {
    &text[..text.bytes().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_split() {
        let tag = Tag::parse("x:a b = '1'\n\txmlns:x='urn:&amp;x' xml:lang=\"de\" xmlns='' /").unwrap();
        assert_eq!((tag.name.prefix(), tag.name.local(), tag.empty), ("x", "a", true));
        let attributes: Vec<_> =
            tag.attributes.iter().map(|a| (a.name.prefix(), a.name.local(), a.value)).collect();
        assert_eq!(attributes, [("", "b", "1"), ("xml", "lang", "de")]);
        assert_eq!(tag.declared.as_slice(), [("x", "urn:&x".into()), ("", "".into())]);
    }

    #[test]
    fn what_xml_forbids_is_refused() {
        for inside in [
            "",
            " a",
            "1a",
            "a:",
            ":a",
            ":",
            "a:b:c",
            "a b",
            "a b=",
            "a b=c",
            "a b='1'c='2'",
            "a b='1",
            "a ='1'",
            "a b=='1'",
            "a b='1' '",
            "a/ b='1'",
            "a//",
            "a b='1'/ ",
            "a b c='1'",
            "a b:='1'",
            "a é\u{d7}='1'",
        ] {
            assert!(
                matches!(Tag::parse(inside), Err(Misbehaved::Tag | Misbehaved::Name)),
                "{inside:?} was taken"
            );
        }
    }

    #[test]
    fn an_attribute_comes_once() {
        for inside in
            ["a b='1' b='2'", "a x:b='1' x:b='2'", "a xmlns='u' xmlns='u'", "a xmlns:x='u' xmlns:x='v'"]
        {
            assert_eq!(Tag::parse(inside).unwrap_err(), Misbehaved::DuplicateAttribute, "{inside:?}");
        }
    }
}
