//! The user service: accounts, and the tokens that identify shoppers to all other services.
//!
//! A shopper registers or logs in here and gets a token. It is signed with a key whose private half only this service
//! has. The others fetch the public half once, from `/.well-known/jwks.json`, and check tokens by themselves. So an
//! outage of this service stops new sessions only.
//!
//! Read `migrations/` first, then [`account`] for the rules, [`password`] and [`token`] for the two secrets, [`store`]
//! for the SQL, [`api`] for the handlers, [`seed`] for the first accounts.

pub mod account;
pub mod api;
pub mod config;
pub mod password;
pub mod seed;
pub mod store;
pub mod token;
pub mod users;

use std::sync::{Arc, LazyLock};

use shop_contract::user::SEEDED_PASSWORD;
use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use password::Passwords;
use store::Accounts;
use token::{Key, Signer};

pub use api::router;
pub use config::UserConfig;
pub use users::Users;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_accounts.sql"];

/// Opens the service's database, and adds customers and signing key where they are missing.
///
/// # Errors
/// The database cannot be opened, or the stored key is unusable.
pub async fn open(kit: &Kit, own: &UserConfig) -> Result<Users, ServeError> {
    let config = kit.config();
    let store = Store::open(kit, &MIGRATIONS).await?;
    let accounts = Accounts::new(store);
    let setup = |e: &dyn std::fmt::Display| ServeError::Setup(e.to_string());
    let passwords = Passwords::new(SEEDED_PASSWORD)
        .await
        .map_err(|e| setup(&e))?;
    seed::customers(&accounts, config.seed, own.customers, passwords.decoy()).await?;
    let made = Key::generate().map_err(|e| setup(&e))?;
    let key = accounts.signing_key(&made).await?;
    Ok(Users {
        accounts,
        passwords,
        signer: Arc::new(Signer::new(&key).map_err(|e| setup(&e))?),
    })
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, the database cannot be opened, or the key is unusable.
pub async fn serve(
    config: ServiceConfig,
    own: UserConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let users = open(&kit, &own).await?;
    let service = Service {
        store: Some(users.accounts.store().clone()),
        routes: router(&kit, users),
        // Accounts have no relation to other services' data, so there is nothing to audit.
        audit: Audit::empty(),
        workers: Vec::new(),
    };
    service::run(kit, service, shutdown).await
}
