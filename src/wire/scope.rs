//! Which prefix means which namespace at this depth (Namespaces in XML 1.0), and which tags are open.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::attribute::{Attribute, Tag};
use crate::misbehaved::Misbehaved;
use crate::ns;

/// The root as far as what stands inside depends on it. The usual one owns no memory: it lives as long as the
/// connection.
#[derive(Debug, Default)]
pub(crate) struct Root {
    name: Cow<'static, str>,
    bindings: SmallVec<[(Cow<'static, str>, Cow<'static, str>); 2]>,
}

impl Root {
    /// Keeps what the tag declares.
    pub(crate) fn of(tag: &Tag<'_>) -> Self {
        let bindings =
            tag.declared.iter().map(|(prefix, namespace)| (known(prefix), known(namespace))).collect();
        Self { name: known(tag.name.whole()), bindings }
    }

    /// Whether its end tag reads so.
    pub(crate) fn ends_with(&self, name: &str) -> bool {
        self.name == name
    }
}

/// The text itself, or our own copy of what every stream says.
fn known(text: &str) -> Cow<'static, str> {
    match ["", "stream", "stream:stream", ns::STREAM, ns::CLIENT, ns::SERVER]
        .into_iter()
        .find(|known| *known == text)
    {
        Some(known) => known.into(),
        None => text.to_owned().into(),
    }
}

/// More declarations in force serve no protocol; each prefix in a tag is looked for among all of them.
const DECLARATIONS_MAX: usize = 256;

#[derive(Debug)]
struct Binding {
    prefix: Box<str>,
    namespace: Box<str>,
    /// How many tags of the scope are open where it holds.
    depth: usize,
}

/// The open tags of one first-level element, and what they declared.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    bindings: Vec<Binding>,
    /// Names of the open tags as received, one after the other.
    names: SmallVec<[u8; 32]>,
    /// Where each name ends.
    ends: SmallVec<[u32; 4]>,
}

impl Scope {
    /// How many tags are open.
    pub(crate) fn depth(&self) -> usize {
        self.ends.len()
    }

    /// Enters a tag that is not empty.
    pub(crate) fn enter(&mut self, tag: &Tag<'_>) -> Result<(), Misbehaved> {
        if self.bindings.len() + tag.declared.len() > DECLARATIONS_MAX {
            return Err(Misbehaved::TooManyDeclarations(DECLARATIONS_MAX as u32));
        }
        self.names.extend_from_slice(tag.name.whole().as_bytes());
        self.ends.push(self.names.len() as u32);
        let depth = self.depth();
        self.bindings.extend(tag.declared.iter().map(|(prefix, namespace)| Binding {
            prefix: (*prefix).into(),
            namespace: namespace.as_ref().into(),
            depth,
        }));
        Ok(())
    }

    /// Leaves the innermost tag, whose end tag reads `name`.
    pub(crate) fn leave(&mut self, name: &str) -> Result<(), Misbehaved> {
        let end = self.ends.pop().ok_or(Misbehaved::UnmatchedEnd)? as usize;
        let start = self.ends.last().map_or(0, |&end| end as usize);
        if self.names.get(start..end) != Some(name.as_bytes()) {
            return Err(Misbehaved::UnmatchedEnd);
        }
        self.names.truncate(start);
        while self.bindings.last().is_some_and(|binding| binding.depth > self.ends.len()) {
            self.bindings.pop();
        }
        Ok(())
    }

    fn find(&self, prefix: &str) -> Option<&str> {
        self.bindings
            .iter()
            .rev()
            .find(|binding| same(&binding.prefix, prefix))
            .map(|binding| &*binding.namespace)
    }
}

/// The meaning of prefixes at one tag: by its own declarations, those of the tags around it, those of the root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a, 't> {
    pub(crate) tag: &'a Tag<'t>,
    /// None at the outermost tags.
    pub(crate) scope: Option<&'a Scope>,
    pub(crate) root: &'a Root,
}

