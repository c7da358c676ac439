//! A server without sockets: the core's own module and one that keeps every message that nobody takes, a clock that
//! stands still, and the clients of `hearth_core::testing`.

#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test program uses what it needs")]

use std::sync::Arc;

use hearth_core::clock::ManualClock;
use hearth_core::module::{Module, Registrar, SetupError};
use hearth_core::plan::Plan;
use hearth_core::server::{Parts, Server, Settings};
use hearth_core::stage::{Interest, Passage, Stage, Step};
use hearth_core::{account_table, im};
use hearth_store::{Migrations, Store};
use hearth_wire::BareJid;

pub use hearth_core::testing::{Client, hosts, keys, short, stanza};

pub const DOMAIN: &str = "verona.example";

/// Messages with an element of this namespace are never kept.
pub const FLEETING: &str = "urn:example:fleeting";

/// Keeps what nobody takes.
const KEEPER: Module = Module { name: "keeper", xeps: &[], needs: &[], register: keep_all };

fn keep_all(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.hook(Stage::Unclaimed, Interest::MESSAGE, |passage: &mut Passage<'_>| {
        if passage.stanza.payload.has_namespace(FLEETING) { Step::Next } else { Step::Keep }
    })
}

pub const MIGRATIONS: [Migrations; 1] = [account_table::MIGRATIONS];

pub async fn server() -> Arc<Server> {
    server_on(Store::in_memory(&MIGRATIONS).unwrap()).await
}

pub async fn server_on(store: Store) -> Arc<Server> {
    server_with(store, Settings::default()).await
}

pub async fn server_with(store: Store, settings: Settings) -> Arc<Server> {
    let plan = Plan::build(&[im::MODULE, KEEPER], &Default::default()).unwrap();
    let (hosts, clock) = (hosts(&[(DOMAIN, true)]), Arc::new(ManualClock::default()));
    Server::new(Parts { plan, hosts, store, clock, settings }).await.unwrap()
}

pub fn bare(name: &str) -> BareJid {
    BareJid::from_parts(Some(name), DOMAIN).unwrap()
}

pub async fn accounts(server: &Server, names: &[&str]) {
    for name in names {
        server.create_account(&bare(name), keys()).await.unwrap();
    }
}

/// A chat message with its text as id too.
pub fn chat(to: &str, text: &str) -> String {
    format!("<message to='{to}@{DOMAIN}' type='chat' id='{text}'><body>{text}</body></message>")
}

/// Small, fast, and the same for the same seed (xorshift).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// A server with romeo, who is connected, and juliet, who is not.
pub async fn two() -> (Arc<Server>, Client) {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let romeo = Client::bind(&server, "romeo", "r").await;
    (server, romeo)
}

/// The messages among what a client read, each as its id, and its type unless that is `chat`.
pub fn messages(lines: &str) -> Vec<String> {
    lines
        .lines()
        .filter_map(|line| line.strip_prefix("message "))
        .map(|line| line.replace(" chat", ""))
        .collect()
}
