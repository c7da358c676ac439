//! XEP-0202: Entity Time, version 2.0.   https://xmpp.org/extensions/xep-0202.html

use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::offline::stamp;
use hearth_wire::XmlWriter;

/// Tells the time.
pub(crate) const MODULE: Module = Module {
    name: "time",
    xeps: &[Xep { number: 202, version: "2.0", support: Support::Complete, title: "Entity Time" }],
    needs: &["disco"],
    register,
};

const NS: &str = "urn:xmpp:time";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.feature(Entity::Server, NS);
    m.iq(Verb::Get, Entity::Server, (NS, "time"), answer)
}

/// §2. The server has no place of its own, so its zone is UTC (§6).
async fn answer(call: IqCall) -> IqResult {
    let mut writer = XmlWriter::new();
    writer.open("time", NS).open("tzo", NS).text("+00:00").close();
    writer.open("utc", NS).text(&stamp(call.server.now_ms())).close().close();
    Ok(Reply::Result(writer.into_payload()))
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;

    #[tokio::test]
    async fn the_time_is_told_in_utc() {
        let scene = Scene::new("").await;
        let romeo = scene.login("romeo").await;
        scene.clock.set(1_166_551_115_250);
        romeo.send("<iq type='get' id='t1' to='verona.example'><time xmlns='urn:xmpp:time'/></iq>").await;
        let answer = romeo.receive();
        let time = "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2006-12-19T17:58:35.250Z</utc></time>";
        assert!(answer.contains(time), "{answer}");
    }
}
