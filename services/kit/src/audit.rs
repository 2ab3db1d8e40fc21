//! What a service holds, told to whoever audits the shop.
//!
//! A shop that was busy for five minutes holds tens of thousands of rows. They go page by page from the database to
//! the wire, so that telling them costs a service one page of memory and not a hundred megabytes. Whether anything is
//! still on its way is a question of its own ([`Holds::moving`]), for it is asked again and again, and cheap to answer.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use shop_contract::audit::{AuditLine, Moving};

use crate::store::StoreError;

/// Rows that are in memory at a time: some hundred kilobytes.
const PAGE: i64 = 500;

/// Who holds something that can contradict what others hold.
pub trait Holds: Clone + Send + Sync + 'static {
    /// At most `most` rows whose ids follow `after`, in the order of their ids; the empty text comes before all ids.
    ///
    /// # Errors
    /// Those of the database.
    fn rows(
        &self,
        after: &str,
        most: i64,
    ) -> impl Future<Output = Result<Vec<AuditLine>, StoreError>> + Send;

    /// What is told once, after the rows: sums, and what is in the outbox.
    ///
    /// # Errors
    /// Those of the database.
    fn sums(&self) -> impl Future<Output = Result<Vec<AuditLine>, StoreError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// What has not come to its end yet. To be answered from an index.
    ///
    /// # Errors
    /// Those of the database.
    fn moving(&self) -> impl Future<Output = Result<Moving, StoreError>> + Send {
        async { Ok(Moving::default()) }
    }
}

/// What a service tells the audit. Cloning shares it.
#[derive(Clone)]
pub struct Audit(Arc<dyn Tells>);

impl Audit {
    /// Of what is held.
    pub fn of(held: impl Holds) -> Self {
        Self(Arc::new(held))
    }

    /// Of a service that holds nothing which could contradict anything.
    pub fn nothing() -> Self {
        Self::of(Nothing)
    }

    /// Everything, as lines of JSON, some hundred at a time.
    pub(crate) fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        self.0.lines()
    }

    /// What has not come to its end yet.
    pub(crate) async fn moving(&self) -> Result<Moving, StoreError> {
        self.0.moving().await
    }
}

#[derive(Clone)]
struct Nothing;

impl Holds for Nothing {
    async fn rows(&self, _: &str, _: i64) -> Result<Vec<AuditLine>, StoreError> {
        Ok(Vec::new())
    }
}

/// [`Holds`] where its type is forgotten.
trait Tells: Send + Sync {
    fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>>;
    fn moving(&self) -> futures_util::future::BoxFuture<'_, Result<Moving, StoreError>>;
}

/// Up to where the telling has come.
enum Station {
    Rows { after: String },
    Sums,
    Over,
}

impl<H: Holds> Tells for H {
    fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let begin = Station::Rows {
            after: String::new(),
        };
        let held = self.clone();
        let pages = try_unfold(begin, move |station| {
            let held = held.clone();
            async move {
                let (lines, next) = match station {
                    Station::Rows { after } => {
                        let rows = held.rows(&after, PAGE).await?;
                        let last = rows.last().and_then(AuditLine::id).map(str::to_owned);
                        let next = match last {
                            Some(after) if rows.len() as i64 == PAGE => Station::Rows { after },
                            _ => Station::Sums,
                        };
                        (rows, next)
                    }
                    Station::Sums => (held.sums().await?, Station::Over),
                    Station::Over => return Ok(None),
                };
                Ok(Some((text(&lines)?, next)))
            }
        });
        pages
            .try_filter(|text| std::future::ready(!text.is_empty()))
            .boxed()
    }

    fn moving(&self) -> futures_util::future::BoxFuture<'_, Result<Moving, StoreError>> {
        Box::pin(Holds::moving(self))
    }
}

fn text(lines: &[AuditLine]) -> Result<Bytes, StoreError> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        text.push(b'\n');
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds so many charges, and one sum; a database that fails at some row, if it is told to.
    #[derive(Clone)]
    struct Books {
        charges: usize,
        fails_at: Option<usize>,
    }

    impl Holds for Books {
        async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
            let from: usize = after.parse().map_or(0, |n: usize| n + 1);
            if self.fails_at.is_some_and(|at| at <= from) {
                return Err(StoreError::Corrupt("a row".to_owned()));
            }
            let to = self.charges.min(from + most as usize);
            let charge = |n: usize| AuditLine::Charge {
                id: format!("{n:06}"),
                reference: "p".to_owned(),
                status: shop_contract::bank::ChargeStatus::Captured,
                amount_minor: 1,
            };
            Ok((from..to).map(charge).collect())
        }

        async fn sums(&self) -> Result<Vec<AuditLine>, StoreError> {
            Ok(vec![AuditLine::Outbox { pending: 0 }])
        }
    }

    async fn told(books: Books) -> Result<Vec<Bytes>, StoreError> {
        Audit::of(books).lines().try_collect().await
    }

    #[tokio::test]
    async fn every_row_is_told_once_and_never_more_than_a_page_at_a_time() {
        for charges in [0, 1, 499, 500, 501, 1000, 1234] {
            let books = Books {
                charges,
                fails_at: None,
            };
            let pages = told(books).await.unwrap();
            let mut seen = 0;
            for page in &pages {
                let lines = page.split(|b| *b == b'\n').filter(|l| !l.is_empty());
                let lines: Vec<AuditLine> =
                    lines.map(|l| serde_json::from_slice(l).unwrap()).collect();
                assert!(lines.len() as i64 <= PAGE);
                for line in lines {
                    match line.id() {
                        Some(id) => {
                            assert_eq!(id, format!("{seen:06}"));
                            seen += 1;
                        }
                        None => assert_eq!(line, AuditLine::Outbox { pending: 0 }),
                    }
                }
            }
            assert_eq!(seen, charges);
        }
    }

    #[tokio::test]
    async fn a_database_that_fails_in_the_middle_is_no_end_of_the_rows() {
        let books = Books {
            charges: 1234,
            fails_at: Some(700),
        };
        assert!(told(books).await.is_err());
    }
}