impl<'a> Names<'a, '_> {
    /// The namespace of the tag's name; without any declaration it is none (empty). `xml` is for attributes: no element
    /// is defined in its namespace, and as a default, which our form would need, it may not be declared.
    pub(crate) fn element(self) -> Result<&'a str, Misbehaved> {
        match self.find(self.tag.name.prefix()) {
            Some(ns::XML) => Err(Misbehaved::UnboundPrefix),
            Some(namespace) => Ok(namespace),
            None if !self.tag.name.has_prefix() => Ok(""),
            None => Err(Misbehaved::UnboundPrefix),
        }
    }

    /// The namespace of an attribute's name: none (empty) without a prefix.
    pub(crate) fn attribute(self, attribute: &Attribute<'_>) -> Result<&'a str, Misbehaved> {
        if !attribute.name.has_prefix() {
            return Ok("");
        }
        self.find(attribute.name.prefix()).ok_or(Misbehaved::UnboundPrefix)
    }

    /// Two prefixes may name one namespace: then one name could still come twice (XML names §6.3).
    pub(crate) fn check_attributes(self) -> Result<(), Misbehaved> {
        let prefixed = self.tag.attributes.iter().filter(|attribute| attribute.name.has_prefix());
        let mut seen: SmallVec<[(&str, &str); 4]> = SmallVec::new();
        for attribute in prefixed {
            let name = (self.attribute(attribute)?, attribute.name.local());
            if seen.contains(&name) {
                return Err(Misbehaved::DuplicateAttribute);
            }
            seen.push(name);
        }
        Ok(())
    }

    fn find(self, prefix: &str) -> Option<&'a str> {
        if prefix == "xml" {
            return Some(ns::XML);
        }
        if let Some((_, namespace)) = self.tag.declared.iter().find(|(declared, _)| same(declared, prefix)) {
            return Some(namespace);
        }
        self.scope.and_then(|scope| scope.find(prefix)).or_else(|| {
            let declared = self.root.bindings.iter().find(|(declared, _)| same(declared, prefix));
            declared.map(|(_, namespace)| namespace.as_ref())
        })
    }
}

/// Equality, quick where both are empty, as most prefixes are: `memcmp` of nothing at no address is slow.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &Root, scope: &Scope, inside: &str) -> Result<String, Misbehaved> {
        let tag = Tag::parse(inside).unwrap();
        let names = Names { tag: &tag, scope: Some(scope), root };
        names.check_attributes()?;
        names.element().map(str::to_owned)
    }

    #[test]
    fn the_nearest_declaration_holds() {
        let root = Root::of(&Tag::parse("stream:stream xmlns='a' xmlns:p='b' xmlns:stream='s'").unwrap());
        let mut scope = Scope::default();
        scope.enter(&Tag::parse("x xmlns='c'").unwrap()).unwrap();
        scope.enter(&Tag::parse("p:y xmlns:p='d' xmlns='e'").unwrap()).unwrap();
        assert_eq!(check(&root, &scope, "z").unwrap(), "e");
        assert_eq!(check(&root, &scope, "p:z").unwrap(), "d");
        assert_eq!(check(&root, &scope, "p:z xmlns:p='f'").unwrap(), "f");
        assert_eq!(check(&root, &scope, "z xmlns=''").unwrap(), "");
        scope.leave("p:y").unwrap();
        assert_eq!(check(&root, &scope, "z").unwrap(), "c");
        assert_eq!(check(&root, &scope, "p:z").unwrap(), "b");
        assert_eq!(scope.leave("y"), Err(Misbehaved::UnmatchedEnd));
    }

    #[test]
    fn prefixes_must_mean_something_and_attributes_be_different() {
        let root = Root::of(&Tag::parse("r xmlns:p='u' xmlns:q='u' xmlns:x='v'").unwrap());
        let scope = Scope::default();
        assert_eq!(check(&root, &scope, "o:z"), Err(Misbehaved::UnboundPrefix));
        assert_eq!(check(&root, &scope, "xmlns:z"), Err(Misbehaved::UnboundPrefix));
        assert_eq!(check(&root, &scope, "z o:a=''"), Err(Misbehaved::UnboundPrefix));
        assert_eq!(check(&root, &scope, "z p:a='' q:a=''"), Err(Misbehaved::DuplicateAttribute));
        assert_eq!(check(&root, &scope, "z a='' p:a='' x:a='' xml:a=''").unwrap(), "");
    }

    #[test]
    fn the_usual_root_owns_no_memory() {
        let inside = "stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
        let root = Root::of(&Tag::parse(inside).unwrap());
        assert!(!root.bindings.spilled() && matches!(root.name, Cow::Borrowed(_)));
        assert!(root.bindings.iter().all(|pair| matches!(pair, (Cow::Borrowed(_), Cow::Borrowed(_)))));
    }
}
