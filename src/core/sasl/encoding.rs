//! SASL data as the text of an XML element: strict base64 and the `=` that stands for "present, but empty".
//!
//! RFC 6120 §6.3.5, §6.4.2, §6.4.6, §6.5.5; RFC 4648 §4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Failure, MESSAGE_BYTES_MAX};

/// The text of `<auth/>`: `None` when there is no initial response, `Some(empty)` for `=`.
///
/// # Errors
/// As [`decode`].
pub fn decode_initial(text: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    if text.is_empty() { Ok(None) } else { decode(text).map(Some) }
}

/// The text of `<response/>`; both nothing and `=` are the empty message.
///
/// The result is wiped when dropped: it may hold a password.
///
/// # Errors
/// [`Failure::Encoding`] for white space, wrong padding, padding bits that are not zero or a foreign
/// character; [`Failure::TooLong`] above [`MESSAGE_BYTES_MAX`] bytes of data.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if text == "=" {
        return Ok(Zeroizing::default());
    }
    if text.len() > MESSAGE_BYTES_MAX.div_ceil(3) * 4 {
        return Err(Failure::TooLong);
    }
    STANDARD.decode(text).map(Zeroizing::new).map_err(|_| Failure::Encoding)
}

/// The text of `<challenge/>`; an empty challenge is an empty element.
pub fn encode_challenge(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// The text of `<success/>`: nothing without additional data, `=` for data of zero length (RFC 6120 §6.4.6).
pub fn encode_success(data: Option<&[u8]>) -> String {
    match data {
        None => String::new(),
        Some([]) => "=".to_owned(),
        Some(data) => STANDARD.encode(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_initial_response_and_an_equals_sign_is_an_empty_one() {
        assert_eq!(decode_initial("").unwrap(), None);
        assert_eq!(decode_initial("=").unwrap().unwrap().as_slice(), b"");
        assert_eq!(decode("").unwrap().as_slice(), b"");
        assert_eq!(decode("=").unwrap().as_slice(), b"");
    }

    #[test]
    fn only_canonical_base64_is_read() {
        assert_eq!(decode("AGp1bGlldAByMG0zMG15cjBtMzA=").unwrap().as_slice(), b"\0juliet\0r0m30myr0m30");
        for wrong in ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "Y Q==", "YQ==YQ==", "====", "==", "Y-_=", "ü"]
        {
            assert_eq!(decode(wrong), Err(Failure::Encoding), "{wrong:?}");
        }
    }

    #[test]
    fn more_than_the_limit_is_not_even_decoded() {
        let fits = encode_challenge(&vec![0; MESSAGE_BYTES_MAX]);
        assert_eq!(decode(&fits).unwrap().len(), MESSAGE_BYTES_MAX);
        assert_eq!(decode(&"A".repeat(fits.len() + 4)), Err(Failure::TooLong));
    }

    #[test]
    fn additional_data_of_zero_length_is_written_as_an_equals_sign() {
        assert_eq!(encode_success(None), "");
        assert_eq!(encode_success(Some(b"")), "=");
        assert_eq!(encode_success(Some(b"v=1")), "dj0x");
        assert_eq!(encode_challenge(b""), "");
    }
}
