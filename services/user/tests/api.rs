//! The user service as its callers see it: the real router over a real database.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shop_contract::Role;
use shop_contract::user::{SEEDED_ADMIN, SEEDED_PASSWORD, Session, User, seeded_email};
use shop_kit::Kit;
use shop_kit::auth::Verifier;
use shop_testkit::{ask_get, ask_post, check_document, config, slug};
use shop_user::token::{Key, Signer};
use shop_user::{UserConfig, Users};
use tempfile::TempDir;

const CUSTOMERS: u64 = 30;

/// Opens the shop that is in a folder, or a new one.
async fn open(folder: &Path) -> (Router, Users) {
    let kit = Kit::new(config(Role::User, folder, BTreeMap::new()));
    let own = UserConfig {
        customers: CUSTOMERS,
    };
    let users = shop_user::open(&kit, &own).await.unwrap();
    (shop_user::router(&kit, users.clone()), users)
}

async fn shop() -> (Router, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(folder.path()).await.0, folder)
}

async fn post(shop: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    ask_post(path, body).send(shop).await
}

async fn get(shop: &Router, path: &str, token: Option<&str>) -> (StatusCode, Value) {
    let ask = ask_get(path);
    let ask = match token {
        Some(token) => ask.with_token(token),
        None => ask,
    };
    ask.send(shop).await
}

async fn register(shop: &Router, email: &str) -> (StatusCode, Value) {
    let new = json!({"email": email, "name": "Ada", "password": "difference"});
    post(shop, "/users", new).await
}

async fn login(shop: &Router, email: &str, password: &str) -> (StatusCode, Value) {
    post(
        shop,
        "/users/login",
        json!({"email": email, "password": password}),
    )
    .await
}

async fn session(shop: &Router, email: &str, password: &str) -> Session {
    let (status, body) = login(shop, email, password).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value(body).unwrap()
}

#[tokio::test]
async fn a_shopper_registers_logs_in_and_sees_the_account() {
    let (shop, _folder) = shop().await;
    let (status, user) = register(&shop, " Ada@Example.org").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(user["email"], "ada@example.org");
    assert_eq!(user["role"], "customer");
    let session = session(&shop, "ADA@example.org", "difference").await;
    assert_eq!(session.user_id, user["id"]);
    let path = format!("/users/{}", session.user_id);
    assert_eq!(
        get(&shop, &path, Some(&session.token)).await,
        (StatusCode::OK, user)
    );
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_written() {
    let (shop, _folder) = shop().await;
    assert_eq!(
        register(&shop, "ada@example.org").await.0,
        StatusCode::CREATED
    );
    let (status, problem) = register(&shop, "ADA@example.org ").await;
    assert_eq!(
        (status, slug(&problem)),
        (StatusCode::CONFLICT, "email-taken")
    );
}

#[tokio::test]
async fn the_published_password_cannot_be_registered() {
    let (shop, _folder) = shop().await;
    let new = json!({"email": "ada@example.org", "name": "Ada", "password": SEEDED_PASSWORD});
    let (status, problem) = post(&shop, "/users", new).await;
    assert_eq!(
        (status, slug(&problem)),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
    );
    assert_eq!(
        login(&shop, "ada@example.org", SEEDED_PASSWORD).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let (shop, _folder) = shop().await;
    register(&shop, "ada@example.org").await;
    let wrong = login(&shop, "ada@example.org", "analytical").await;
    let unknown = login(&shop, "eve@example.org", "analytical").await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(slug(&wrong.1), "wrong-credentials");
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn tokens_verify_against_the_published_keys() {
    let (shop, _folder) = shop().await;
    let session = session(&shop, &seeded_email(3), SEEDED_PASSWORD).await;
    let (_, published) = get(&shop, "/.well-known/jwks.json", None).await;
    let keys = || async { Ok(serde_json::from_value(published.clone()).unwrap()) };
    let verifier = Verifier::default();
    let claims = verifier.verify(&session.token, keys).await.unwrap();
    assert_eq!(claims.sub, session.user_id);
    assert_eq!(claims.email, seeded_email(3));
    assert_eq!(claims.exp - claims.iat, session.expires_in_s);
    let mut forged = session.token.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    assert!(Verifier::default().verify(&forged, keys).await.is_err());
}

#[tokio::test]
async fn the_account_of_another_user_is_not_found() {
    let (shop, _folder) = shop().await;
    let (_, ada) = register(&shop, "ada@example.org").await;
    let eve = session(&shop, &seeded_email(0), SEEDED_PASSWORD).await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    let (status, problem) = get(&shop, &path, Some(&eve.token)).await;
    assert_eq!(
        (status, slug(&problem)),
        (StatusCode::NOT_FOUND, "not-found")
    );
    assert_eq!(get(&shop, &path, None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_under_another_key_is_refused() {
    let (shop, _folder) = shop().await;
    let stranger = Signer::new(&Key::generate().unwrap()).unwrap();
    let user = User {
        id: "u-000000".to_owned(),
        email: seeded_email(0),
        name: String::new(),
        role: "admin".to_owned(),
    };
    let far = 4_000_000_000;
    let forged = stranger.session(&user, far).unwrap();
    let (status, _) = get(&shop, "/users/u-000000", Some(&forged.token)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_customers_with_an_administrator() {
    let (a, _a) = shop().await;
    let (b, _b) = shop().await;
    for n in [0, CUSTOMERS - 1] {
        let mut accounts = Vec::new();
        for shop in [&a, &b] {
            let session = session(shop, &seeded_email(n), SEEDED_PASSWORD).await;
            let path = format!("/users/{}", session.user_id);
            accounts.push(get(shop, &path, Some(&session.token)).await);
        }
        assert_eq!(accounts[0], accounts[1]);
    }
    let admin = session(&a, SEEDED_ADMIN, SEEDED_PASSWORD).await;
    let (_, account) = get(&a, &format!("/users/{}", admin.user_id), Some(&admin.token)).await;
    assert_eq!(account["role"], "admin");
}

#[tokio::test]
async fn a_restart_keeps_accounts_and_tokens_and_adds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let before = open(folder.path()).await;
    let session = session(&before.0, &seeded_email(1), SEEDED_PASSWORD).await;
    drop(before);
    let (after, users) = open(folder.path()).await;
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM users")
        .fetch_one(users.accounts.store().reader())
        .await
        .unwrap();
    assert_eq!(count, CUSTOMERS as i64 + 1);
    let path = format!("/users/{}", session.user_id);
    assert_eq!(
        get(&after, &path, Some(&session.token)).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn replicas_that_open_a_new_shop_at_once_share_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let ((a, _), (b, _)) = tokio::join!(open(folder.path()), open(folder.path()));
    let session = session(&a, &seeded_email(1), SEEDED_PASSWORD).await;
    let path = format!("/users/{}", session.user_id);
    assert_eq!(get(&b, &path, Some(&session.token)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_unreadable_body_is_answered_with_a_problem() {
    let (shop, _folder) = shop().await;
    let (status, problem) = post(&shop, "/users", json!({"email": 3})).await;
    assert_eq!(
        (status, slug(&problem)),
        (StatusCode::BAD_REQUEST, "bad-request")
    );
    assert_eq!(get(&shop, "/nowhere", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_document_matches_the_router() {
    let (api, _folder) = shop().await;
    check_document(&api, "user").await;
}
