//! XEP-0115: Entity Capabilities, version 1.6.0, for the server itself.   https://xmpp.org/extensions/xep-0115.html
//!
//! A hash of the server's disco answer stands in its stream features, so that a client that knows the hash need not ask
//! (§6.3).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use hearth_core::disco::{DiscoNodes, NodeInfo, NodeItem};
use hearth_core::event::Event;
use hearth_core::host::Host;
use hearth_core::iq::{BoxFuture, Entity, IqCall};
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::server::Server;
use hearth_core::stream::feature::StreamFeature;
use hearth_wire::{Payload, StanzaError, XmlWriter, ns};
use parking_lot::RwLock;
use sha1::{Digest as _, Sha1};

use crate::vocab::data_form::{DataForm, FORM_TYPE};
use crate::vocab::disco;

/// Tells the hash.
pub(crate) const MODULE: Module = Module {
    name: "caps",
    xeps: &[Xep { number: 115, version: "1.6.0", support: Support::Complete, title: "Entity Capabilities" }],
    needs: &["disco"],
    register,
};

const NS: &str = "http://jabber.org/protocol/caps";
/// Names the software (§4, which would like the address of its web site: there is none yet). Together with the hash it names a node that can be asked.
const NODE: &str = "urn:x-hearth:server";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let caps = Arc::new(Caps::default());
    m.feature(Entity::Server, NS);
    m.disco_nodes(Entity::Server, Nodes(Arc::clone(&caps)));
    let offered = Arc::clone(&caps);
    m.stream_feature(
        StreamFeature::after_login("c", NS)
            .made_by(move |context| Some(element(&offered.verification(context.server, context.host)))),
    );
    m.on(move |_, event| {
        if matches!(event, Event::Reloaded) {
            caps.0.write().clear();
        }
    });
    Ok(())
}

fn element(verification: &str) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("c", NS).attr("hash", "sha-1").attr("node", NODE).attr("ver", verification).close();
    writer.into_payload()
}

/// The verification string of each host.
#[derive(Debug, Default)]
struct Caps(RwLock<HashMap<String, Arc<str>>>);

impl Caps {
    fn verification(&self, server: &Server, host: &Host) -> Arc<str> {
        let domain = host.domain.as_str();
        if let Some(known) = self.0.read().get(domain) {
            return Arc::clone(known);
        }
        // computed under the lock: what is cleared meanwhile is cleared after it was put in
        let mut all = self.0.write();
        let made: Arc<str> = verification(&disco::describe(server, host, Entity::Server)).into();
        all.insert(domain.to_owned(), Arc::clone(&made));
        made
    }
}

/// The node of the present capabilities (§6.2). There is nothing else to be found of older ones.
struct Nodes(Arc<Caps>);

impl DiscoNodes for Nodes {
    fn owns(&self, call: &IqCall, node: &str) -> bool {
        let asked = node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#'));
        asked.is_some_and(|asked| asked == &*self.0.verification(&call.server, &call.host))
    }

    fn info(&self, call: IqCall, _: String) -> BoxFuture<Result<NodeInfo, StanzaError>> {
        Box::pin(async move { Ok(disco::describe(&call.server, &call.host, Entity::Server)) })
    }

    fn items(&self, _: IqCall, _: String) -> BoxFuture<Result<Vec<NodeItem>, StanzaError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// §5.1. Strings sort by their bytes, as `i;octet` asks.
fn verification(info: &NodeInfo) -> String {
    let identities =
        info.identities.iter().map(|i| (i.category, i.kind, i.name.as_deref().unwrap_or_default()));
    let forms = info.forms.iter().filter_map(form);
    hash(&string(identities.collect(), info.features.clone(), forms.collect()))
}

/// A form of a disco answer, if it has a purpose.
fn form(payload: &Payload) -> Option<DataForm> {
    let element = payload.element(payload.only_child()?, ns::CLIENT)?;
    DataForm::try_from(&element).ok().filter(|form| form.form_type().is_some())
}

/// The input of the hash. No identity of ours has a language, so its place stays empty.
fn string(
    mut identities: Vec<(&str, &str, &str)>,
    mut features: Vec<&str>,
    mut forms: Vec<DataForm>,
) -> String {
    let mut all = String::new();
    identities.sort_unstable();
    for (category, kind, name) in identities {
        all.push_str(&format!("{category}/{kind}//{name}<"));
    }
    features.sort_unstable();
    for feature in features {
        all.push_str(feature);
        all.push('<');
    }
    forms.sort_by(|a, b| a.form_type().cmp(&b.form_type()));
    forms.iter().for_each(|form| append(&mut all, form));
    all
}

fn append(all: &mut String, form: &DataForm) {
    all.push_str(form.form_type().unwrap_or_default());
    all.push('<');
    let mut fields: Vec<_> = form.fields.iter().filter(|field| field.var != FORM_TYPE).collect();
    fields.sort_by(|a, b| a.var.cmp(&b.var));
    for field in fields {
        let mut values: Vec<&str> = field.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        for part in std::iter::once(field.var.as_str()).chain(values) {
            all.push_str(part);
            all.push('<');
        }
    }
}

fn hash(input: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha1::digest(input.as_bytes()))
}

