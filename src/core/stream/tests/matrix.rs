//! Everything that can happen, in every state: what comes out is the golden file `matrix.txt`.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::{
    ABORT, BIND, CLOSE, HEADER, MESSAGE, PLAIN, PLAIN_LATER, RESPONSE, STARTTLS, Script, StartTls, server,
};

/// Each state, by the way to it on a connection in plain text where STARTTLS is required.
const STATES: [(&str, &[&str]); 12] = [
    ("Opening", &[]),
    ("Negotiating, in plain text", &[HEADER]),
    ("Securing", &[HEADER, STARTTLS]),
    ("Opening again, secured", &[HEADER, STARTTLS, "secured"]),
    ("Negotiating, secured", &[HEADER, STARTTLS, "secured", HEADER]),
    ("Authenticating", &[HEADER, STARTTLS, "secured", HEADER, PLAIN_LATER]),
    ("LookingUp", &[HEADER, STARTTLS, "secured", HEADER, PLAIN]),
    ("Unbound", &[HEADER, STARTTLS, "secured", HEADER, PLAIN, "found", HEADER]),
    ("Binding", &[HEADER, STARTTLS, "secured", HEADER, PLAIN, "found", HEADER, BIND]),
    ("Live", &[HEADER, STARTTLS, "secured", HEADER, PLAIN, "found", HEADER, BIND, "bound"]),
    ("Closing", &[HEADER, "shutdown"]),
    ("Closed", &[HEADER, CLOSE]),
];

/// Name and what happens.
pub(super) const EVENTS: [(&str, &str); 23] = [
    ("header", HEADER),
    ("starttls", STARTTLS),
    ("auth", PLAIN),
    ("auth without data", PLAIN_LATER),
    ("response", RESPONSE),
    ("abort", ABORT),
    ("bind", BIND),
    ("message", MESSAGE),
    ("iq before login", "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>"),
    ("message from another", "<message from='romeo@a.example'/>"),
    ("message of another content", "<message xmlns='jabber:server'/>"),
    ("unknown element", "<x xmlns='urn:x'/>"),
    ("error of the client", "<error xmlns='http://etherx.jabber.org/streams'/>"),
    ("misbehaviour", "<!-- -->"),
    ("close", "gone"),
    ("secured", "secured"),
    ("account found", "found"),
    ("account unknown", "unknown"),
    ("bound", "bound"),
    ("bind refused", "conflict"),
    ("answered", "answered"),
    ("time is up", "time is up"),
    ("shutdown", "shutdown"),
];

#[tokio::test]
async fn every_state_answers_everything_that_can_happen() {
    let server = server().await;
    let mut table = String::new();
    for (state, way) in STATES {
        let _ = writeln!(table, "{state}");
        for (name, what) in EVENTS {
            let mut script = Script::new(&server, StartTls::Required, false);
            way.iter().for_each(|what| script.happens(what));
            if what == HEADER {
                // as the first thing of a document, wherever the machine stands
                script.framer.restart();
            } else if script.lines.last().is_none_or(|line| line == "restart") {
                // behind a header that the machine never got
                assert!(script.framer.next(&mut HEADER.as_bytes()).is_ok());
            }
            script.lines.clear();
            script.happens(what);
            let out = if script.lines.is_empty() { "-".to_owned() } else { script.lines.join("; ") };
            let _ = writeln!(table, "  {name}: {out}");
        }
    }
    expect_file!["matrix.txt"].assert_eq(&table);
}
