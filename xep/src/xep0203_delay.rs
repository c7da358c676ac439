//! XEP-0203: Delayed Delivery, version 2.0.   https://xmpp.org/extensions/xep-0203.html
//!
//! What the server kept for later says so. A mark that claims to be ours and is not is taken off (§5).

use std::sync::Arc;

use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::stage::{Interest, Passage, Stage, Step};
use hearth_wire::{Child, Payload};

use crate::vocab::delay;

/// Marks what waited.
pub(crate) const MODULE: Module = Module {
    name: "delay",
    xeps: &[Xep { number: 203, version: "2.0", support: Support::Complete, title: "Delayed Delivery" }],
    needs: &[],
    register,
};

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.stamp(delay::write)?;
    m.hook(Stage::InAmend, Interest::MESSAGE.and(Interest::PRESENCE).holding(delay::NS), take_off)
}

/// Takes off marks in the name of the recipient's own server: none was put on yet.
fn take_off(passage: &mut Passage<'_>) -> Step {
    let own = passage.host.domain.as_str();
    if let Some(rest) = passage.stanza.payload.retain(|payload, child| !is_in_name_of(own, payload, child)) {
        passage.stanza.payload = Arc::new(rest);
    }
    Step::Next
}

fn is_in_name_of(domain: &str, payload: &Payload, child: Child) -> bool {
    delay::keeper(payload, child).is_some_and(|keeper| keeper.eq_str(domain))
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;

    const STAMP: &str = "stamp='2002-09-10T23:08:25Z'";

    #[tokio::test]
    async fn a_mark_in_the_name_of_the_server_is_taken_off_and_others_stay() {
        let scene = Scene::new("").await;
        let (romeo, juliet) = (scene.login("romeo").await, scene.login("juliet").await);
        let own = format!("<delay xmlns='urn:xmpp:delay' from='Verona.example' {STAMP}/>");
        let other = format!("<delay xmlns='urn:xmpp:delay' from='rooms.verona.example' {STAMP}/>");
        romeo
            .send(&format!("<message to='{}' id='m1'>{own}{other}<body>hi</body></message>", juliet.jid()))
            .await;
        let kept = other.replace(STAMP, "").replace("/>", "");
        let message = juliet.receive();
        assert!(message.contains(kept.trim()) && !message.contains("from='Verona.example'"), "{message}");
    }

    #[tokio::test]
    async fn what_waited_is_marked_by_the_server() {
        let scene = Scene::new("").await;
        let romeo = scene.login("romeo").await;
        scene.account("juliet").await;
        scene.clock.set(1_031_699_305_000);
        romeo.send("<message to='juliet@verona.example' id='m1'><body>hi</body></message>").await;
        let juliet = scene.login("juliet").await;
        juliet.available().await;
        let mark = "<delay xmlns='urn:xmpp:delay' from='verona.example' stamp='2002-09-10T23:08:25.000Z'/>";
        let message = juliet.receive_soon().await;
        assert!(message.contains("<body>hi</body>") && message.contains(mark), "{message}");
    }
}
