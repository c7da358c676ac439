//! What a client asks for in a set: its fields, as a data form or in the old way (§4, §6), or its removal.

use hearth_wire::{Element, StanzaCondition, StanzaError};

use super::NS;
use crate::vocab::data_form::{DataForm, FormKind};

/// A set.
pub(super) enum Request {
    /// §3.2.
    Remove,
    /// §3.1, §3.3.
    Set(Fields),
}

/// The fields this server knows. Not to be printed.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// Reads the query.
///
/// # Errors
/// `bad-request` if `<remove/>` does not stand alone (§3.2), or if the form is none of this specification.
pub(super) fn read(query: &Element) -> Result<Request, StanzaError> {
    if query.get_child("remove", NS).is_some() {
        let alone = query.children().count() == 1;
        return if alone { Ok(Request::Remove) } else { Err(bad_request("<remove/> stands alone")) };
    }
    // §6: a form takes precedence
    match DataForm::find_in(query)? {
        Some(form) => from_form(&form).map(Request::Set),
        None => {
            let text = |name: &str| query.get_child(name, NS).map(Element::text);
            Ok(Request::Set(Fields { username: text("username"), password: text("password") }))
        }
    }
}

fn from_form(form: &DataForm) -> Result<Fields, StanzaError> {
    let purpose = form.form_type().unwrap_or(NS);
    let known = purpose == NS || purpose.strip_prefix(NS) == Some(":changepassword");
    if form.kind != FormKind::Submit || !known {
        return Err(bad_request("the form is not a registration's, filled in"));
    }
    let text = |var: &str| form.value(var).map(str::to_owned);
    Ok(Fields { username: text("username"), password: text("password") })
}

fn bad_request(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: Result<Option<(&str, &str)>, StanzaCondition>) {
        let query: Element = format!("<query xmlns='jabber:iq:register'>{content}</query>").parse().unwrap();
        let got = read(&query).map_err(|error| error.condition).map(|request| match request {
            Request::Remove => None,
            Request::Set(fields) => {
                Some((fields.username.unwrap_or_default(), fields.password.unwrap_or_default()))
            }
        });
        let got =
            got.as_ref().map(|fields| fields.as_ref().map(|(u, p)| (u.as_str(), p.as_str()))).map_err(|c| *c);
        assert_eq!(got, expected, "{content}");
    }

    fn form(kind: &str, purpose: &str) -> String {
        format!(
            "<x xmlns='jabber:x:data' type='{kind}'><field var='FORM_TYPE'><value>{purpose}</value></field>\
             <field var='username'><value>bill</value></field><field var='password'><value>pw</value></field></x>"
        )
    }

    #[test]
    fn fields_are_read_in_both_ways_and_the_form_counts() {
        check("<username>bill</username><password>pw</password>", Ok(Some(("bill", "pw"))));
        check("<username>will</username><password/>", Ok(Some(("will", ""))));
        check(&form("submit", "jabber:iq:register"), Ok(Some(("bill", "pw"))));
        check(&form("submit", "jabber:iq:register:changepassword"), Ok(Some(("bill", "pw"))));
        check(&format!("<username>will</username>{}", form("submit", NS)), Ok(Some(("bill", "pw"))));
    }

    #[test]
    fn other_forms_are_refused() {
        check(&form("cancel", "jabber:iq:register"), Err(StanzaCondition::BadRequest));
        check(&form("submit", "jabber:iq:register:cancel"), Err(StanzaCondition::BadRequest));
        check(&form("submit", "urn:other"), Err(StanzaCondition::BadRequest));
        check("<x xmlns='jabber:x:data'/>", Err(StanzaCondition::BadRequest));
    }

    #[test]
    fn a_removal_stands_alone() {
        check("<remove/>", Ok(None));
        check("<remove/><username>bill</username>", Err(StanzaCondition::BadRequest));
        check("<x xmlns='urn:x'/><remove/>", Err(StanzaCondition::BadRequest));
    }
}
