//! Faults of the database and of the process, with a real kit and a real database: each has an effect and hits, and ends by
//! itself after its time to live.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod database;
mod process;

use std::collections::BTreeMap;

use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, Only};
use shop_kit::Kit;
use shop_kit::faults::FaultRefused;
use shop_kit::store::{Store, StoreError};
use shop_testkit::{config, until};
use sqlx::migrate::Migrator;
use tempfile::TempDir;

static MIGRATIONS: std::sync::LazyLock<Migrator> =
    shop_kit::migrations!["migrations/0001_things.sql"];

/// Longer than any test: for faults that the test ends.
const LONG_MS: u64 = 600_000;

/// A replica of a service with a database.
struct Service {
    kit: Kit,
    store: Store,
}

impl Service {
    /// Opens the database in a folder.
    async fn open(folder: &TempDir) -> Self {
        let kit = Kit::new(config(Role::Cart, folder.path(), BTreeMap::new()));
        let store = Store::open(&kit, &MIGRATIONS).await.unwrap();
        Self { kit, store }
    }

    fn inject(&self, effect: FaultEffect, ttl_ms: u64) {
        self.try_inject(order(effect, ttl_ms)).unwrap();
    }

    fn try_inject(&self, order: FaultOrder) -> Result<(), FaultRefused> {
        self.kit.faults().inject(order).map(|_| ())
    }

    fn clear(&self) -> u64 {
        self.kit.faults().clear("fault").unwrap().hits
    }

    fn hits(&self) -> u64 {
        let states = self.kit.faults().states();
        let mut all = states.active.iter().chain(states.ended.iter().rev());
        all.next().unwrap().hits
    }

    fn fault_is_active(&self) -> bool {
        !self.kit.faults().states().active.is_empty()
    }

    async fn until_ended(&self) {
        until("the end of the fault", async || !self.fault_is_active()).await;
    }

    fn is_sqlite(&self) -> bool {
        self.kit.config().database_url.starts_with("sqlite:")
    }

    async fn read(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT COUNT(*) AS n FROM things")
            .fetch_one(self.store.reader())
            .await?;
        Ok(())
    }

    /// A single statement.
    async fn write(&self) -> Result<(), StoreError> {
        sqlx::query(INSERT)
            .bind(uuid())
            .execute(self.store.writer())
            .await?;
        Ok(())
    }

    async fn transaction(&self) -> Result<(), StoreError> {
        let mut t = self.store.begin().await?;
        sqlx::query(INSERT).bind(uuid()).execute(&mut *t).await?;
        t.commit().await?;
        Ok(())
    }
}

const INSERT: &str = "INSERT INTO things (id, n) VALUES ($1, 1)";

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn order(effect: FaultEffect, ttl_ms: u64) -> FaultOrder {
    FaultOrder {
        name: "fault".to_owned(),
        ttl_ms,
        share: 1.0,
        seed: 7,
        only: Only::default(),
        effect,
    }
}
