//! What the server keeps instead of a password: SCRAM's StoredKey and ServerKey for each hash.
//!
//! RFC 5802 §3; as text in the form of RFC 5803 §1, which database and import share.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::hash::{HashValue, ScramHash};
use super::password::Password;

/// Iterations for new passwords: more costs every client on every login, and RFC 7677 §4 asks for 4096.
pub const ITERATIONS: u32 = 10_000;
/// Fewest iterations that may be imported (RFC 5802 §5.1, RFC 7677 §3).
pub const ITERATIONS_MIN: u32 = 4096;
/// Most iterations that may be imported: PLAIN does them here, about a second's worth (RFC 5803 §3).
pub const ITERATIONS_MAX: u32 = 2_000_000;
/// Salt of new passwords, in bytes.
pub const SALT_BYTES: usize = 16;
/// Longest salt that may be imported, in bytes.
pub const SALT_BYTES_MAX: usize = 64;

/// Random salts for [`Credentials::derive`], one per hash in the order of [`ScramHash::ALL`].
pub type Salts = [[u8; SALT_BYTES]; ScramHash::ALL.len()];

/// Keys that cannot be used, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not `scheme$iterations:salt$stored-key:server-key` with strict base64.
    #[error("not in the form SCRAM-<hash>$<iterations>:<salt>$<stored key>:<server key>")]
    Form,
    /// A scheme other than SCRAM with SHA-1, SHA-256 or SHA-512.
    #[error("the hash is none of SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512")]
    Scheme,
    /// Outside [`ITERATIONS_MIN`]..=[`ITERATIONS_MAX`].
    #[error("the iteration count is not between {ITERATIONS_MIN} and {ITERATIONS_MAX}")]
    Iterations,
    /// Empty or longer than [`SALT_BYTES_MAX`].
    #[error("the salt is not between 1 and {SALT_BYTES_MAX} bytes long")]
    Salt,
    /// A key that is not as long as the hash's output.
    #[error("a key has not the length of the hash")]
    KeyLength,
    /// Two sets of keys for one hash.
    #[error("two sets of keys for the same hash")]
    Twice,
}

/// The keys of one account for one hash (RFC 5802 §3).
#[derive(Clone)]
pub struct ScramKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored_key: HashValue,
    server_key: HashValue,
}

impl ScramKeys {
    /// Keys made elsewhere, for import.
    ///
    /// # Errors
    /// [`KeysError`] when a part is out of its bounds.
    pub fn new(
        hash: ScramHash,
        salt: &[u8],
        iterations: u32,
        stored_key: &[u8],
        server_key: &[u8],
    ) -> Result<Self, KeysError> {
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(KeysError::Iterations);
        }
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(KeysError::Salt);
        }
        let key = |bytes| HashValue::from_bytes(hash, bytes).ok_or(KeysError::KeyLength);
        let (stored_key, server_key) = (key(stored_key)?, key(server_key)?);
        Ok(Self { hash, salt: salt.to_vec(), iterations, stored_key, server_key })
    }

    /// Keys of a password. Takes milliseconds: not on an async worker.
    ///
    /// # Errors
    /// [`KeysError`] when salt or iterations are out of their bounds.
    pub fn derive(
        hash: ScramHash,
        password: &Password,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Self, KeysError> {
        let placeholder = HashValue::zero(hash);
        let bounds = Self::new(hash, salt, iterations, placeholder.as_bytes(), placeholder.as_bytes())?;
        Ok(bounds.of(password))
    }

    /// Reads the form of RFC 5803.
    ///
    /// # Errors
    /// [`KeysError`] for another form, unknown scheme or a part out of its bounds.
    pub fn from_text(text: &str) -> Result<Self, KeysError> {
        let (scheme, rest) = text.split_once('$').ok_or(KeysError::Form)?;
        let (info, value) = rest.split_once('$').ok_or(KeysError::Form)?;
        let (iterations, salt) = info.split_once(':').ok_or(KeysError::Form)?;
        let (stored_key, server_key) = value.split_once(':').ok_or(KeysError::Form)?;
        let hash = ScramHash::ALL.into_iter().find(|h| h.scheme() == scheme).ok_or(KeysError::Scheme)?;
        if !iterations.starts_with(|c: char| ('1'..='9').contains(&c)) {
            return Err(KeysError::Form);
        }
        let iterations = iterations.parse().map_err(|_| KeysError::Iterations)?;
        let bytes = |text| STANDARD.decode(text).map(Zeroizing::new).map_err(|_| KeysError::Form);
        Self::new(hash, &bytes(salt)?, iterations, &bytes(stored_key)?, &bytes(server_key)?)
    }

    /// The form of RFC 5803, in base64: `SCRAM-SHA-256$10000:<salt>$<stored key>:<server key>`. A secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}${}:{}${}:{}",
            self.hash.scheme(),
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key.as_bytes()),
            STANDARD.encode(self.server_key.as_bytes()),
        ))
    }

    /// Keys of nobody: made by [`Decoys`](super::Decoys), whose shapes are the server's own.
    pub(super) fn decoy(
        hash: ScramHash,
        salt: &[u8],
        iterations: u32,
        stored_key: HashValue,
        server_key: HashValue,
    ) -> Self {
        Self { hash, salt: salt.to_vec(), iterations, stored_key, server_key }
    }

    /// The hash function that these keys belong to.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt; not a secret.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iteration count.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn stored_key(&self) -> &HashValue {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &HashValue {
        &self.server_key
    }

    /// Are these the keys of this password? Milliseconds of work; the comparison takes constant time.
    pub(super) fn are_of(&self, password: &Password) -> Choice {
        self.of(password).stored_key.ct_eq(&self.stored_key)
    }

    /// Keys of `password` with the same hash, salt and iterations.
    fn of(&self, password: &Password) -> Self {
        let salted = self.hash.salted_password(password, &self.salt, self.iterations);
        let (stored_key, server_key) = keys_of(self.hash, &salted);
        Self { salt: self.salt.clone(), stored_key, server_key, ..*self }
    }
}

