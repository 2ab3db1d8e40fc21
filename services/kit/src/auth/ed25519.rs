//! Ed25519 for `jsonwebtoken`, which brings every algorithm of JWT or none: this is the only one that the shop uses.
//!
//! Every other algorithm is refused, also in the header of a token that somebody else made.

use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use sha2::{Digest, Sha256};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        only_ed25519(*algorithm, key.family())?;
        Ok(Box::new(Private(private(key.as_bytes())?)))
    },
    verifier_factory: |algorithm, key| {
        only_ed25519(*algorithm, key.family())?;
        Ok(Box::new(Public(public(key)?)))
    },
    key_utils: KeyUtils {
        ed_pub_components_from_private_key: |der, curve| match curve {
            EllipticCurve::Ed25519 => Ok(private(der)?.verifying_key().as_bytes().to_vec()),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        compute_digest: |data, hash| match hash {
            ThumbprintHash::SHA256 => Ok(Sha256::digest(data).to_vec()),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        ..KeyUtils::new_unimplemented()
    },
};

/// Makes `jsonwebtoken` sign and verify with Ed25519. The library keeps this setting for the whole process, so every place that
/// makes or checks tokens calls this first; a second call changes nothing.
pub fn install() {
    // An error says that a provider is there already, and all of ours are this one.
    let _ = PROVIDER.install_default();
}

fn only_ed25519(algorithm: Algorithm, family: AlgorithmFamily) -> Result<()> {
    if algorithm == Algorithm::EdDSA && family == AlgorithmFamily::Ed {
        Ok(())
    } else {
        Err(ErrorKind::InvalidAlgorithm.into())
    }
}

/// From PKCS #8.
fn private(der: &[u8]) -> Result<SigningKey> {
    SigningKey::from_pkcs8_der(der).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

/// From its 32 bytes.
fn public(key: &DecodingKey) -> Result<VerifyingKey> {
    let bytes = key.try_get_as_bytes()?;
    let bytes = bytes.try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
    VerifyingKey::from_bytes(bytes).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

struct Private(SigningKey);

impl Signer<Vec<u8>> for Private {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.try_sign(message)?.to_vec())
    }
}

impl JwtSigner for Private {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Public(VerifyingKey);

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0
            .verify_strict(message, &Signature::from_slice(signature)?)
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{EncodingKey, Header, Validation, decode, encode};
    use serde_json::{Value, json};

    use super::*;

    /// The private key of RFC 8032, section 7.1, test 1, and its public half.
    const SECRET: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ];
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn key() -> EncodingKey {
        install();
        let pair = KeypairBytes {
            secret_key: SECRET,
            public_key: None,
        };
        EncodingKey::from_ed_der(pair.to_pkcs8_der().unwrap().as_bytes())
    }

    fn validation(algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation
    }

    #[test]
    fn the_published_key_and_signature_of_rfc_8037_are_reproduced() {
        let jwk = Jwk::from_encoding_key(&key(), Algorithm::EdDSA).unwrap();
        assert_eq!(serde_json::to_value(&jwk).unwrap()["x"], PUBLIC);
        // Appendix A.3.
        assert_eq!(
            jwk.thumbprint(ThumbprintHash::SHA256).unwrap(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        // Appendix A.4.
        let signature = jsonwebtoken::crypto::sign(
            b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            &key(),
            Algorithm::EdDSA,
        );
        assert_eq!(
            signature.unwrap(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn a_token_is_verified_and_a_changed_one_is_refused() {
        let token = encode(
            &Header::new(Algorithm::EdDSA),
            &json!({ "sub": "u" }),
            &key(),
        )
        .unwrap();
        let public = DecodingKey::from_ed_components(PUBLIC).unwrap();
        let verified = decode::<Value>(&token, &public, &validation(Algorithm::EdDSA)).unwrap();
        assert_eq!(verified.claims["sub"], "u");
        let changed = token.replacen(".", ".e", 1);
        decode::<Value>(&changed, &public, &validation(Algorithm::EdDSA)).unwrap_err();
    }

    #[test]
    fn every_other_algorithm_is_refused() {
        install();
        let secret = EncodingKey::from_secret(b"anybody's");
        let made = encode(&Header::new(Algorithm::HS256), &json!({}), &secret);
        assert_eq!(*made.unwrap_err().kind(), ErrorKind::InvalidAlgorithm);
        // A token whose header names HMAC and whose key is the public half: the classic confusion.
        let forged = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
        let public = DecodingKey::from_ed_components(PUBLIC).unwrap();
        decode::<Value>(forged, &public, &validation(Algorithm::EdDSA)).unwrap_err();
        decode::<Value>(forged, &public, &validation(Algorithm::HS256)).unwrap_err();
    }
}
