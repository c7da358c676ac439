//! The client's end of a stream: connection, TLS, SASL, and the steps up to a bound resource.

mod connection;
mod login;
mod sasl;
mod scram;
mod tls;

pub(crate) use connection::{Connection, Received, deadline_in};
pub(crate) use login::{Credentials, Target, open_stream_xml, xml_of_presence};
pub(crate) use sasl::{SaslRequest, authenticate, best_mechanism};
pub(crate) use tls::TlsOptions;
