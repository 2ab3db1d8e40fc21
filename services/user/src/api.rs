//! The user service's handlers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use shop_contract::Role;
use shop_contract::operation::user as operations;
use shop_contract::user::{CUSTOMER, Login, NewUser, Session, User};
use shop_kit::Kit;
use shop_kit::auth::{Caller, Verifier, bearer};
use shop_kit::clock::WallClock;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server;
use uuid::Uuid;

use crate::account::{self, Invalid};
use crate::password::PasswordError;
use crate::token::TokenError;
use crate::users::Users;

#[derive(Clone)]
struct App {
    users: Users,
    verifier: Arc<Verifier>,
    clock: WallClock,
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, users: Users) -> Router {
    let app = App {
        users,
        verifier: Arc::new(Verifier::new(kit.wall_clock().clone())),
        clock: kit.wall_clock().clone(),
    };
    let routes = Routes::of(Role::User, app)
        .on(&operations::REGISTER, register)
        .on(&operations::LOGIN, login)
        .on(&operations::ACCOUNT, account)
        .on(&operations::KEYS, keys)
        .finish();
    server::stack(kit, routes)
}

async fn register(
    State(app): State<App>,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let (email, name) = account::check(&new)?;
    let user = User {
        id: Uuid::now_v7().to_string(),
        email,
        name,
        role: CUSTOMER.to_owned(),
    };
    let hash = app.users.passwords.hash(new.password).await?;
    if app.users.accounts.add(&user, &hash).await? {
        Ok((StatusCode::CREATED, Json(user)))
    } else {
        Err(ApiError::new(
            StatusCode::CONFLICT,
            "email-taken",
            "That address has an account",
        ))
    }
}

async fn login(
    State(app): State<App>,
    Body(login): Body<Login>,
) -> Result<Json<Session>, ApiError> {
    let email = account::normal_email(&login.email);
    let (user, hash) = app.users.accounts.by_email(&email).await?.unzip();
    let right = app.users.passwords.is(login.password, hash).await?;
    match user.filter(|_| right) {
        Some(user) => Ok(Json(app.users.signer.session(&user, app.now_s())?)),
        None => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "wrong-credentials",
            "No account has that address and password",
        )),
    }
}

async fn account(
    State(app): State<App>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<User>, ApiError> {
    app.caller(&headers).await?.owns(&id, "account")?;
    let user = app.users.accounts.by_id(&id).await?;
    user.map(Json).ok_or_else(|| ApiError::not_found("account"))
}

async fn keys(State(app): State<App>) -> Json<JwkSet> {
    Json(app.users.signer.published().clone())
}

impl App {
    /// The caller. The kit's own [`Caller`] would ask the user service for its keys; here they are at hand.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = bearer(headers)
            .ok_or_else(|| ApiError::unauthorized("there is no `Authorization: Bearer` header"))?;
        let keys = || async { Ok(self.users.signer.published().clone()) };
        self.verifier.verify(token, keys).await.map(Caller)
    }

    /// Seconds since 1970.
    fn now_s(&self) -> u64 {
        self.clock.unix_ms().unsigned_abs() / 1000
    }
}

impl From<Invalid> for ApiError {
    fn from(e: Invalid) -> Self {
        ApiError::invalid(e.to_string())
    }
}

impl From<PasswordError> for ApiError {
    fn from(e: PasswordError) -> Self {
        ApiError::internal(e)
    }
}

impl From<TokenError> for ApiError {
    fn from(e: TokenError) -> Self {
        ApiError::internal(e)
    }
}
