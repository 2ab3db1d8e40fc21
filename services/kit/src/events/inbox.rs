//! The inbox: the ids of the events that a subscriber has processed.

use sqlx::AnyConnection;

use crate::store::StoreError;

/// Adds an event to the inbox, within the transaction that processes it. False if it was processed before: then there is
/// nothing to do.
///
/// # Errors
/// Errors of the database.
pub async fn first_time(
    transaction: &mut AnyConnection,
    event_id: &str,
    received_at_ms: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO inbox (event_id, received_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(event_id)
    .bind(received_at_ms)
    .execute(transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
