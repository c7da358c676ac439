//! SCRAM as a client does it (RFC 5802, RFC 7677), written apart from the server's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// A server that asks for more makes the test slow, not safe.
const ITERATIONS_MAX: u32 = 1_000_000;

/// The hash in a mechanism's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    /// `SCRAM-SHA-1`, `SCRAM-SHA-256-PLUS` …
    pub(crate) fn of(mechanism: &str) -> Option<Self> {
        match mechanism.strip_suffix("-PLUS").unwrap_or(mechanism) {
            "SCRAM-SHA-1" => Some(Self::Sha1),
            "SCRAM-SHA-256" => Some(Self::Sha256),
            "SCRAM-SHA-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, String> {
        fn with<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Result<Vec<u8>, String> {
            let mut mac = <M as Mac>::new_from_slice(key).map_err(|error| error.to_string())?;
            mac.update(data);
            Ok(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Sha1 => with::<Hmac<Sha1>>(key, data),
            Self::Sha256 => with::<Hmac<Sha256>>(key, data),
            Self::Sha512 => with::<Hmac<Sha512>>(key, data),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; self.digest(b"").len()];
        match self {
            Self::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut out),
            Self::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out),
            Self::Sha512 => pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut out),
        }
        out
    }
}

/// An exchange, from the client's first message on.
pub(crate) struct Scram {
    hash: Hash,
    password: String,
    gs2_header: String,
    binding_data: Vec<u8>,
    nonce: String,
    first_bare: String,
    server_signature: Option<Vec<u8>>,
}

/// Who logs in, and what ties the exchange to the TLS session.
pub(crate) struct ScramRequest<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) authzid: Option<&'a str>,
    /// `n`, `y` or `p=tls-exporter`.
    pub(crate) flag: &'a str,
    pub(crate) binding_data: Vec<u8>,
    pub(crate) nonce: String,
}

impl Scram {
    pub(crate) fn new(hash: Hash, request: ScramRequest<'_>) -> Result<Self, String> {
        let escaped = |name: &str| name.replace('=', "=3D").replace(',', "=2C");
        let authzid = request.authzid.map(|id| format!("a={}", escaped(id))).unwrap_or_default();
        let password = stringprep::saslprep(request.password)
            .map_err(|error| format!("the password has no SASLprep form: {error}"))?;
        Ok(Self {
            hash,
            password: password.into_owned(),
            gs2_header: format!("{},{authzid},", request.flag),
            binding_data: request.binding_data,
            first_bare: format!("n={},r={}", escaped(request.username), request.nonce),
            nonce: request.nonce,
            server_signature: None,
        })
    }

    /// client-first-message
    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.gs2_header, self.first_bare)
    }

    /// server-first-message → client-final-message
    pub(crate) fn last(&mut self, server_first: &str) -> Result<String, String> {
        let bad = |what: &str| format!("bad server-first-message ({what}): {server_first}");
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or_else(|| bad("no nonce"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(bad("not our nonce, extended"));
        }
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or_else(|| bad("no salt"))?;
        let iterations = field("i=").and_then(|count| count.parse().ok()).unwrap_or(0);
        if iterations == 0 || iterations > ITERATIONS_MAX {
            return Err(bad("iterations"));
        }
        let mut bound = self.gs2_header.clone().into_bytes();
        bound.extend_from_slice(&self.binding_data);
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let salted = self.hash.salted(self.password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key")?;
        let signature = self.hash.hmac(&self.hash.digest(&client_key), auth_message.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.hash.hmac(&salted, b"Server Key")?;
        self.server_signature = Some(self.hash.hmac(&server_key, auth_message.as_bytes())?);
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks the server's proof in the server-final-message.
    pub(crate) fn check(&self, server_final: &str) -> Result<(), String> {
        let verifier = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        let verifier = verifier.and_then(|text| STANDARD.decode(text).ok());
        match (verifier, &self.server_signature) {
            (Some(told), Some(expected)) if told == *expected => Ok(()),
            _ => Err(format!("the server's signature is wrong: {server_final:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hash: Hash, nonce: &str, server_first: &str, client_last: &str, server_last: &str) {
        let request = ScramRequest {
            username: "user",
            password: "pencil",
            authzid: None,
            flag: "n",
            binding_data: Vec::new(),
            nonce: nonce.to_owned(),
        };
        let mut scram = Scram::new(hash, request).unwrap();
        assert_eq!(scram.first(), format!("n,,n=user,r={nonce}"));
        assert_eq!(scram.last(server_first).unwrap(), client_last);
        assert_eq!(scram.check(server_last), Ok(()));
        assert!(scram.check("v=AAAA").is_err());
    }

    #[test]
    fn example_of_rfc_5802() {
        check(
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn example_of_rfc_7677() {
        check(
            Hash::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
    }

    #[test]
    fn a_server_with_another_nonce_is_refused() {
        let request = ScramRequest {
            username: "a,b=c",
            password: "x",
            authzid: Some("z@h"),
            flag: "y",
            binding_data: Vec::new(),
            nonce: "abc".to_owned(),
        };
        let mut scram = Scram::new(Hash::Sha1, request).unwrap();
        assert_eq!(scram.first(), "y,a=z@h,n=a=2Cb=3Dc,r=abc");
        assert!(scram.last("r=abd1,s=QSXCR+Q6sek8bf92,i=4096").is_err());
        assert!(scram.last("r=abc,s=QSXCR+Q6sek8bf92,i=4096").is_err());
    }
}
