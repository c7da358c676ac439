//! XEP-0004: Data Forms, with the FORM_TYPE of XEP-0068.   https://xmpp.org/extensions/xep-0004.html
//!
//! One type for all four kinds of form, read from a tree and written in canonical form. What a peer sends is read
//! leniently where the specification says so (an unknown field type is text), and strictly where it must be.

mod field;

use hearth_wire::{Element, Payload, StanzaCondition, StanzaError, XmlWriter};

pub use field::{Choice, Field, FieldKind};

/// The namespace of data forms.
pub const NS: &str = "jabber:x:data";

/// The field that names the purpose of a form (XEP-0068 §3).
pub const FORM_TYPE: &str = "FORM_TYPE";

/// What a form is for (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Not going to be filled in.
    Cancel,
    /// Data given back.
    Result,
}

impl FormKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Form, Self::Submit, Self::Cancel, Self::Result].into_iter().find(|kind| kind.name() == name)
    }
}

/// Several items of one format (§3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The columns: fields without values.
    pub columns: Vec<Field>,
    /// The rows: a field for each column.
    pub rows: Vec<Vec<Field>>,
}

/// A data form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataForm {
    /// What it is for.
    pub kind: FormKind,
    /// Its title.
    pub title: Option<String>,
    /// What to do with it.
    pub instructions: Vec<String>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its table; only in results, and then without fields (§3.4).
    pub table: Option<Table>,
}

impl DataForm {
    /// A form without content.
    pub fn new(kind: FormKind) -> Self {
        Self { kind, title: None, instructions: Vec::new(), fields: Vec::new(), table: None }
    }

    /// The same with a title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The same with one more line of instructions.
    pub fn instruction(mut self, line: impl Into<String>) -> Self {
        self.instructions.push(line.into());
        self
    }

    /// The same with one more field.
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// The same with its purpose (XEP-0068): the first field.
    pub fn purpose(mut self, form_type: &str) -> Self {
        self.fields.insert(0, Field::new(FieldKind::Hidden, FORM_TYPE).value(form_type));
        self
    }

    /// The field with this name.
    pub fn get(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == var)
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.get(var)?.values.first().map(String::as_str)
    }

    /// Its purpose (XEP-0068 §3).
    pub fn form_type(&self) -> Option<&str> {
        self.value(FORM_TYPE)
    }

    /// Writes the `<x/>`.
    pub fn write(&self, writer: &mut XmlWriter) {
        writer.open("x", NS).attr("type", self.kind.name());
        if let Some(title) = &self.title {
            writer.open("title", NS).text(title).close();
        }
        for line in &self.instructions {
            writer.open("instructions", NS).text(line).close();
        }
        self.fields.iter().for_each(|field| field.write(writer));
        if let Some(table) = &self.table {
            write_row("reported", &table.columns, writer);
            table.rows.iter().for_each(|row| write_row("item", row, writer));
        }
        writer.close();
    }

    /// The form as the content of a stanza.
    pub fn to_payload(&self) -> Payload {
        let mut writer = XmlWriter::new();
        self.write(&mut writer);
        writer.into_payload()
    }

    /// The form among the children of an element: the first counts (XEP-0050 §3.5).
    ///
    /// # Errors
    /// `bad-request` if it is malformed.
    pub fn find_in(parent: &Element) -> Result<Option<Self>, StanzaError> {
        parent.get_child("x", NS).map(Self::try_from).transpose()
    }
}

fn write_row(name: &str, fields: &[Field], writer: &mut XmlWriter) {
    writer.open(name, NS);
    fields.iter().for_each(|field| field.write(writer));
    writer.close();
}

fn bad_form(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest).with_text(text)
}

impl TryFrom<&Element> for DataForm {
    type Error = StanzaError;

    fn try_from(x: &Element) -> Result<Self, StanzaError> {
        if !x.is("x", NS) {
            return Err(bad_form("not a data form"));
        }
        let kind = x.attr("type").and_then(FormKind::parse);
        let mut form = Self::new(kind.ok_or_else(|| bad_form("a data form has one of four types"))?);
        for child in x.children().filter(|child| child.ns() == NS) {
            match child.name() {
                "title" => form.title = Some(child.text()),
                "instructions" => form.instructions.push(child.text()),
                "field" => form.fields.push(Field::try_from(child)?),
                "reported" => form.table.get_or_insert_default().columns = read_row(child)?,
                "item" => form.table.get_or_insert_default().rows.push(read_row(child)?),
                _ => {}
            }
        }
        Ok(form)
    }
}

fn read_row(row: &Element) -> Result<Vec<Field>, StanzaError> {
    row.children().filter(|child| child.is("field", NS)).map(Field::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &str) -> Result<DataForm, StanzaError> {
        DataForm::try_from(&xml.parse::<Element>().unwrap())
    }

    #[test]
    fn a_form_survives_the_way_there_and_back() {
        let form = DataForm::new(FormKind::Form)
            .title("Bot <1>")
            .instruction("Fill in.")
            .field(Field::new(FieldKind::TextSingle, "name").label("Name").required().value("R&J"))
            .field(
                Field::new(FieldKind::ListSingle, "host")
                    .option(Some("Ours"), "a.example")
                    .option(None, "b.example"),
            )
            .field(Field::new(FieldKind::TextMulti, "text").desc("Lines").value("a").value(""))
            .purpose("urn:bot");
        let written = form.to_payload();
        assert_eq!(parse(written.as_str()).unwrap(), form);
        assert_eq!((form.form_type(), form.value("name")), (Some("urn:bot"), Some("R&J")));
    }

    #[test]
    fn a_table_is_written_head_first() {
        let mut form = DataForm::new(FormKind::Result);
        form.table = Some(Table {
            columns: vec![Field::new(FieldKind::TextSingle, "jid").label("jid")],
            rows: vec![vec![Field::cell("jid", "a@b")]],
        });
        let xml = "<x xmlns='jabber:x:data' type='result'><reported><field var='jid' type='text-single' label='jid'/>\
                   </reported><item><field var='jid'><value>a@b</value></field></item></x>";
        assert_eq!(form.to_payload().as_str(), xml);
        assert_eq!(parse(xml).unwrap(), form);
    }

    #[test]
    fn a_submission_needs_no_types_and_what_is_unknown_is_passed_over() {
        let form = parse(
            "<x xmlns='jabber:x:data' type='submit'><field var='a'><value>1</value><value>2</value></field>\
             <field var='b' type='odd'><value/></field><page xmlns='http://jabber.org/protocol/xdata-layout'/></x>",
        )
        .unwrap();
        assert_eq!(form.get("a").unwrap().values, ["1", "2"]);
        assert_eq!((form.value("b"), form.get("b").unwrap().kind), (Some(""), Some(FieldKind::TextSingle)));
        assert_eq!(form.value("c"), None);
    }

    #[test]
    fn malformed_forms_are_refused() {
        for xml in [
            "<x xmlns='jabber:x:data'/>",
            "<x xmlns='jabber:x:data' type='wish'/>",
            "<y xmlns='jabber:x:data' type='form'/>",
            "<x xmlns='jabber:x:data' type='submit'><field><value>1</value></field></x>",
            "<x xmlns='jabber:x:data' type='form'><field var='a' type='list-single'><option/></field></x>",
        ] {
            assert_eq!(parse(xml).unwrap_err().condition, StanzaCondition::BadRequest, "{xml}");
        }
    }
}
