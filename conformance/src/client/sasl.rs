//! A SASL exchange as a client, RFC 6120 §6: everything up to the server's last word.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::time::Instant;

use super::connection::{Connection, Received};
use super::scram::{Hash, Scram, ScramRequest};
use crate::scenario::random_hex;
use crate::xml::{Element, SASL, escape};

/// Mechanisms in the order in which `connects` likes them: cheap for the machine that runs the tests.
const PREFERRED: &[&str] = &["SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-512", "PLAIN"];

/// Who logs in, and how.
#[derive(Clone, Debug)]
pub(crate) struct SaslRequest {
    pub(crate) mechanism: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) authzid: Option<String>,
    /// Type of channel binding, for mechanisms in `-PLUS`.
    pub(crate) binding: String,
    /// `n` or `y`, for the others.
    pub(crate) flag: char,
}

/// A mechanism that the server offers and we speak.
pub(crate) fn best_mechanism(features: &Element) -> Result<String, String> {
    let offered: Vec<String> = features
        .child(SASL, "mechanisms")
        .map(|list| list.children().map(Element::text).collect())
        .unwrap_or_default();
    PREFERRED
        .iter()
        .find(|mechanism| offered.iter().any(|other| other == *mechanism))
        .map(|mechanism| (*mechanism).to_owned())
        .ok_or_else(|| format!("no mechanism that we speak is offered: {offered:?}"))
}

/// Runs the exchange and returns `<success/>` or `<failure/>`; a wrong proof of the server is an error.
pub(crate) async fn authenticate(
    connection: &mut Connection,
    request: &SaslRequest,
    deadline: Instant,
) -> Result<Element, String> {
    let mut scram = scram(connection, request)?;
    let first = match &scram {
        Some(scram) => scram.first(),
        None if request.mechanism == "PLAIN" => plain(request),
        None if request.mechanism == "ANONYMOUS" => String::new(),
        None => return Err(format!("the runner does not speak {}", request.mechanism)),
    };
    let mechanism = escape(&request.mechanism);
    // An empty initial response is written as "=", RFC 6120 §6.4.2.
    let initial = if first.is_empty() { "=".to_owned() } else { STANDARD.encode(first) };
    send(connection, &format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>{initial}</auth>"), deadline)
        .await?;
    let mut answered = false;
    loop {
        let element = next_element(connection, deadline).await?;
        let said = decode(&element)?;
        match (element.name.as_str(), &mut scram) {
            ("challenge", Some(scram)) if !answered => {
                answered = true;
                let last = STANDARD.encode(scram.last(&said)?);
                send(connection, &format!("<response xmlns='{SASL}'>{last}</response>"), deadline).await?;
            }
            // A server may send its proof in a challenge of its own (RFC 6120 §6.4.6 allows both).
            ("challenge", Some(scram)) => {
                scram.check(&said)?;
                send(connection, &format!("<response xmlns='{SASL}'/>"), deadline).await?;
            }
            ("success", Some(scram)) if !said.is_empty() => {
                scram.check(&said)?;
                return Ok(element);
            }
            ("success" | "failure", _) => return Ok(element),
            _ => return Err(format!("{element} is no answer to our SASL step")),
        }
    }
}

fn plain(request: &SaslRequest) -> String {
    let authzid = request.authzid.as_deref().unwrap_or_default();
    format!("{authzid}\0{}\0{}", request.username, request.password)
}

fn scram(connection: &Connection, request: &SaslRequest) -> Result<Option<Scram>, String> {
    let Some(hash) = Hash::of(&request.mechanism) else { return Ok(None) };
    let plus = request.mechanism.ends_with("-PLUS");
    let (flag, binding_data) = if plus {
        (format!("p={}", request.binding), binding_data(connection, &request.binding)?)
    } else {
        (request.flag.to_string(), Vec::new())
    };
    let request = ScramRequest {
        username: &request.username,
        password: &request.password,
        authzid: request.authzid.as_deref(),
        flag: &flag,
        binding_data,
        nonce: random_hex(32)?,
    };
    Scram::new(hash, request).map(Some)
}

fn binding_data(connection: &Connection, kind: &str) -> Result<Vec<u8>, String> {
    match kind {
        "tls-exporter" => connection.tls_exporter(),
        "tls-server-end-point" => {
            let certificate = connection.peer_certificate().ok_or("no TLS to bind to")?;
            end_point(&certificate)
        }
        other => Err(format!("the runner does not know the channel binding {other}")),
    }
}

/// RFC 5929 §4.1: the hash of the certificate's own signature, SHA-256 where that is weaker.
fn end_point(certificate: &[u8]) -> Result<Vec<u8>, String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    Ok(match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        _ => Sha256::digest(certificate).to_vec(),
    })
}

fn decode(element: &Element) -> Result<String, String> {
    let text = element.text();
    if element.name == "failure" || text == "=" || text.is_empty() {
        return Ok(String::new());
    }
    let bytes = STANDARD.decode(&text).map_err(|_| format!("not base64: {element}"))?;
    String::from_utf8(bytes).map_err(|_| format!("not UTF-8: {element}"))
}

async fn send(connection: &mut Connection, xml: &str, deadline: Instant) -> Result<(), String> {
    connection.send(xml.as_bytes(), deadline).await
}

async fn next_element(connection: &mut Connection, deadline: Instant) -> Result<Element, String> {
    match connection.next(deadline).await {
        Some(Received::Element(element)) if element.ns == SASL => Ok(element),
        other => Err(format!("SASL: expected the server's answer, got {other:?}")),
    }
}
