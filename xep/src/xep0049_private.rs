//! XEP-0049: Private XML Storage, version 1.2.   https://xmpp.org/extensions/xep-0049.html
//!
//! A document for each namespace, for clients to keep what they like. A set replaces what its namespaces held.

use std::collections::BTreeMap;

use hearth_core::error::Internal;
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::live::Live;
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_store::{StoreError, kv};
use hearth_wire::{Element, Payload, StanzaCondition, StanzaError, XmlWriter, element::write_tree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps private documents.
pub(crate) const MODULE: Module = Module {
    name: "private",
    xeps: &[Xep { number: 49, version: "1.2", support: Support::Complete, title: "Private XML Storage" }],
    needs: &["disco"],
    register,
};

const NS: &str = "jabber:iq:private";

/// How much an account may keep.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Largest document, in bytes.
    document_bytes_max: u32,
    /// Documents of one account: one for each namespace.
    documents_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { document_bytes_max: 131_072, documents_max: 64 }
    }
}

impl Config {
    fn kind(&self) -> kv::Kind {
        let value_bytes_max = self.document_bytes_max as usize;
        kv::Kind { name: "private", value_bytes_max, count_max: self.documents_max }
    }
}

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let config: Live<Config> = m.config(|_| Ok(()))?;
    // where clients look, and where they send it
    m.feature(Entity::Server, NS);
    m.feature_of_kept_accounts(NS);
    let read = config.clone();
    m.iq(Verb::Get, Entity::Own, (NS, "query"), move |call| get(read.now().kind(), call))?;
    m.iq(Verb::Set, Entity::Own, (NS, "query"), move |call| set(config.now().kind(), call))?;
    // §2.3: a JID other than the sender's. For accounts `service-unavailable` stands, which tells nobody that they exist.
    for verb in [Verb::Get, Verb::Set] {
        m.iq(verb, Entity::Server, (NS, "query"), async |_| {
            Err(StanzaError::new(StanzaCondition::Forbidden))
        })?;
    }
    Ok(())
}

/// The account whose documents they are; guests keep nothing.
fn owner(call: &IqCall) -> Result<i64, StanzaError> {
    call.account()?.id.ok_or(StanzaError::new(StanzaCondition::NotAllowed))
}

/// §2.3: one namespace at a time. What is not there comes back as it was asked for.
async fn get(kind: kv::Kind, call: IqCall) -> IqResult {
    let (account, query) = (owner(&call)?, call.element()?);
    let mut asked = query.children();
    let first = asked.next().ok_or_else(|| bad_request("name what you want by an empty element"))?;
    let namespace = storable(first)?;
    if asked.any(|other| other.ns() != namespace) {
        return Err(bad_request("only one namespace at a time"));
    }
    let stored = call.server.store().read(move |sql| kv::get(sql, &kind, account, &namespace)).await;
    match stored.map_err(Internal::from)? {
        Some(document) => Ok(Reply::Result(restored(&document)?)),
        None => Ok(Reply::Result(Payload::from(&query))),
    }
}

/// §2.3.
async fn set(kind: kv::Kind, call: IqCall) -> IqResult {
    let (account, query) = (owner(&call)?, call.element()?);
    let mut documents: BTreeMap<String, Vec<&Element>> = BTreeMap::new();
    for child in query.children() {
        documents.entry(storable(child)?).or_default().push(child);
    }
    if documents.is_empty() {
        return Err(StanzaError::new(StanzaCondition::NotAcceptable).with_text("there is nothing to store"));
    }
    let documents: Vec<(String, String)> =
        documents.into_iter().map(|(ns, elements)| (ns, document(&elements))).collect();
    let work = move |sql: &mut dyn hearth_store::WriteSql| {
        documents
            .iter()
            .try_for_each(|(name, document)| kv::set(sql, &kind, account, name, document.as_bytes()))
    };
    match call.server.store().write(work).await {
        Ok(()) => Ok(Reply::empty()),
        Err(StoreError::TooLarge { bytes_max, .. }) => Err(too_much(&format!("more than {bytes_max} bytes"))),
        Err(StoreError::TooMany { count_max }) => Err(too_much(&format!("more than {count_max} namespaces"))),
        Err(error) => Err(Internal::from(error).into()),
    }
}

/// The namespace of an element, if it may be stored under that (§2.3).
fn storable(element: &Element) -> Result<String, StanzaError> {
    let namespace = element.ns();
    let reserved = ["jabber:", "http://jabber.org/"].iter().any(|start| namespace.starts_with(start));
    if namespace.is_empty() || reserved || namespace == "vcard-temp" {
        let text = "an element to be stored needs a namespace of its own, and not a reserved one";
        return Err(StanzaError::new(StanzaCondition::NotAcceptable).with_text(text));
    }
    Ok(namespace)
}

