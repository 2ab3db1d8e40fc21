//! The inventory's rows and sums for the audit, with its contradictions.

use shop_contract::audit::{AuditLine, Moving};
use shop_kit::audit::AuditSource;
use shop_kit::events;
use shop_kit::store::{StoreError, parse_stored};
use sqlx::Row;

use super::Inventory;

impl AuditSource for Inventory {
    async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.id, r.status, CAST(COALESCE(SUM(i.quantity), 0) AS BIGINT) AS pieces
             FROM reservations r LEFT JOIN reservation_items i ON i.reservation_id = r.id
             WHERE r.id > $1 GROUP BY r.id, r.status ORDER BY r.id LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch_all(self.store.reader())
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let status: String = row.try_get("status")?;
            lines.push(AuditLine::Reservation {
                id: row.try_get("id")?,
                status: parse_stored(&status)?,
                pieces: row.try_get("pieces")?,
            });
        }
        Ok(lines)
    }

    /// The sums of the stock, and the events that are not delivered yet.
    async fn sums(&self) -> Result<Vec<AuditLine>, StoreError> {
        let sums = sqlx::query(SUMS).fetch_one(self.store.reader()).await?;
        let stock = AuditLine::Stock {
            initial: sums.try_get("initial")?,
            available: sums.try_get("available")?,
            reserved: sums.try_get("reserved")?,
            committed: sums.try_get("committed")?,
            contradictions: sums.try_get("contradictions")?,
        };
        let pending = events::pending(&self.store).await?;
        Ok(vec![stock, AuditLine::Outbox { pending }])
    }

    async fn moving(&self) -> Result<Moving, StoreError> {
        Ok(Moving {
            events: events::pending(&self.store).await?,
            ..Moving::default()
        })
    }
}

/// The sums of the stock, and the number of products with a contradiction: their own sums do not add up, held or
/// committed pieces differ from the reservations, or reservations name a product without stock. One statement sees one
/// moment, also while orders come in.
const SUMS: &str = "SELECT CAST(COALESCE(SUM(s.initial), 0) AS BIGINT) AS initial,
        CAST(COALESCE(SUM(s.available), 0) AS BIGINT) AS available,
        CAST(COALESCE(SUM(s.reserved), 0) AS BIGINT) AS reserved,
        CAST(COALESCE(SUM(s.committed), 0) AS BIGINT) AS committed,
        CAST(COALESCE(SUM(CASE WHEN s.initial <> s.available + s.reserved + s.committed
                OR s.reserved <> COALESCE(r.held, 0) OR s.committed <> COALESCE(r.gone, 0)
            THEN 1 ELSE 0 END), 0)
            + (SELECT COUNT(DISTINCT product_id) FROM reservation_items
               WHERE product_id NOT IN (SELECT product_id FROM stock)) AS BIGINT) AS contradictions
    FROM stock s LEFT JOIN (
        SELECT i.product_id,
            SUM(CASE WHEN r.status = 'held' THEN i.quantity ELSE 0 END) AS held,
            SUM(CASE WHEN r.status = 'committed' THEN i.quantity ELSE 0 END) AS gone
        FROM reservation_items i JOIN reservations r ON r.id = i.reservation_id
        GROUP BY i.product_id
    ) r ON r.product_id = s.product_id";
