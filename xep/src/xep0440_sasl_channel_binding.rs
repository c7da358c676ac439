//! XEP-0440: SASL Channel-Binding Type Capability, version 1.0.0.   https://xmpp.org/extensions/xep-0440.html
//!
//! Beside the mechanisms stands which channel bindings the `-PLUS` ones may use on this connection. Which they are is
//! SASL's to know; it is told here (§2).

use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::stream::feature::{FeatureContext, StreamFeature};
use hearth_wire::{Payload, XmlWriter};

/// Tells the channel bindings.
pub(crate) const MODULE: Module = Module {
    name: "sasl_channel_binding",
    xeps: &[Xep {
        number: 440,
        version: "1.0.0",
        support: Support::Complete,
        title: "SASL Channel-Binding Type Capability",
    }],
    needs: &[],
    register,
};

const NS: &str = "urn:xmpp:sasl-cb:0";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.stream_feature(StreamFeature::before_login("sasl-channel-binding", NS).made_by(offer));
    Ok(())
}

/// §2: at least one, or none of it at all.
fn offer(context: &FeatureContext<'_>) -> Option<Payload> {
    let mut bindings = context.offer?.binding_types().peekable();
    bindings.peek()?;
    let mut writer = XmlWriter::new();
    writer.open("sasl-channel-binding", NS);
    for binding in bindings {
        writer.open("channel-binding", NS).attr("type", binding.name()).close();
    }
    writer.close();
    Some(writer.into_payload())
}

#[cfg(test)]
mod tests {
    use hearth_core::sasl::{ConnectionFacts, Offer, Policy};

    use super::*;
    use crate::testing::Scene;

    async fn check(facts: ConnectionFacts, expected: Option<&str>) {
        let scene = Scene::new("").await;
        let sasl = Offer::new(&Policy::default(), facts);
        let (server, host) = (&*scene.server, &*scene.host());
        let context = FeatureContext { server, host, secured: true, guest: false, offer: Some(&sasl) };
        assert_eq!(offer(&context).as_ref().map(Payload::as_str), expected);
    }

    #[tokio::test]
    async fn the_bindings_of_the_connection_are_told_stronger_first() {
        let facts = ConnectionFacts { encrypted: true, exporter: Some([7; 32]), end_point: Some(vec![1]) };
        let both = "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
                    <channel-binding type='tls-server-end-point'/></sasl-channel-binding>";
        check(facts, Some(both)).await;
    }

    #[tokio::test]
    async fn nothing_is_told_where_nothing_can_be_bound() {
        check(ConnectionFacts::default(), None).await;
    }
}
