//! A SCRAM client whose every message a test can bend.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sasl::{Password, ScramHash};

#[derive(Clone)]
pub(super) struct Client {
    pub(super) hash: ScramHash,
    pub(super) gs2_header: &'static str,
    pub(super) channel: Vec<u8>,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
}

impl Client {
    pub(super) fn new(hash: ScramHash) -> Self {
        Self { hash, gs2_header: "n,,", channel: Vec::new(), username: "juliet", password: "r0m30myr0m30" }
    }

    pub(super) fn first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2_header, self.first_bare()).into_bytes()
    }

    fn first_bare(&self) -> String {
        format!("n={},r=cnonce", self.username)
    }

    /// The final message, and the server's signature to expect.
    pub(super) fn last(&self, server_first: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let server_first = std::str::from_utf8(server_first).unwrap();
        let field = |letter| server_first.split(',').find_map(|f| f.strip_prefix(letter)).unwrap();
        let salt = STANDARD.decode(field("s=")).unwrap();
        let password = Password::presented(self.password).unwrap();
        let salted = self.hash.salted_password(&password, &salt, field("i=").parse().unwrap());
        let cbind_input = [self.gs2_header.as_bytes(), &self.channel].concat();
        let without_proof = format!("c={},r={}", STANDARD.encode(cbind_input), field("r="));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare());
        let sign = |key: &[u8]| self.hash.hmac(key, &[auth_message.as_bytes()]);
        let client_key = self.hash.hmac(salted.as_bytes(), &[b"Client Key"]);
        let proof = client_key.clone().xor(&sign(self.hash.digest(client_key.as_bytes()).as_bytes()));
        let signature = sign(self.hash.hmac(salted.as_bytes(), &[b"Server Key"]).as_bytes());
        (
            format!("{without_proof},p={}", STANDARD.encode(proof.as_bytes())).into_bytes(),
            format!("v={}", STANDARD.encode(signature.as_bytes())).into_bytes(),
        )
    }
}
