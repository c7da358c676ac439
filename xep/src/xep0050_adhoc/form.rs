//! Between a command's description and data forms: what is asked, what was filled in, what is answered (XEP-0004).
//! https://xmpp.org/extensions/xep-0004.html

use hearth_core::command::{Answer, Arg, ArgKind, Command};
use hearth_core::server::Server;
use hearth_wire::StanzaError;
use zeroize::Zeroizing;

use super::nodes::ADMIN;
use super::refusal;
use crate::vocab::data_form::{DataForm, Field, FieldKind, FormKind, Table};

/// The form that asks for a command's arguments.
pub(super) fn ask(server: &Server, command: &Command) -> DataForm {
    let mut form = DataForm::new(FormKind::Form).title(command.help);
    for arg in command.args {
        form.fields.push(field(server, arg));
        if arg.kind == ArgKind::Password {
            form.fields
                .push(Field::new(FieldKind::TextPrivate, &again(arg)).label(format!("{} (again)", arg.help)));
        }
    }
    if command.node.is_some() { form.purpose(ADMIN) } else { form }
}

fn field(server: &Server, arg: &Arg) -> Field {
    let mut field = Field::new(kind(arg.kind), arg.name).label(arg.help);
    field.required = arg.required;
    if arg.kind == ArgKind::Host {
        let hosts = server.hosts();
        let mut domains: Vec<&str> = hosts.all().map(|host| host.domain.domain()).collect();
        domains.sort_unstable();
        field = domains.into_iter().fold(field, |field, domain| field.option(None, domain));
    }
    field
}

const fn kind(kind: ArgKind) -> FieldKind {
    match kind {
        ArgKind::Text | ArgKind::Number => FieldKind::TextSingle,
        ArgKind::Account => FieldKind::JidSingle,
        ArgKind::Accounts | ArgKind::Jids => FieldKind::JidMulti,
        ArgKind::Host => FieldKind::ListSingle,
        ArgKind::Flag => FieldKind::Boolean,
        ArgKind::Password => FieldKind::TextPrivate,
        ArgKind::Lines => FieldKind::TextMulti,
    }
}

/// The field in which a password is repeated, as XEP-0133 §4.1 names it.
fn again(arg: &Arg) -> String {
    format!("{}-verify", arg.name)
}

/// The values that were filled in. What the command does not know is passed over (XEP-0004 §3.1).
///
/// # Errors
/// `bad-payload` for a form that is not a submission, that leaves out something required, or with two passwords.
pub(super) fn values(
    command: &Command,
    form: Option<&DataForm>,
) -> Result<Vec<(String, Zeroizing<String>)>, StanzaError> {
    // XEP-0050 §3.5.1: a form of type cancel is one of type submit
    if form.is_some_and(|form| !matches!(form.kind, FormKind::Submit | FormKind::Cancel)) {
        return Err(refusal("bad-payload", "the form is not of type submit"));
    }
    let mut values = Vec::new();
    for arg in command.args {
        let given =
            form.and_then(|form| form.get(arg.name)).map(|field| Zeroizing::new(field.values.join("\n")));
        match given.filter(|value| !value.is_empty()) {
            Some(value) => {
                let again = form.and_then(|form| form.value(&again(arg)));
                if arg.kind == ArgKind::Password && again.is_some_and(|again| again != value.as_str()) {
                    return Err(refusal("bad-payload", "the two passwords differ"));
                }
                values.push((arg.name.to_owned(), value));
            }
            None if arg.required => return Err(refusal("bad-payload", &format!("{} is missing", arg.name))),
            None => {}
        }
    }
    Ok(values)
}

/// The answer's table as a form.
pub(super) fn table(answer: &Answer) -> DataForm {
    let column = |name: &&'static str| Field::new(FieldKind::TextSingle, name).label(*name);
    let row = |cells: &Vec<String>| {
        answer.columns.iter().zip(cells).map(|(var, cell)| Field::cell(var, cell)).collect()
    };
    let mut form = DataForm::new(FormKind::Result);
    form.table = Some(Table {
        columns: answer.columns.iter().map(column).collect(),
        rows: answer.rows.iter().map(row).collect(),
    });
    form
}
