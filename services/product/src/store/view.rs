//! The availability view's SQL: stock levels from inventory's events, for lists and for pages without a live stock.

use std::collections::BTreeMap;

use shop_contract::events::StockLevel;
use shop_kit::events;
use shop_kit::store::{StoreError, VALUES_AT_ONCE, value_rows};
use sqlx::AssertSqlSafe;

use super::Catalogue;

/// Columns of a row.
const WIDTH: usize = 4;

impl Catalogue {
    /// Stores stock levels as of `told_ms`, once per event: false when this event was handled before. Of two levels of
    /// a product the one with the higher version stays, in whatever order they come.
    ///
    /// # Errors
    /// A database error.
    pub async fn stocked(
        &self,
        event_id: &str,
        told_ms: i64,
        levels: &[StockLevel],
    ) -> Result<bool, StoreError> {
        // Each product once, since a statement may not change a row twice. In the order of ids, since locking rows in
        // one order prevents deadlocks.
        let mut newest: BTreeMap<&str, &StockLevel> = BTreeMap::new();
        for level in levels {
            let known = newest.entry(&level.product_id).or_insert(level);
            if known.version < level.version {
                *known = level;
            }
        }
        let newest: Vec<&StockLevel> = newest.into_values().collect();
        let work = async {
            let mut t = self.store.begin().await?;
            if !events::first_time(&mut t, event_id, self.store.unix_ms()).await? {
                return Ok(false);
            }
            for few in newest.chunks(VALUES_AT_ONCE / WIDTH) {
                let sql = format!(
                    "INSERT INTO availability (product_id, available, version, as_of_ms) VALUES {}
                     ON CONFLICT (product_id) DO UPDATE SET available = excluded.available,
                         version = excluded.version, as_of_ms = excluded.as_of_ms
                     WHERE availability.version < excluded.version",
                    value_rows(few.len(), WIDTH)
                );
                let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
                for level in few {
                    insert = insert
                        .bind(&level.product_id)
                        .bind(level.available)
                        .bind(level.version)
                        .bind(told_ms);
                }
                insert.execute(&mut *t).await?;
            }
            t.commit().await?;
            Ok(true)
        };
        self.store.operation("upsert", "availability", work).await
    }
}
