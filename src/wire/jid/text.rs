//! What both address types are by virtue of their text: parsed, printed, compared, hashed, serialised.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{BareJid, Jid, JidError};

/// The text determines where the parts lie, so two addresses with one text are the same; and `Borrow` asks
/// that hash and order are exactly those of `str`.
macro_rules! is_its_text {
    ($($address:ty),*) => {$(
        impl FromStr for $address {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> { Self::parse(text) }
        }

        impl TryFrom<&str> for $address {
            type Error = JidError;
            fn try_from(text: &str) -> Result<Self, JidError> { Self::parse(text) }
        }

        impl fmt::Display for $address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }

        impl fmt::Debug for $address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl PartialEq for $address {
            fn eq(&self, other: &Self) -> bool { self.as_str() == other.as_str() }
        }

        impl Eq for $address {}

        impl PartialEq<str> for $address {
            fn eq(&self, other: &str) -> bool { self.as_str() == other }
        }

        impl PartialEq<&str> for $address {
            fn eq(&self, other: &&str) -> bool { self.as_str() == *other }
        }

        impl PartialOrd for $address {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> { Some(self.cmp(other)) }
        }

        impl Ord for $address {
            fn cmp(&self, other: &Self) -> Ordering { self.as_str().cmp(other.as_str()) }
        }

        impl Hash for $address {
            fn hash<H: Hasher>(&self, state: &mut H) { self.as_str().hash(state) }
        }

        impl Borrow<str> for $address {
            fn borrow(&self) -> &str { self.as_str() }
        }

        impl AsRef<str> for $address {
            fn as_ref(&self) -> &str { self.as_str() }
        }

        impl Serialize for $address {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $address {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    )*};
}

is_its_text!(Jid, BareJid);
