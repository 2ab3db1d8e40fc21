//! Shoppers and administrators: their tokens, and the keys to check these with.

use axum::routing::get;
use axum::{Json, Router};
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use shop_contract::operation::user::KEYS;
use shop_contract::user::{Claims, ISSUER};
use shop_kit::auth::ed25519;

use crate::socket::serve;

/// Signs tokens as the user service does, and serves the key to check them with.
pub struct Identity {
    private: EncodingKey,
    /// `host:port` of the keys: the peer [`Role::User`](shop_contract::role::Role::User).
    pub address: String,
}

const KID: &str = "tests";

impl Identity {
    /// An identity with a fixed key, on a real socket.
    pub async fn start() -> Self {
        ed25519::install();
        let pair = KeypairBytes {
            secret_key: [7; 32],
            public_key: None,
        };
        let der = pair.to_pkcs8_der().unwrap();
        let private = EncodingKey::from_ed_der(der.as_bytes());
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(KID.to_owned());
        let keys = JwkSet { keys: vec![jwk] };
        let router = Router::new().route(KEYS.path, get(move || async move { Json(keys) }));
        Self {
            private,
            address: serve(router).await,
        }
    }

    /// A valid token of a customer.
    pub fn token(&self, user_id: &str) -> String {
        self.token_as(user_id, "customer")
    }

    /// A valid token with a role.
    pub fn token_as(&self, user_id: &str, role: &str) -> String {
        let now = shop_kit::clock::WallClock::default().unix_ms() as u64 / 1000;
        let claims = Claims {
            sub: user_id.to_owned(),
            role: role.to_owned(),
            email: format!("{user_id}@shop.example"),
            iat: now,
            exp: now + 600,
            iss: ISSUER.to_owned(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KID.to_owned());
        encode(&header, &claims, &self.private).unwrap()
    }
}
