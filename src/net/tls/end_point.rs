//! The channel binding `tls-server-end-point`: a hash of the certificate that the server showed. RFC 5929 §4.1.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

/// The hash of the certificate `der` that its own signature algorithm calls for. `None` where RFC 5929 leaves the
/// binding undefined: Ed25519 and others name no single hash function, and then the type must not be offered.
pub(super) fn binding(der: &[u8], signature: &AlgorithmIdentifier<'_>) -> Option<Vec<u8>> {
    Some(match hash_of(signature)? {
        Hash::Sha224 => Sha224::digest(der).to_vec(),
        Hash::Sha256 => Sha256::digest(der).to_vec(),
        Hash::Sha384 => Sha384::digest(der).to_vec(),
        Hash::Sha512 => Sha512::digest(der).to_vec(),
    })
}

/// Whether the signature rests on MD5 or SHA-1, which clients no longer believe.
pub(super) fn is_weak(signature: &AlgorithmIdentifier<'_>) -> bool {
    SIGNATURES.iter().any(|(kind, hash)| *kind == signature.algorithm && hash.is_none())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Signature algorithms with one fixed hash function; `None` marks MD5 and SHA-1.
const SIGNATURES: &[(Oid<'static>, Option<Hash>)] = &[
    (oid!(1.2.840.113549.1.1.4), None),                // md5WithRSAEncryption
    (oid!(1.2.840.113549.1.1.5), None),                // sha1WithRSAEncryption
    (oid!(1.3.14.3.2.29), None),                       // sha1WithRSASignature (OIW)
    (oid!(1.2.840.10045.4.1), None),                   // ecdsa-with-SHA1
    (oid!(1.2.840.10040.4.3), None),                   // dsa-with-sha1
    (oid!(1.2.840.113549.1.1.14), Some(Hash::Sha224)), // sha224WithRSAEncryption
    (oid!(1.2.840.113549.1.1.11), Some(Hash::Sha256)), // sha256WithRSAEncryption
    (oid!(1.2.840.113549.1.1.12), Some(Hash::Sha384)), // sha384WithRSAEncryption
    (oid!(1.2.840.113549.1.1.13), Some(Hash::Sha512)), // sha512WithRSAEncryption
    (oid!(1.2.840.10045.4.3.1), Some(Hash::Sha224)),   // ecdsa-with-SHA224
    (oid!(1.2.840.10045.4.3.2), Some(Hash::Sha256)),   // ecdsa-with-SHA256
    (oid!(1.2.840.10045.4.3.3), Some(Hash::Sha384)),   // ecdsa-with-SHA384
    (oid!(1.2.840.10045.4.3.4), Some(Hash::Sha512)),   // ecdsa-with-SHA512
];

fn hash_of(signature: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    if signature.algorithm == oid!(1.2.840.113549.1.1.10) {
        return pss_hash(signature); // RSASSA-PSS names its hash in the parameters, RFC 4055 §3.1
    }
    let (_, hash) = SIGNATURES.iter().find(|(kind, _)| *kind == signature.algorithm)?;
    Some(hash.unwrap_or(Hash::Sha256)) // RFC 5929 §4.1: SHA-256 in the place of MD5 and SHA-1
}

/// The hash of an RSASSA-PSS signature, provided that its mask generation uses the same one: two different hash
/// functions are "multiple", for which RFC 5929 defines nothing.
fn pss_hash(signature: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    let parameters = RsaSsaPssParams::try_from(signature.parameters.as_ref()?).ok()?;
    let hash = parameters.hash_algorithm_oid();
    (parameters.mask_gen_algorithm().ok()?.hash == *hash).then_some(())?;
    DIGESTS.iter().find(|(kind, _)| kind == hash).map(|(_, hash)| *hash)
}

const DIGESTS: &[(Oid<'static>, Hash)] = &[
    (oid!(1.3.14.3.2.26), Hash::Sha256), // SHA-1, RFC 5929 §4.1
    (oid!(2.16.840.1.101.3.4.2.4), Hash::Sha224),
    (oid!(2.16.840.1.101.3.4.2.1), Hash::Sha256),
    (oid!(2.16.840.1.101.3.4.2.2), Hash::Sha384),
    (oid!(2.16.840.1.101.3.4.2.3), Hash::Sha512),
];

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::asn1_rs::{FromDer, ToDer};

    fn length(algorithm: &AlgorithmIdentifier<'_>) -> Option<usize> {
        binding(b"certificate", algorithm).map(|hash| hash.len())
    }

    #[test]
    fn the_signature_algorithm_picks_the_hash() {
        #[rustfmt::skip]
        let table = [
            (oid!(1.2.840.113549.1.1.4),  Some(32), true),   // MD5 → SHA-256
            (oid!(1.2.840.113549.1.1.5),  Some(32), true),   // SHA-1 → SHA-256
            (oid!(1.2.840.10045.4.1),     Some(32), true),
            (oid!(1.2.840.113549.1.1.11), Some(32), false),
            (oid!(1.2.840.113549.1.1.12), Some(48), false),
            (oid!(1.2.840.113549.1.1.13), Some(64), false),
            (oid!(1.2.840.10045.4.3.2),   Some(32), false),
            (oid!(1.2.840.10045.4.3.3),   Some(48), false),
            (oid!(1.2.840.10045.4.3.4),   Some(64), false),
            (oid!(1.3.101.112),           None,     false),  // Ed25519: no hash function
        ];
        for (kind, bytes, weak) in table {
            let algorithm = AlgorithmIdentifier::new(kind.clone(), None);
            assert_eq!(length(&algorithm), bytes, "{kind}");
            assert_eq!(is_weak(&algorithm), weak, "{kind}");
        }
    }

    #[test]
    fn the_hash_is_of_the_whole_certificate() {
        let algorithm = AlgorithmIdentifier::new(oid!(1.2.840.10045.4.3.3), None);
        assert_eq!(binding(b"certificate", &algorithm).unwrap(), Sha384::digest(b"certificate").to_vec());
    }

    /// RSASSA-PSS with `hash` and MGF1 over `mask`, both with a NULL parameter.
    fn pss(hash: &Oid<'_>, mask: &Oid<'_>) -> Vec<u8> {
        let algorithm =
            |kind: &Oid<'_>, parameters: &[u8]| tlv(0x30, &[&kind.to_der_vec().unwrap(), parameters]);
        let mgf1 = algorithm(&oid!(1.2.840.113549.1.1.8), &algorithm(mask, &[5, 0]));
        let parameters = tlv(0x30, &[&tlv(0xa0, &[&algorithm(hash, &[5, 0])]), &tlv(0xa1, &[&mgf1])]);
        algorithm(&oid!(1.2.840.113549.1.1.10), &parameters)
    }

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let mut out = vec![tag, u8::try_from(body.len()).unwrap()];
        out.extend(body);
        out
    }

    #[test]
    fn rsassa_pss_uses_the_hash_of_its_parameters() {
        let (sha256, sha512) = (oid!(2.16.840.1.101.3.4.2.1), oid!(2.16.840.1.101.3.4.2.3));
        for (hash, mask, bytes) in
            [(&sha256, &sha256, Some(32)), (&sha512, &sha512, Some(64)), (&sha512, &sha256, None)]
        {
            let der = pss(hash, mask);
            let (_, algorithm) = AlgorithmIdentifier::from_der(&der).unwrap();
            assert_eq!(length(&algorithm), bytes, "{hash} with {mask}");
        }
    }
}