/// (StoredKey, ServerKey) of a SaltedPassword (RFC 5802 §3).
fn keys_of(hash: ScramHash, salted_password: &HashValue) -> (HashValue, HashValue) {
    let client_key = hash.hmac(salted_password.as_bytes(), &[b"Client Key"]);
    (hash.digest(client_key.as_bytes()), hash.hmac(salted_password.as_bytes(), &[b"Server Key"]))
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScramKeys({}, ..)", self.hash.scheme())
    }
}

/// All that the server knows to check an account's password.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    keys: Vec<ScramKeys>,
    /// The account may not log in; told only to who proves to own it.
    pub disabled: bool,
}

impl Credentials {
    /// Keys for every hash. Takes some ten milliseconds: not on an async worker.
    ///
    /// # Errors
    /// [`KeysError::Iterations`] when the count is out of its bounds.
    pub fn derive(password: &Password, salts: &Salts, iterations: u32) -> Result<Self, KeysError> {
        let derive = |(hash, salt): (ScramHash, &[u8; SALT_BYTES])| {
            ScramKeys::derive(hash, password, salt, iterations)
        };
        let keys = ScramHash::ALL.into_iter().zip(salts).map(derive).collect::<Result<_, _>>()?;
        Ok(Self { keys, disabled: false })
    }

    /// Imported keys, for one hash or several.
    ///
    /// # Errors
    /// [`KeysError::Twice`] when a hash occurs twice.
    pub fn from_keys(keys: Vec<ScramKeys>) -> Result<Self, KeysError> {
        let mut credentials = Self::default();
        keys.into_iter().try_for_each(|keys| credentials.add(keys))?;
        Ok(credentials)
    }

    /// Adds the keys of a hash that was missing.
    ///
    /// # Errors
    /// [`KeysError::Twice`] when the hash is there already.
    pub fn add(&mut self, keys: ScramKeys) -> Result<(), KeysError> {
        if self.keys(keys.hash).is_some() {
            return Err(KeysError::Twice);
        }
        self.keys.push(keys);
        Ok(())
    }

    /// The keys for one hash, if there are any: an imported account may lack some.
    pub fn keys(&self, hash: ScramHash) -> Option<&ScramKeys> {
        self.keys.iter().find(|keys| keys.hash == hash)
    }

