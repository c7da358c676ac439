//! The end of a session and of the server: what was asked before is answered, what was begun is done.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, DOMAIN, MIGRATIONS, accounts, hosts, server};
use hearth_core::clock::ManualClock;
use hearth_core::ended::Ended;
use hearth_core::im;
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::module::{Module, Registrar, SetupError};
use hearth_core::outbox::End;
use hearth_core::plan::Plan;
use hearth_core::server::{Parts, Server, Settings};
use hearth_store::Store;
use tokio::sync::oneshot;

/// Ends the session of whoever asks for it, as an admin's `stop` may do before its own answer is there.
const ENDER: Module = Module { name: "ender", xeps: &[], needs: &[], register: end_at_request };

fn end_at_request(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.iq(Verb::Set, Entity::Server, ("urn:example:end", "end"), end)
}

async fn end(call: IqCall) -> IqResult {
    let session = call.session.as_ref().unwrap();
    session.outbox.end(End { condition: None, text: None, why: Ended::Shutdown });
    Ok(Reply::empty())
}

async fn server_that_ends() -> Arc<Server> {
    let plan = Plan::build(&[im::MODULE, ENDER], &Default::default()).unwrap();
    let store = Store::in_memory(&MIGRATIONS).unwrap();
    let (hosts, clock) = (hosts(&[(DOMAIN, true)]), Arc::new(ManualClock::default()));
    Server::new(Parts { plan, hosts, store, clock, settings: Settings::default() }).await.unwrap()
}

#[tokio::test]
async fn who_is_told_to_end_by_its_own_request_gets_the_answer_first() {
    let server = server_that_ends().await;
    accounts(&server, &["escalus"]).await;
    let mut admin = Client::bind(&server, "escalus", "palace").await;
    admin.send(&format!("<iq type='set' id='e1' to='{DOMAIN}'><end xmlns='urn:example:end'/></iq>")).await;
    admin.take(usize::MAX);
    assert_eq!(admin.end.as_ref().map(|end| end.why), Some(Ended::Shutdown));
    assert!(admin.write().unwrap().contains("id='e1' "), "the answer goes out before the end");
    admin.send(&format!("<iq type='set' id='e2' to='{DOMAIN}'><end xmlns='urn:example:end'/></iq>")).await;
    admin.take(usize::MAX);
    assert_eq!(admin.write(), None, "nothing comes behind the end");
    assert_eq!(server.metrics().dropped_session.value(), 1, "and that is counted");
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_was_begun_but_not_for_ever() {
    let server = server().await;
    let (done, may_end) = oneshot::channel::<()>();
    server.spawn(async move {
        may_end.await.unwrap();
    });
    assert!(!server.finish(Duration::from_secs(10)).await, "it is not done");
    let (finished, ()) =
        tokio::join!(server.finish(Duration::from_secs(10)), async { done.send(()).unwrap() });
    assert!(finished);
}
