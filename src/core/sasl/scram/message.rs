//! The two messages of a SCRAM client, read by the grammar of RFC 5802 §7 and not a character wider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sasl::Failure;

/// `gs2-cbind-flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: the client does not bind.
    ClientCannot,
    /// `y`: the client would, but believes that the server does not.
    ServerCannot,
    /// `p=`: the client binds by this type.
    Bound(&'a str),
}

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag<'a>,
    pub(super) authzid: Option<String>,
    pub(super) username: String,
    pub(super) nonce: &'a str,
    /// As received, with its two commas.
    pub(super) gs2_header: &'a str,
    /// As received: everything behind the GS2 header.
    pub(super) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let text = utf8(data)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Failure::Malformed);
        };
        let gs2_header = text.strip_suffix(bare).ok_or(Failure::Malformed)?;
        let mut attributes = bare.split(',');
        let username = attribute(attributes.next(), 'n')?;
        let nonce = attribute(attributes.next(), 'r')?;
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::Malformed);
        }
        attributes.try_for_each(extension)?;
        Ok(Self {
            flag: binding_flag(flag)?,
            authzid: if authzid.is_empty() { None } else { Some(saslname(attribute(Some(authzid), 'a')?)?) },
            username: saslname(username)?,
            nonce,
            gs2_header,
            bare,
        })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub(super) cbind_input: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
    /// As received: everything before `,p=`.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let (without_proof, proof) = utf8(data)?.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let mut attributes = without_proof.split(',');
        let cbind_input = base64(attribute(attributes.next(), 'c')?)?;
        let nonce = attribute(attributes.next(), 'r')?;
        attributes.try_for_each(extension)?;
        Ok(Self { cbind_input, nonce, proof: base64(proof)?, without_proof })
    }
}

fn utf8(data: &[u8]) -> Result<&str, Failure> {
    let text = std::str::from_utf8(data).map_err(|_| Failure::Malformed)?;
    if text.contains('\0') { Err(Failure::Malformed) } else { Ok(text) }
}

fn binding_flag(flag: &str) -> Result<BindingFlag<'_>, Failure> {
    match flag {
        "n" => Ok(BindingFlag::ClientCannot),
        "y" => Ok(BindingFlag::ServerCannot),
        _ => match flag.strip_prefix("p=") {
            Some(name) if is_cb_name(name) => Ok(BindingFlag::Bound(name)),
            _ => Err(Failure::Malformed),
        },
    }
}

fn is_cb_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// The value of the attribute that must stand here. An `m=` in its place is an extension nobody may ignore.
fn attribute(part: Option<&str>, letter: char) -> Result<&str, Failure> {
    let (name, value) = part.and_then(|part| part.split_once('=')).ok_or(Failure::Malformed)?;
    match name {
        "m" => Err(Failure::MandatoryExtension),
        name if name.chars().eq([letter]) => Ok(value),
        _ => Err(Failure::Malformed),
    }
}

/// An attribute in the place of extensions: ignored when it is well-formed (RFC 5802 §5.1).
fn extension(part: &str) -> Result<(), Failure> {
    let (name, value) = part.split_once('=').ok_or(Failure::Malformed)?;
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some('m'), None) => Err(Failure::MandatoryExtension),
        (Some('a' | 'n' | 'r' | 'c' | 's' | 'i' | 'p' | 'v' | 'e'), None) => Err(Failure::Malformed),
        (Some(letter), None) if letter.is_ascii_alphabetic() && is_value(value) => Ok(()),
        _ => Err(Failure::Malformed),
    }
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && !value.contains(['\0', ','])
}

/// `saslname`: `=2C` is a comma and `=3D` an equals sign; any other `=` is an error.
fn saslname(text: &str) -> Result<String, Failure> {
    if text.is_empty() {
        return Err(Failure::Malformed);
    }
    let mut parts = text.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (decoded, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            (None, None) => return Err(Failure::UsernameEscape),
        };
        name.push(decoded);
        name.push_str(rest);
    }
    Ok(name)
}