    /// The keys PLAIN is checked with: SHA-256's, whose cost suits most machines, else the strongest.
    pub(super) fn keys_for_plain(&self) -> Option<&ScramKeys> {
        [ScramHash::Sha256, ScramHash::Sha512, ScramHash::Sha1].into_iter().find_map(|hash| self.keys(hash))
    }

    /// All keys as one text, in the form of RFC 5803 with a space between two. A secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let parts: Vec<_> = self.keys.iter().map(ScramKeys::to_text).collect();
        let bytes = parts.iter().map(|part| part.len() + 1).sum();
        let mut text = Zeroizing::new(String::with_capacity(bytes));
        for part in &parts {
            let gap = if text.is_empty() { "" } else { " " };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{gap}{}", part.as_str());
        }
        text
    }

    /// Reads what [`Credentials::to_text`] wrote.
    ///
    /// # Errors
    /// [`KeysError`] as for one set of keys, or when a hash occurs twice.
    pub fn from_text(text: &str, disabled: bool) -> Result<Self, KeysError> {
        let keys = text.split_ascii_whitespace().map(ScramKeys::from_text).collect::<Result<_, _>>()?;
        Ok(Self { disabled, ..Self::from_keys(keys)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pencil() -> Password {
        Password::new("pencil").unwrap()
    }

    /// The keys of RFC 5802 §5's user, computed by another SCRAM (Python's hashlib and hmac).
    const RFC_5802_USER: &str =
        "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";

    #[test]
    fn keys_are_read_written_and_derived_alike() {
        let read = ScramKeys::from_text(RFC_5802_USER).unwrap();
        assert_eq!(read.to_text().as_str(), RFC_5802_USER);
        let derived = ScramKeys::derive(ScramHash::Sha1, &pencil(), read.salt(), 4096).unwrap();
        assert_eq!(derived.to_text().as_str(), RFC_5802_USER);
        assert!(bool::from(read.are_of(&pencil())));
        assert!(!bool::from(read.are_of(&Password::new("Pencil").unwrap())));
    }

    #[test]
    fn credentials_survive_the_database() {
        let salts = [[1; 16], [2; 16], [3; 16]];
        let credentials = Credentials::derive(&pencil(), &salts, ITERATIONS_MIN).unwrap();
        let read = Credentials::from_text(&credentials.to_text(), true).unwrap();
        assert!(read.disabled);
        for hash in ScramHash::ALL {
            assert!(bool::from(read.keys(hash).unwrap().are_of(&pencil())), "{hash:?}");
        }
        assert_eq!(read.keys_for_plain().unwrap().hash(), ScramHash::Sha256);
        assert!(Credentials::from_text("", false).unwrap().keys_for_plain().is_none());
    }

    #[test]
    fn keys_out_of_bounds_are_refused() {
        let refused = |text: &str| ScramKeys::from_text(text).unwrap_err();
        for form in ["", "SCRAM-SHA-1", "SCRAM-SHA-1$4096$a:b", "SCRAM-SHA-1$4096:?$YQ==:YQ==", "a$b:c$d"] {
            assert_eq!(refused(form), KeysError::Form, "{form}");
        }
        assert_eq!(refused("SCRAM-MD5$4096:YQ==$YQ==:YQ=="), KeysError::Scheme);
        for (iterations, why) in [
            ("1", KeysError::Iterations),
            ("99999999999", KeysError::Iterations),
            ("04096", KeysError::Form),
            ("+4096", KeysError::Form),
        ] {
            assert_eq!(refused(&RFC_5802_USER.replace("4096", iterations)), why, "{iterations}");
        }
        assert_eq!(refused(&RFC_5802_USER.replace("QSXCR+Q6sek8bf92", "")), KeysError::Salt);
        assert_eq!(refused(&RFC_5802_USER.replace("SHA-1", "SHA-256")), KeysError::KeyLength);
        let twice = format!("{RFC_5802_USER} {RFC_5802_USER}");
        assert_eq!(Credentials::from_text(&twice, false).unwrap_err(), KeysError::Twice);
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = ScramKeys::from_text(RFC_5802_USER).unwrap();
        assert_eq!(format!("{keys:?}"), "ScramKeys(SCRAM-SHA-1, ..)");
    }
}
