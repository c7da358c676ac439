//! The runner itself, against a server that says what it is told to say, whatever it hears.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Failure, play};
use crate::client::Target;
use crate::scenario::Scenario;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' id='1' from='h'>";

/// Plays steps against a server that sends `says` and closes.
fn outcome(steps: &str, says: &str) -> Result<(), Failure> {
    let scenario = Scenario::parse("x.txt", &format!("title: x\n{steps}")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let says = says.to_owned();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = Vec::new();
            // The runner may reset the connection when it is done.
            stream.read_to_end(&mut heard).await.ok();
        });
        let target = Target { addr, tls_addr: addr, host: "h".to_owned(), host2: "h2".to_owned() };
        let result = play(&scenario, &target, None).await.result;
        server.await.unwrap();
        result
    })
}

const OPEN: &str = "S opens a TCP connection\nS opens a stream\n";

#[track_caller]
fn passes(steps: &str, says: &str) {
    if let Err(failure) = outcome(&format!("{OPEN}{steps}"), says) {
        panic!("{}: {}\n{}", failure.line, failure.why, failure.transcript);
    }
}

#[track_caller]
fn fails(steps: &str, says: &str, line: usize, why: &str) {
    let failure = outcome(&format!("{OPEN}{steps}"), says).expect_err("it passed");
    assert_eq!(failure.line, line, "{}", failure.why);
    assert!(failure.why.contains(why), "{}", failure.why);
    assert!(failure.transcript.contains("<- "), "{}", failure.transcript);
}

#[test]
fn what_is_expected_passes() {
    passes(
        "S receives stream header: from=\"${host}\" to=\"!absent\" id=\"!set id\"\n\
         S receives: <a id='${id}'/>\nS receives in any order: <c/><b/>\nS receives the stream close\n\
         S sees the connection closed\n",
        &format!("{HEADER}<a id='1'/><b/><c/></stream:stream>"),
    );
    passes(
        "S receives stream error after header: reset | host-gone\n",
        &format!(
            "{HEADER}<stream:error><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
             </stream:stream>"
        ),
    );
    passes("S receives stream header\nS ignores: <b/>\nS receives: <a/>\n", &format!("{HEADER}<b/><a/><b/>"));
}

#[test]
fn what_is_not_expected_fails_on_its_line() {
    let header = "S receives stream header\n";
    fails("S receives: <a/>\n", HEADER, 4, "a stream header came");
    fails(&format!("{header}S receives: <a/>\n"), &format!("{HEADER}<b/>"), 5, "expected <a/>");
    fails(&format!("{header}S receives: <a/>\n"), HEADER, 5, "the server closed the connection");
    fails(&format!("{header}S sees the connection closed\n"), &format!("{HEADER}<b/>"), 5, "this came: <b");
    fails(
        &format!("{header}S receives in any order: <a/><b/>\n"),
        &format!("{HEADER}<b/><b/>"),
        5,
        "nothing fits",
    );
    fails("S receives stream header: id=\"2\"\n", HEADER, 4, "id is");
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    fails(
        "S receives stream error after header: reset\n",
        &format!("{HEADER}{error}"),
        4,
        "</stream:stream>",
    );
    fails(&format!("{header}S receives nothing\n"), HEADER, 5, "needs a bound client");
}

#[test]
fn a_server_that_sends_bad_xml_fails() {
    let steps = "S receives stream header\nS receives: <a/>\n";
    for bad in ["<!-- c --><a/>", "<p:a/>", "text<a/>", "<a></b>"] {
        fails(steps, &format!("{HEADER}{bad}"), 5, "may not send");
    }
    fails(
        "S receives stream header\n",
        "<stream:stream xmlns:stream='urn:x'>",
        4,
        "expected a stream header",
    );
}
