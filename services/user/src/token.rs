//! Tokens: JWTs signed with Ed25519, and the public keys to check them with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use shop_contract::user::{Claims, ISSUER, Session, User};
use shop_kit::auth::ed25519;

/// How long a token is valid, in seconds.
pub const VALID_S: u64 = 3600;

/// Why a key or a token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key is invalid. Its text is not shown.
    #[error("the signing key cannot be read")]
    Key,
    /// Signing failed.
    #[error("a token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A signing key as stored. It has no `Debug`, so that it cannot get into a log by accident.
#[derive(Clone)]
pub struct Key {
    /// Its name in the key set: the thumbprint of its public half (RFC 7638).
    pub kid: String,
    /// The private key: PKCS #8, base64.
    pub pkcs8: String,
}

impl Key {
    /// A new key, from a generator seeded by the operating system: no seed may repeat it.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn generate() -> Result<Self, TokenError> {
        ed25519::install();
        let der = KeypairBytes {
            secret_key: rand::random(),
            // Some readers of PKCS #8, such as jsonwebtoken, only read the short form.
            public_key: None,
        }
        .to_pkcs8_der()
        .map_err(|_| TokenError::Key)?;
        let private = EncodingKey::from_ed_der(der.as_bytes());
        Ok(Self {
            kid: public_half(&private)?.thumbprint(ThumbprintHash::SHA256)?,
            pkcs8: STANDARD.encode(der.as_bytes()),
        })
    }
}

/// Signs tokens and publishes the key to check them with.
pub struct Signer {
    header: Header,
    private: EncodingKey,
    published: JwkSet,
}

impl Signer {
    /// A signer with this key.
    ///
    /// # Errors
    /// The key is invalid.
    pub fn new(key: &Key) -> Result<Self, TokenError> {
        ed25519::install();
        let der = STANDARD.decode(&key.pkcs8).map_err(|_| TokenError::Key)?;
        let private = EncodingKey::from_ed_der(&der);
        let mut public = public_half(&private).map_err(|_| TokenError::Key)?;
        public.common.key_id = Some(key.kid.clone());
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid.clone());
        Ok(Self {
            header,
            private,
            published: JwkSet { keys: vec![public] },
        })
    }

    /// The body of `/.well-known/jwks.json`.
    pub fn published(&self) -> &JwkSet {
        &self.published
    }

    /// A session for an account, from `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// Signing failed.
    pub fn session(&self, user: &User, now_s: u64) -> Result<Session, TokenError> {
        let claims = Claims {
            sub: user.id.clone(),
            role: user.role.clone(),
            email: user.email.clone(),
            iat: now_s,
            exp: now_s + VALID_S,
            iss: ISSUER.to_owned(),
        };
        Ok(Session {
            token: encode(&self.header, &claims, &self.private)?,
            user_id: claims.sub,
            expires_in_s: VALID_S,
        })
    }
}

fn public_half(private: &EncodingKey) -> Result<Jwk, jsonwebtoken::errors::Error> {
    Jwk::from_encoding_key(private, Algorithm::EdDSA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_half_is_not_published() {
        let key = Key::generate().unwrap();
        let signer = Signer::new(&key).unwrap();
        let json = serde_json::to_value(signer.published()).unwrap();
        let jwk = json["keys"][0].as_object().unwrap();
        let mut fields: Vec<_> = jwk.keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["alg", "crv", "kid", "kty", "x"]);
        assert_eq!(jwk["kid"], key.kid.as_str());
        assert_eq!(jwk["crv"], "Ed25519");
    }

    #[test]
    fn an_invalid_key_is_refused_and_not_shown() {
        let key = Key {
            kid: "k".to_owned(),
            pkcs8: "c2VjcmV0".to_owned(),
        };
        let error = Signer::new(&key).err().unwrap().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn every_key_is_different() {
        let (a, b) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(a.kid, b.kid);
        assert_ne!(a.pkcs8, b.pkcs8);
    }
}
