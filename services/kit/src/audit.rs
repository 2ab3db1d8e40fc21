//! What a service holds, as rows for the audit of the shop.
//!
//! A shop that was busy for five minutes holds tens of thousands of rows. They are streamed page by page from the database, so
//! a service needs the memory of one page and not a hundred megabytes. Whether work is still in progress is a separate, cheap
//! query ([`AuditSource::moving`]), because the audit polls it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use shop_contract::audit::{AuditLine, Moving};

use crate::store::StoreError;

/// Rows in memory at a time: some hundred kilobytes.
const PAGE_ROWS: i64 = 500;

/// A source of rows that can be checked against those of other services.
pub trait AuditSource: Clone + Send + Sync + 'static {
    /// At most `max` rows whose ids follow `after`, ordered by id. The empty string is before all ids.
    ///
    /// # Errors
    /// Errors of the database.
    fn rows(
        &self,
        after: &str,
        max: i64,
    ) -> impl Future<Output = Result<Vec<AuditLine>, StoreError>> + Send;

    /// The lines after the rows: sums, and the length of the outbox.
    ///
    /// # Errors
    /// Errors of the database.
    fn sums(&self) -> impl Future<Output = Result<Vec<AuditLine>, StoreError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// What is still in progress. It must be answered from an index.
    ///
    /// # Errors
    /// Errors of the database.
    fn moving(&self) -> impl Future<Output = Result<Moving, StoreError>> + Send {
        async { Ok(Moving::default()) }
    }
}

/// The audit data of a service. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<dyn DynAuditSource>);

impl Audit {
    /// The audit data of this source.
    pub fn of(source: impl AuditSource) -> Self {
        Self(Arc::new(source))
    }

    /// For a service that holds nothing to check.
    pub fn empty() -> Self {
        Self::of(EmptySource)
    }

    /// All rows and sums as lines of JSON, a page at a time.
    pub(crate) fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        self.0.lines()
    }

    /// What is still in progress.
    pub(crate) async fn moving(&self) -> Result<Moving, StoreError> {
        self.0.moving().await
    }
}

#[derive(Clone)]
struct EmptySource;

impl AuditSource for EmptySource {
    async fn rows(&self, _: &str, _: i64) -> Result<Vec<AuditLine>, StoreError> {
        Ok(Vec::new())
    }
}

/// [`AuditSource`] as a trait object.
trait DynAuditSource: Send + Sync {
    fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>>;
    fn moving(&self) -> futures_util::future::BoxFuture<'_, Result<Moving, StoreError>>;
}

/// The next page of the stream.
enum NextPage {
    Rows { after: String },
    Sums,
    End,
}

impl<S: AuditSource> DynAuditSource for S {
    fn lines(&self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let first = NextPage::Rows {
            after: String::new(),
        };
        let source = self.clone();
        let pages = try_unfold(first, move |page| {
            let source = source.clone();
            async move {
                let (lines, next) = match page {
                    NextPage::Rows { after } => {
                        let rows = source.rows(&after, PAGE_ROWS).await?;
                        let last = rows.last().and_then(AuditLine::id).map(str::to_owned);
                        let next = match last {
                            Some(after) if rows.len() as i64 == PAGE_ROWS => {
                                NextPage::Rows { after }
                            }
                            _ => NextPage::Sums,
                        };
                        (rows, next)
                    }
                    NextPage::Sums => (source.sums().await?, NextPage::End),
                    NextPage::End => return Ok(None),
                };
                Ok(Some((text(&lines)?, next)))
            }
        });
        pages
            .try_filter(|text| std::future::ready(!text.is_empty()))
            .boxed()
    }

    fn moving(&self) -> futures_util::future::BoxFuture<'_, Result<Moving, StoreError>> {
        Box::pin(AuditSource::moving(self))
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

    /// A source with a number of charges and one sum. Its database fails at the row `fails_at`.
    #[derive(Clone)]
    struct FakeSource {
        charges: usize,
        fails_at: Option<usize>,
    }

    impl AuditSource for FakeSource {
        async fn rows(&self, after: &str, max: i64) -> Result<Vec<AuditLine>, StoreError> {
            let from: usize = after.parse().map_or(0, |n: usize| n + 1);
            if self.fails_at.is_some_and(|at| at <= from) {
                return Err(StoreError::Corrupt("a row".to_owned()));
            }
            let to = self.charges.min(from + max as usize);
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

    async fn pages(source: FakeSource) -> Result<Vec<Bytes>, StoreError> {
        Audit::of(source).lines().try_collect().await
    }

    #[tokio::test]
    async fn every_row_is_streamed_once_and_no_more_than_a_page_at_a_time() {
        for charges in [0, 1, 499, 500, 501, 1000, 1234] {
            let source = FakeSource {
                charges,
                fails_at: None,
            };
            let pages = pages(source).await.unwrap();
            let mut seen = 0;
            for page in &pages {
                let lines = page.split(|b| *b == b'\n').filter(|l| !l.is_empty());
                let lines: Vec<AuditLine> =
                    lines.map(|l| serde_json::from_slice(l).unwrap()).collect();
                assert!(lines.len() as i64 <= PAGE_ROWS);
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
    async fn a_failure_in_the_middle_is_an_error_and_not_the_end_of_the_rows() {
        let source = FakeSource {
            charges: 1234,
            fails_at: Some(700),
        };
        assert!(pages(source).await.is_err());
    }
}
