//! XEP-0092: Software Version, version 1.1.   https://xmpp.org/extensions/xep-0092.html

use hearth_core::iq::{Entity, Reply, Verb};
use hearth_core::live::Live;
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_wire::{Payload, XmlWriter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Says which server this is.
pub(crate) const MODULE: Module = Module {
    name: "version",
    xeps: &[Xep { number: 92, version: "1.1", support: Support::Complete, title: "Software Version" }],
    needs: &["disco"],
    register,
};

const NS: &str = "jabber:iq:version";

/// What the server tells of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The operating system, as it is told to everybody who asks; empty: it is not told.
    os: String,
}

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let config: Live<Config> = m.config(|_| Ok(()))?;
    m.feature(Entity::Server, NS);
    m.iq(Verb::Get, Entity::Server, (NS, "query"), move |_| {
        let answer = answer(&config.now());
        async { Ok(Reply::Result(answer)) }
    })
}

/// §2; §5: the operating system only when somebody wants it told.
fn answer(config: &Config) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("query", NS).open("name", NS).text("Hearth").close();
    writer.open("version", NS).text(env!("CARGO_PKG_VERSION")).close();
    if !config.os.is_empty() {
        writer.open("os", NS).text(&config.os).close();
    }
    writer.close();
    writer.into_payload()
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;

    async fn check(config: &str, os: &str) {
        let scene = Scene::new(config).await;
        let romeo = scene.login("romeo").await;
        romeo
            .send("<iq type='get' id='v1' to='verona.example'><query xmlns='jabber:iq:version'/></iq>")
            .await;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            romeo.receive(),
            format!(
                "<iq from='verona.example' to='romeo@verona.example/r' id='v1' type='result'>\
                 <query xmlns='jabber:iq:version'><name>Hearth</name><version>{version}</version>{os}</query></iq>"
            )
        );
    }

    #[tokio::test]
    async fn name_and_version_are_told() {
        check("", "").await;
    }

    #[tokio::test]
    async fn the_operating_system_is_told_when_it_is_configured() {
        check("[version]\nos = \"Plan 9\"", "<os>Plan 9</os>").await;
    }
}
