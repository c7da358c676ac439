//! Zones on a name server of the test's own, asked by the real resolver.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable as _, BinEncodable as _};

use super::*;

const PUBLIC: &str = "[[host]]\ndomain = 'hearth.im'\n[[listen]]\naddress = '[::]:5222'\n\
                      [[listen]]\naddress = '[::]:5223'\nencryption = 'direct'\n";

/// A name server with these lines: `name SRV port target`, `name A address`. It serves until the test program ends.
fn name_server(zone: &'static [&'static str]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((bytes, peer)) = socket.recv_from(&mut buffer) {
            let answer = answer(zone, &Message::from_bytes(&buffer[..bytes]).unwrap());
            socket.send_to(&answer.to_bytes().unwrap(), peer).unwrap();
        }
    });
    address
}

fn answer(zone: &[&str], question: &Message) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    for line in zone {
        let words: Vec<&str> = line.split(' ').collect();
        let name = Name::from_ascii(words[0]).unwrap();
        let (kind, data) = match words[1] {
            "SRV" => {
                let target = Name::from_ascii(words[3]).unwrap();
                (RecordType::SRV, RData::SRV(SRV::new(0, 5, words[2].parse().unwrap(), target)))
            }
            "A" => (RecordType::A, RData::A(A(words[2].parse::<Ipv4Addr>().unwrap()))),
            other => panic!("{other}"),
        };
        if *query.name() == name && query.query_type() == kind {
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
    }
    if answer.answers.is_empty() && !zone.iter().any(|line| line.starts_with(&query.name().to_ascii())) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.add_query(query);
    answer
}

fn ask(address: SocketAddr) -> Whom {
    let mut connection = ConnectionConfig::udp();
    connection.port = address.port();
    let server = NameServerConfig::new(address.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    Resolver::builder_with_config(config, TokioRuntimeProvider::default())
}

fn found(config: &str, whom: Option<Whom>) -> Vec<(Severity, String)> {
    let config = toml::from_str(config).unwrap();
    let mut found = Findings::default();
    check(&config, whom.map(Ok), &mut found);
    found
        .0
        .into_iter()
        .map(|finding| {
            assert!(
                finding.severity == Severity::Note || !finding.fix.is_empty(),
                "without a fix: {finding:?}"
            );
            (finding.severity, finding.text)
        })
        .collect()
}

#[track_caller]
fn check_zone(config: &str, zone: &'static [&'static str], expected: &[(Severity, &str)]) {
    let found = found(config, Some(ask(name_server(zone))));
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((severity, text), (expected_severity, part)) in found.iter().zip(expected) {
        assert!(severity == expected_severity && text.contains(part), "{part} in {found:#?}");
    }
}

#[test]
fn records_that_fit_are_told() {
    let zone = &[
        "_xmpp-client._tcp.hearth.im. SRV 5222 chat.hearth.im.",
        "_xmpps-client._tcp.hearth.im. SRV 5223 chat.hearth.im.",
        "chat.hearth.im. A 127.0.0.1",
    ];
    let expected = [
        (Severity::Note, "_xmpp-client._tcp.hearth.im. leads to chat.hearth.im:5222 (127.0.0.1)"),
        (Severity::Note, "_xmpps-client._tcp.hearth.im. leads to chat.hearth.im:5223 (127.0.0.1)"),
    ];
    check_zone(PUBLIC, zone, &expected);
}

#[test]
fn records_that_do_not_fit_are_named() {
    let zone = &[
        "_xmpp-client._tcp.hearth.im. SRV 5299 chat.hearth.im.",
        "_xmpp-client._tcp.hearth.im. SRV 5222 gone.hearth.im.",
        "_xmpps-client._tcp.hearth.im. SRV 0 .",
        "chat.hearth.im. A 192.0.2.1",
    ];
    let expected = [
        (Severity::Warning, "names port 5299; such listeners are on 5222"),
        (Severity::Warning, "names gone.hearth.im, which has no address"),
        (Severity::Warning, "_xmpps-client._tcp.hearth.im. says that there is no such service"),
        (Severity::Note, "no address of it is this machine's own"),
    ];
    check_zone(PUBLIC, zone, &expected);
    let starttls_only = "[[host]]\ndomain = 'hearth.im'\n[[listen]]\naddress = '[::]:5222'\n";
    let zone = &[
        "_xmpp-client._tcp.hearth.im. SRV 5222 hearth.im.",
        "_xmpps-client._tcp.hearth.im. SRV 443 hearth.im.",
        "hearth.im. A 127.0.0.1",
    ];
    let expected =
        [(Severity::Note, "leads to hearth.im:5222"), (Severity::Warning, "hearth.im:443, and no listener")];
    check_zone(starttls_only, zone, &expected);
}

#[test]
fn without_records_the_domain_itself_counts() {
    let address = &["hearth.im. A 127.0.0.1"];
    check_zone(PUBLIC, address, &[(Severity::Note, "clients use hearth.im:5222 (127.0.0.1)")]);
    let other = PUBLIC.replace("5222", "5269");
    check_zone(&other, address, &[(Severity::Warning, "no listener is on port 5222")]);
    check_zone(PUBLIC, &[], &[(Severity::Warning, "neither an SRV record nor an address")]);
    let one = &["_xmpp-client._tcp.hearth.im. SRV 5222 hearth.im.", "hearth.im. A 127.0.0.1"];
    let expected = [
        (Severity::Note, "leads to hearth.im:5222"),
        (Severity::Note, "`_xmpps-client._tcp.hearth.im. SRV 0 5 5223 hearth.im.` would tell them"),
    ];
    check_zone(PUBLIC, one, &expected);
}

#[test]
fn who_does_not_answer_is_not_waited_for_long() {
    // nobody is at this address any more: the system says so at once
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = found(PUBLIC, Some(ask(silent)));
    assert!(
        matches!(found.as_slice(), [(Severity::Warning, text)] if text.contains("hearth.im could not be looked up")),
        "{found:#?}"
    );
}

#[test]
fn reserved_names_and_private_servers_are_not_looked_up() {
    let nobody = || Some(ask("127.0.0.1:9".parse().unwrap()));
    assert_eq!(found(&PUBLIC.replace("hearth.im", "a.test"), nobody()), []);
    assert_eq!(found(PUBLIC, None), []);
    let local = found("[[host]]\ndomain = 'hearth.im'\n[[listen]]\naddress = '127.0.0.1:5222'\n", nobody());
    assert!(
        matches!(local.as_slice(), [(Severity::Note, text)] if text.contains("was not asked")),
        "{local:?}"
    );
}