fn base64(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|_| Failure::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_first_message_is_taken_apart_and_kept_as_received() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=a=2Cb,n==3D=2C=2C,r=%x!~,x=1=2,d=y").unwrap();
        assert_eq!(
            first,
            ClientFirst {
                flag: BindingFlag::Bound("tls-exporter"),
                authzid: Some("a,b".to_owned()),
                username: "=,,".to_owned(),
                nonce: "%x!~",
                gs2_header: "p=tls-exporter,a=a=2Cb,",
                bare: "n==3D=2C=2C,r=%x!~,x=1=2,d=y",
            }
        );
    }

    #[test]
    fn malformed_first_messages_are_refused() {
        for wrong in [
            "",
            "n",
            "n,",
            "n,,",
            ",,n=u,r=x",
            "x,,n=u,r=x",
            "N,,n=u,r=x",
            "nn,,n=u,r=x",
            "F,n,,n=u,r=x",
            "p,,n=u,r=x",
            "p=,,n=u,r=x",
            "p=tls_unique,,n=u,r=x",
            "n=,,n=u,r=x",
            "n,u,n=u,r=x",
            "n,a=,n=u,r=x",
            "n,,n=,r=x",
            "n,,r=x,n=u",
            "n,,n=u",
            "n,,n=u,r=",
            "n,,n=u,r=x y",
            "n,,n=u,r=\u{e4}",
            "n,,n=u,r=x,",
            "n,,n=u,r=x,x",
            "n,,n=u,r=x,x=",
            "n,,n=u,r=x,xx=1",
            "n,,n=u,r=x,1=1",
            "n,,n=u,r=x,n=v",
            "n,,n=u,r=x,p=1",
            "n,,n=u\0,r=x",
            "n,,N=u,r=x",
            "n,,u,r=x",
        ] {
            assert_eq!(ClientFirst::parse(wrong.as_bytes()), Err(Failure::Malformed), "{wrong:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=x"), Err(Failure::Malformed));
    }

    #[test]
    fn an_equals_sign_in_a_name_must_be_an_escape() {
        for wrong in [
            "n,,n==,r=x",
            "n,,n=a=,r=x",
            "n,,n=a=2,r=x",
            "n,,n=a=2c,r=x",
            "n,,n=a=3d,r=x",
            "n,a=b=41,n=a,r=x",
        ] {
            assert_eq!(ClientFirst::parse(wrong.as_bytes()), Err(Failure::UsernameEscape), "{wrong:?}");
        }
    }

    #[test]
    fn a_mandatory_extension_is_never_ignored() {
        for wrong in ["n,,m=1,n=u,r=x", "n,,n=u,m=1,r=x", "n,,n=u,r=x,m=1", "n,,n=u,r=x,y=1,m=1"] {
            assert_eq!(ClientFirst::parse(wrong.as_bytes()), Err(Failure::MandatoryExtension), "{wrong:?}");
        }
        assert_eq!(ClientFinal::parse(b"m=1,c=biws,r=x,p=YQ=="), Err(Failure::MandatoryExtension));
        assert_eq!(ClientFinal::parse(b"c=biws,r=x,m=1,p=YQ=="), Err(Failure::MandatoryExtension));
    }

    #[test]
    fn a_final_message_is_taken_apart() {
        let last = ClientFinal::parse(b"c=biws,r=xy=,x=1,p=YQ==").unwrap();
        let (cbind_input, proof) = (b"n,,".to_vec(), b"a".to_vec());
        assert_eq!(last, ClientFinal { cbind_input, nonce: "xy=", proof, without_proof: "c=biws,r=xy=,x=1" });
    }

    #[test]
    fn malformed_final_messages_are_refused() {
        for wrong in [
            "",
            "p=YQ==",
            ",p=YQ==",
            "c=biws,r=x",
            "r=x,c=biws,p=YQ==",
            "c=biws,p=YQ==",
            "c=biw,r=x,p=YQ==",
            "c=biws\n,r=x,p=YQ==",
            "c=biws,r=x,p=YQ",
            "c=biws,r=x,p=YR==",
            "c=biws,r=x,p=YQ==,x=1",
            "c=biws,r=x,,p=YQ==",
            "c=biws,r=x,c=biws,p=YQ==",
            "c=biws,r=x,p=YQ==,p=YQ==",
            "c=biws,r=x,P=YQ==",
        ] {
            assert_eq!(ClientFinal::parse(wrong.as_bytes()), Err(Failure::Malformed), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_survives_its_escape(name in "[^\0]{1,20}") {
            let escaped = name.replace('=', "=3D").replace(',', "=2C");
            prop_assert_eq!(saslname(&escaped), Ok(name));
        }
    }
}