#[cfg(test)]
mod tests {
    use hearth_wire::Element;

    use super::*;
    use crate::testing::Scene;

    const FEATURES: [&str; 4] = [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/caps",
    ];

    #[test]
    fn the_simple_example_of_section_5_2_comes_out() {
        let input = string(vec![("client", "pc", "Exodus 0.9.1")], FEATURES.to_vec(), Vec::new());
        assert_eq!(hash(&input), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn the_complex_example_of_section_5_3_comes_out() {
        let form: Element = "<x xmlns='jabber:x:data' type='result'>\
            <field var='software'><value>Psi</value></field>\
            <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
            <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
            <field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>\
            <field var='software_version'><value>0.11</value></field></x>"
            .parse()
            .unwrap();
        let form = DataForm::try_from(&form).unwrap();
        // ours have no languages: the two identities of the example are put in front by hand
        let rest = string(Vec::new(), FEATURES.to_vec(), vec![form]);
        let input = format!("client/pc/el/\u{3a8} 0.11<client/pc/en/Psi 0.11<{rest}");
        assert_eq!(hash(&input), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[tokio::test]
    async fn the_hash_is_that_of_the_answer_and_its_node_gives_the_same_answer() {
        let scene = Scene::new("[disco.contact]\nadmin = [\"xmpp:admin@verona.example\"]").await;
        let romeo = scene.login("romeo").await;
        let ver = Caps::default().verification(&scene.server, &scene.host());
        let ask = |node: &str| {
            format!(
                "<iq type='get' id='c1' to='verona.example'>\
                 <query xmlns='http://jabber.org/protocol/disco#info'{node}/></iq>"
            )
        };
        romeo.send(&ask("")).await;
        let plain = romeo.receive();
        let node = format!(" node='{NODE}#{ver}'");
        romeo.send(&ask(&node)).await;
        assert_eq!(romeo.receive().replace(&node, ""), plain);
        let answer: Element = plain.replace("<iq ", "<iq xmlns='jabber:client' ").parse().unwrap();
        assert_eq!(*ver, hash(&from_answer(answer.children().next().unwrap())));
        romeo.send(&ask(&format!(" node='{NODE}#QgayPKawpkPSDYmwT/WM94uAlu0='"))).await;
        assert!(romeo.receive().contains("item-not-found"));
        romeo.send(&ask(&node).replace("#info", "#items")).await;
        assert!(romeo.receive().contains("type='result'"));
    }

    /// The input of the hash as a client makes it from what it received.
    fn from_answer(query: &Element) -> String {
        let attr = |e: &Element, name: &str| e.attr(name).unwrap_or_default().to_owned();
        let named = |name: &'static str| query.children().filter(move |child| child.name() == name);
        let identities: Vec<_> =
            named("identity").map(|i| (attr(i, "category"), attr(i, "type"), attr(i, "name"))).collect();
        let features: Vec<_> = named("feature").map(|f| attr(f, "var")).collect();
        string(
            identities.iter().map(|(c, t, n)| (c.as_str(), t.as_str(), n.as_str())).collect(),
            features.iter().map(String::as_str).collect(),
            named("x").map(|x| DataForm::try_from(x).unwrap()).collect(),
        )
    }

    #[test]
    fn the_element_has_what_section_4_requires() {
        let expected =
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x-hearth:server' ver='v'/>";
        assert_eq!(element("v").as_str(), expected);
    }
}