/// What is stored: the query as it will be given back.
fn document(elements: &[&Element]) -> String {
    let mut writer = XmlWriter::new();
    writer.open("query", NS);
    elements.iter().for_each(|element| write_tree(element, &mut writer));
    writer.close();
    writer.into_string()
}

fn restored(document: &[u8]) -> Result<Payload, Internal> {
    let text = std::str::from_utf8(document).ok();
    let query =
        text.and_then(|text| text.parse::<Element>().ok()).ok_or(Internal::Damaged("a private document"))?;
    Ok(Payload::from(&query))
}

fn bad_request(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest).with_text(text)
}

fn too_much(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::PolicyViolation).with_text(text)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, Scene};

    fn iq(kind: &str, content: &str) -> String {
        format!("<iq type='{kind}' id='p1'><query xmlns='jabber:iq:private'>{content}</query></iq>")
    }

    async fn check(client: &Client, iq: &str, expected: &str) {
        client.send(iq).await;
        let answer = client.receive();
        assert!(answer.contains(expected), "{iq}\n{answer}");
    }

    #[tokio::test]
    async fn what_was_stored_comes_back_whole() {
        let scene = Scene::new("").await;
        let hamlet = scene.login("hamlet").await;
        let prefs = "<exodus xmlns='exodus:prefs'><nick xml:lang='da'>H &amp; O</nick> <b xmlns='urn:b' c='&apos;'/></exodus>";
        check(&hamlet, &iq("set", &format!("{prefs}<a xmlns='exodus:prefs'/>")), "type='result'/>").await;
        let asked = iq("get", "<exodus xmlns='exodus:prefs'/>");
        check(
            &hamlet,
            &asked,
            &format!("<query xmlns='jabber:iq:private'>{prefs}<a xmlns='exodus:prefs'/></query>"),
        )
        .await;
        check(&hamlet, &iq("set", "<exodus xmlns='exodus:prefs'/>"), "type='result'/>").await;
        check(&hamlet, &asked, "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>")
            .await;
    }

    #[tokio::test]
    async fn what_is_not_there_comes_back_as_it_was_asked_for() {
        let scene = Scene::new("").await;
        let hamlet = scene.login("hamlet").await;
        let empty = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
        check(&hamlet, &iq("get", "<storage xmlns='storage:bookmarks'/>"), empty).await;
    }

    #[tokio::test]
    async fn bad_requests_get_the_errors_of_section_3() {
        let scene = Scene::new("").await;
        let hamlet = scene.login("hamlet").await;
        check(&hamlet, &iq("get", ""), "<error type='modify'><bad-request ").await;
        check(&hamlet, &iq("get", "<a xmlns='urn:a'/><b xmlns='urn:b'/>"), "bad-request").await;
        check(&hamlet, &iq("set", ""), "<error type='modify'><not-acceptable ").await;
        for namespace in
            ["jabber:client", "jabber:iq:private", "http://jabber.org/protocol/x", "vcard-temp", ""]
        {
            for kind in ["get", "set"] {
                check(&hamlet, &iq(kind, &format!("<a xmlns='{namespace}'/>")), "not-acceptable").await;
            }
        }
    }

    #[tokio::test]
    async fn another_account_is_unavailable_and_the_server_forbidden() {
        let scene = Scene::new("").await;
        let macbeth = scene.login("macbeth").await;
        scene.account("hamlet").await;
        let to =
            |to: &str, kind: &str| iq(kind, "<a xmlns='urn:a'/>").replace("id=", &format!("to='{to}' id="));
        for kind in ["get", "set"] {
            check(&macbeth, &to("hamlet@verona.example", kind), "service-unavailable").await;
            check(&macbeth, &to("nobody@verona.example", kind), "service-unavailable").await;
            check(&macbeth, &to("verona.example", kind), "forbidden").await;
            check(&macbeth, &to("macbeth@verona.example", kind), "type='result'").await;
        }
    }

    #[tokio::test]
    async fn limits_hold_and_a_refused_set_changes_nothing() {
        let scene = Scene::new("[private]\ndocument_bytes_max = 80\ndocuments_max = 2").await;
        let hamlet = scene.login("hamlet").await;
        let big = format!("<b xmlns='urn:b'>{}</b>", "x".repeat(80));
        check(&hamlet, &iq("set", &format!("<a xmlns='urn:a'>1</a>{big}")), "policy-violation").await;
        check(&hamlet, &iq("get", "<a xmlns='urn:a'/>"), "<a xmlns='urn:a'/>").await;
        check(&hamlet, &iq("set", "<a xmlns='urn:a'/><b xmlns='urn:b'/>"), "type='result'/>").await;
        check(&hamlet, &iq("set", "<c xmlns='urn:c'/>"), "policy-violation").await;
    }

    #[tokio::test]
    async fn a_guest_keeps_nothing() {
        let scene = Scene::new("").await;
        check(&scene.guest().await, &iq("set", "<a xmlns='urn:a'/>"), "not-allowed").await;
    }
}
