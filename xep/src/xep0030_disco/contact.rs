//! XEP-0157: Contact Addresses for XMPP Services, version 1.1.1, as a form in the server's answer (XEP-0128).
//! https://xmpp.org/extensions/xep-0157.html

use hearth_core::live::Objection;
use hearth_wire::Payload;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocab::data_form::{DataForm, Field, FieldKind, FormKind};

const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";

/// Addresses as URIs (`mailto:…`, `xmpp:…`, `https:…`), for people who need somebody behind this server. Everybody on
/// the network can read them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Contact {
    /// Where abuse is reported.
    abuse: Vec<String>,
    /// Who runs the server.
    admin: Vec<String>,
    /// Where users say what they think of it.
    feedback: Vec<String>,
    /// Who sells it.
    sales: Vec<String>,
    /// Where security holes are reported.
    security: Vec<String>,
    /// Pages that tell whether it works.
    status: Vec<String>,
    /// Who helps users.
    support: Vec<String>,
}

impl Contact {
    /// The form; `None` where there are no addresses.
    ///
    /// # Errors
    /// The address that is no URI (§3).
    pub(super) fn form(&self) -> Result<Option<Payload>, Objection> {
        let all = [
            ("abuse", &self.abuse),
            ("admin", &self.admin),
            ("feedback", &self.feedback),
            ("sales", &self.sales),
            ("security", &self.security),
            ("status", &self.status),
            ("support", &self.support),
        ];
        let mut form = DataForm::new(FormKind::Result).purpose(FORM_TYPE);
        for (name, addresses) in all.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
            let mut field = Field::new(FieldKind::ListMulti, &format!("{name}-addresses"));
            for (n, address) in addresses.iter().enumerate() {
                if !is_uri(address) {
                    let fix = "write \"mailto:…\", \"xmpp:…\" or \"https://…\"";
                    return Err(Objection::new(format!("contact.{name}[{n}]"), format!("{address:?} is no URI"), fix));
                }
                field = field.value(address);
            }
            form = form.field(field);
        }
        Ok((form.fields.len() > 1).then(|| form.to_payload()))
    }
}

/// RFC 3986 §3: a scheme, a colon and something behind it, of the characters a URI is made of.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
        && !rest.is_empty()
        && rest.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_configured_is_told() {
        let contact = Contact {
            abuse: vec!["mailto:abuse@a.example".into(), "xmpp:abuse@a.example".into()],
            ..Contact::default()
        };
        let form = contact.form().unwrap().unwrap();
        assert_eq!(
            form.as_str(),
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/network/serverinfo</value></field><field var='abuse-addresses' type='list-multi'>\
             <value>mailto:abuse@a.example</value><value>xmpp:abuse@a.example</value></field></x>"
        );
        assert!(Contact::default().form().unwrap().is_none());
    }

    #[test]
    fn an_address_that_is_no_uri_is_refused_with_its_name() {
        for address in ["abuse@a.example", "", "mailto:", "1a:b", "mailto:a b", "mailto:ä@a.example"] {
            let contact = Contact { status: vec![address.into()], ..Contact::default() };
            assert_eq!(contact.form().unwrap_err().key, "contact.status[0]", "{address}");
        }
        assert!(is_uri("https://status.a.example/?a=b&c=%20#d"));
    }
}
