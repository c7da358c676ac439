//! One field of a data form (XEP-0004 §3.2, §3.3).   https://xmpp.org/extensions/xep-0004.html

use hearth_wire::{Element, StanzaError, XmlWriter};

use super::{NS, bad_form};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The type of a field (§3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FieldKind { $($(#[$doc])* $kind,)* }

        impl FieldKind {
            const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// §3.3: a type that is not known is a line of text.
            fn parse(name: &str) -> Self {
                match name { $($name => Self::$kind,)* _ => Self::TextSingle }
            }
        }
    };
}

kinds! {
    /// Yes or no.
    Boolean = "boolean",
    /// Text to be shown.
    Fixed = "fixed",
    /// Not shown, and sent back as it is.
    Hidden = "hidden",
    /// Several addresses.
    JidMulti = "jid-multi",
    /// One address.
    JidSingle = "jid-single",
    /// Some of the options.
    ListMulti = "list-multi",
    /// One of the options.
    ListSingle = "list-single",
    /// Several lines.
    TextMulti = "text-multi",
    /// One line that is not shown.
    TextPrivate = "text-private",
    /// One line.
    TextSingle = "text-single",
}

/// An option of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What people see in place of the value.
    pub label: Option<String>,
    /// The value.
    pub value: String,
}

/// A field. Its `Debug` shows no values: they may be passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty in fixed fields without one.
    pub var: String,
    /// Its type; `None` where it may be left out and is (§3.2).
    pub kind: Option<FieldKind>,
    /// Its name for people.
    pub label: Option<String>,
    /// What it means, for people.
    pub desc: Option<String>,
    /// Whether the form is no good without it.
    pub required: bool,
    /// Its values: one, but for the kinds called multi and hidden.
    pub values: Vec<String>,
    /// What may be chosen from.
    pub options: Vec<Choice>,
}

impl Field {
    /// A field without a value.
    pub fn new(kind: FieldKind, var: &str) -> Self {
        let (var, kind) = (var.to_owned(), Some(kind));
        Self { var, kind, label: None, desc: None, required: false, values: Vec::new(), options: Vec::new() }
    }

    /// A value in a row of a table: its type stands in the column.
    pub fn cell(var: &str, value: &str) -> Self {
        Self { kind: None, ..Self::new(FieldKind::TextSingle, var) }.value(value)
    }

    /// The same with a name for people.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same with an explanation.
    pub fn desc(mut self, desc: impl Into<String>) -> Self {
        self.desc = Some(desc.into());
        self
    }

    /// The same, required.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same with one more value.
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same with one more option.
    pub fn option(mut self, label: Option<&str>, value: impl Into<String>) -> Self {
        self.options.push(Choice { label: label.map(str::to_owned), value: value.into() });
        self
    }

    pub(super) fn write(&self, writer: &mut XmlWriter) {
        writer.open("field", NS);
        writer.attr_opt("var", Some(self.var.as_str()).filter(|var| !var.is_empty()));
        writer.attr_opt("type", self.kind.map(FieldKind::name)).attr_opt("label", self.label.as_deref());
        if let Some(desc) = &self.desc {
            writer.open("desc", NS).text(desc).close();
        }
        if self.required {
            writer.open("required", NS).close();
        }
        for value in &self.values {
            writer.open("value", NS).text(value).close();
        }
        for Choice { label, value } in &self.options {
            writer.open("option", NS).attr_opt("label", label.as_deref());
            writer.open("value", NS).text(value).close().close();
        }
        writer.close();
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({} {:?}, {} values)", self.var, self.kind, self.values.len())
    }
}

impl TryFrom<&Element> for Field {
    type Error = StanzaError;

    fn try_from(element: &Element) -> Result<Self, StanzaError> {
        let kind = element.attr("type").map(FieldKind::parse);
        let var = element.attr("var").unwrap_or_default();
        if var.is_empty() && kind != Some(FieldKind::Fixed) {
            return Err(bad_form("a field has no name"));
        }
        let mut field = Self { kind, ..Self::new(FieldKind::TextSingle, var) };
        field.label = element.attr("label").map(str::to_owned);
        for child in element.children().filter(|child| child.ns() == NS) {
            match child.name() {
                "desc" => field.desc = Some(child.text()),
                "required" => field.required = true,
                "value" => field.values.push(child.text()),
                "option" => field.options.push(read_option(child)?),
                _ => {}
            }
        }
        Ok(field)
    }
}

/// §3.2: an option has exactly one value.
fn read_option(option: &Element) -> Result<Choice, StanzaError> {
    let mut values = option.children().filter(|child| child.is("value", NS));
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(bad_form("an option has one value"));
    };
    Ok(Choice { label: option.attr("label").map(str::to_owned), value: value.text() })
}
