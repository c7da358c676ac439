//! The socket from end to end, on a server without listeners.

use std::os::unix::fs::PermissionsExt as _;

use hearth_core::clock::SystemClock;
use hearth_core::control::Order;
use hearth_core::host::{HostConfig, Hosts};
use hearth_core::server::{Parts, Settings};
use hearth_store::Store;

use super::protocol::{Kind, Secret};
use super::*;
use crate::program::modules::{self, Sections};

async fn server() -> Arc<Server> {
    let plan = modules::plan(&Sections::new()).unwrap();
    let host = HostConfig { domain: "a.example".into(), anonymous: false, see_other_host: None };
    let store = Store::in_memory(&modules::migrations(&plan)).unwrap();
    let hosts = Hosts::new(&[host]).unwrap();
    let (clock, settings) = (Arc::new(SystemClock), Settings::default());
    Server::new(Parts { plan, hosts, store, clock, settings }).await.unwrap()
}

fn request(command: &str, values: &[(&str, &str)]) -> Request {
    let value = |text: &str| Secret(Zeroizing::new(text.to_owned()));
    let values = values.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    Request { command: command.to_owned(), values }
}

/// A blocking call beside the server.
async fn call(path: &Path, request: Request) -> Response {
    let path = path.to_owned();
    let work = move || client::call(&path, &request).unwrap().unwrap();
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn commands_come_through_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door/hearth.sock");
    let running = server().await;
    let door = Door::open(&path, Arc::clone(&running)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(client::is_there(&path).unwrap());
    let add = || request("account add", &[("accountjid", "me@a.example"), ("password", "secret")]);
    let Response::Done { text, .. } = call(&path, add()).await else { panic!("not made") };
    assert_eq!(text, "me@a.example was made");
    let again = call(&path, add()).await;
    assert_eq!(again, Response::failed(Kind::Conflict, "me@a.example exists already"));
    let Response::Done { columns, rows, .. } = call(&path, request("account list", &[])).await else {
        panic!("no list")
    };
    assert_eq!((columns[0].as_str(), rows[0][0].as_str()), ("account", "me@a.example"));
    let addresses: Vec<_> = ["[::]:5222", "127.0.0.1:1"].map(|address| address.parse().unwrap()).to_vec();
    running.control().set_listening(addresses.clone());
    let asked = path.clone();
    let told = tokio::task::spawn_blocking(move || client::listening(&asked)).await.unwrap();
    assert_eq!(told, Some(addresses));
    let unknown = call(&path, request("account sell", &[])).await;
    assert_eq!(unknown, Response::failed(Kind::Usage, "there is no command `account sell`"));
    drop(door);
    assert!(!path.exists());
    assert!(!client::is_there(&path).unwrap(), "no server, no error");
    assert!(client::call(&path, &add()).unwrap().is_none());
}

#[tokio::test]
async fn stop_is_answered_and_then_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    let path = dir.path().join("hearth.sock");
    let server = server().await;
    let mut orders = server.control().take_orders().unwrap();
    let door = Door::open(&path, Arc::clone(&server)).unwrap();
    let stopping = call(&path, request("stop", &[]));
    let program = async {
        assert!(matches!(orders.recv().await, Some(Order::Stop)));
        drop(door);
    };
    let (response, ()) = tokio::join!(stopping, program);
    assert!(response.is_done(), "{response:?}");
}

#[tokio::test]
async fn what_is_no_request_is_told_and_ends_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d/hearth.sock");
    let _door = Door::open(&path, server().await).unwrap();
    for bad in [&b"what?\n"[..], b"{\"command\":\"x\",\"password\":\"hunter2\"}\n", b"\xff\n"] {
        let stream = UnixStream::connect(&path).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(bad).await.unwrap();
        let mut answer = String::new();
        reader.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("{\"failed\":{\"kind\":\"usage\""), "{answer}");
        assert!(!answer.contains("hunter2"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d/hearth.sock");
    let _door = Door::open(&path, server().await).unwrap();
    let (mut reader, mut writer) = UnixStream::connect(&path).await.unwrap().into_split();
    let flood = tokio::spawn(async move {
        let block = vec![b' '; 1 << 20];
        // fails once the other side has closed
        while writer.write_all(&block).await.is_ok() {}
    });
    let mut answer = Vec::new();
    // the rest of the flood may reset the connection behind the answer
    let _ = reader.read_to_end(&mut answer).await;
    flood.await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"{\"failed\""), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_place_that_others_may_enter_is_refused_and_a_dead_socket_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("hearth.sock");
    let server = server().await;
    let refused = Door::open(&path, Arc::clone(&server)).unwrap_err();
    assert!(matches!(refused, DoorError::Open(_)), "{refused}");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let _door = Door::open(&path, Arc::clone(&server)).unwrap();
    let second = Door::open(&path, server).unwrap_err();
    assert!(matches!(second, DoorError::InUse(_)), "{second}");
}

#[tokio::test]
async fn who_says_nothing_is_not_in_the_way_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d/hearth.sock");
    let _door = Door::open(&path, server().await).unwrap();
    let mut silent = Vec::new();
    for _ in 0..2 * COMMANDS_MAX {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    assert!(call(&path, request("status", &[])).await.is_done());
}

#[tokio::test]
async fn the_server_is_stopped_however_busy_it_is() {
    let server = server().await;
    let mut orders = server.control().take_orders().unwrap();
    let desk = Arc::new(Desk { server, commands: Semaphore::new(0) });
    let mut callers = Vec::new();
    for command in ["status", "stop"] {
        let (mut near, far) = UnixStream::pair().unwrap();
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.serve(far).await });
        near.write_all(&request(command, &[]).to_line()).await.unwrap();
        callers.push(near);
    }
    assert!(matches!(orders.recv().await, Some(Order::Stop)));
    let mut answer = [0; 7];
    callers[1].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"{\"done\"");
    assert!(callers[0].try_read(&mut answer).is_err(), "the other one still waits for its turn");
}

#[tokio::test(start_paused = true)]
async fn who_connects_without_a_request_is_shown_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d/hearth.sock");
    let _door = Door::open(&path, server().await).unwrap();
    let mut silent = UnixStream::connect(&path).await.unwrap();
    silent.write_all(b"{\"command\":").await.unwrap();
    // the clock runs on by itself while everybody waits
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
}
