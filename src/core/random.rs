//! The one source of randomness: the system's generator. Nothing else may be called for ids, nonces or secrets.

use crate::error::Internal;

/// Random bytes.
///
/// # Errors
/// [`Internal::Random`] if the system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N], Internal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Internal::Random)?;
    Ok(bytes)
}

/// A random name of 128 bits in 22 letters, digits, `-` and `_`, for ids and resources.
///
/// # Errors
/// [`Internal::Random`].
pub fn id() -> Result<String, Internal> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<16>()?))
}
