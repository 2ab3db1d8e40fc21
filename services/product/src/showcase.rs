//! The catalogue as shoppers see it: the store behind caches.
//!
//! Lists and searches are cached as JSON bodies, so a hit needs neither a query nor serialization. Their weight is
//! their size. Pages are cached as products, since each adds its live stock.
//!
//! | cache | what | lives | at most |
//! |---|---|---|---|
//! | `pages` | products by id | 10 s | 4,096 products, some 700 bytes each |
//! | `lists` | first pages of lists | 1 s | 2 MiB of bodies |
//! | `searches` | what was found | 1 s | 2 MiB of bodies |
//!
//! A change at this replica is visible here at once: an administrator's change empties all three caches, a sale or a
//! change of stock removes the affected pages (lists follow when they expire). Other replicas see it when their own
//! entries expire.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shop_contract::events::StockChanged;
use shop_contract::order::OrderItem;
use shop_contract::product::{Product, ProductChange, ProductPage};
use shop_kit::store::{Store, StoreError};
use shop_kit::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::cache::{Bounds, Cached};
use crate::listing::{Listing, Position};
use crate::store::Catalogue;

const PAGES: Bounds = Bounds {
    name: "pages",
    weight: 4096,
    time_to_live: Duration::from_secs(10),
};
const LISTS: Bounds = Bounds {
    name: "lists",
    weight: 2 * 1024 * 1024,
    time_to_live: Duration::from_secs(1),
};
const SEARCHES: Bounds = Bounds {
    name: "searches",
    ..LISTS
};
/// Between two clean-ups of ended entries.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// There is no such product.
    #[error("there is no such product")]
    NoProduct,
    /// A database error, shared by all that waited for the same load.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for ReadError {
    fn from(e: StoreError) -> Self {
        Self::Store(Arc::new(e))
    }
}

/// The catalogue as shoppers see it. Cloning shares it.
#[derive(Clone)]
pub struct Showcase(Arc<Inner>);

struct Inner {
    catalogue: Catalogue,
    pages: Cached<String, Arc<Product>>,
    lists: Cached<Listing, Bytes>,
    searches: Cached<BTreeSet<String>, Bytes>,
}

impl Showcase {
    /// In front of a catalogue; `caches`: whether anything is cached at all.
    pub fn new(catalogue: Catalogue, caches: bool, metrics: &Metrics) -> Self {
        let weight = |body: &Bytes| body.len().try_into().unwrap_or(u32::MAX);
        Self(Arc::new(Inner {
            catalogue,
            pages: Cached::new(PAGES, caches, metrics.clone(), |_| 1),
            lists: Cached::new(LISTS, caches, metrics.clone(), weight),
            searches: Cached::new(SEARCHES, caches, metrics.clone(), weight),
        }))
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.0.catalogue.store()
    }

    /// A product. A missing one is not cached: anybody can ask for any id.
    ///
    /// # Errors
    /// No such product, or a database error.
    pub async fn product(&self, id: &str) -> Result<Arc<Product>, ReadError> {
        let load = async {
            let product = self.0.catalogue.by_id(id).await?;
            product.map(Arc::new).ok_or(ReadError::NoProduct)
        };
        self.0.pages.get(id.to_owned(), load).await
    }

    /// A page of a list, as JSON. Only first pages are cached: most shoppers never turn them.
    ///
    /// # Errors
    /// A database error.
    pub async fn list(&self, listing: Listing) -> Result<Bytes, ReadError> {
        let load = async { json(&self.0.catalogue.list(&listing).await?) };
        if listing.after == Position::top() {
            self.0.lists.get(listing.clone(), load).await
        } else {
            load.await
        }
    }

    /// The products with these words, as JSON.
    ///
    /// # Errors
    /// A database error.
    pub async fn search(&self, asked: BTreeSet<String>) -> Result<Bytes, ReadError> {
        let load = async {
            let items = self.0.catalogue.search(&asked).await?;
            json(&ProductPage { items, next: None })
        };
        self.0.searches.get(asked.clone(), load).await
    }

    /// Changes a product.
    ///
    /// # Errors
    /// A database error.
    pub async fn change(
        &self,
        id: &str,
        change: &ProductChange,
    ) -> Result<Option<Product>, StoreError> {
        let changed = self.0.catalogue.change(id, change).await?;
        if changed.is_some() {
            self.0.pages.forget_all();
            self.0.lists.forget_all();
            self.0.searches.forget_all();
        }
        Ok(changed)
    }

    /// Counts sales, once per event: false when this event was handled before.
    ///
    /// # Errors
    /// A database error.
    pub async fn sold(&self, event_id: &str, items: &[OrderItem]) -> Result<bool, StoreError> {
        let new = self.0.catalogue.sold(event_id, items).await?;
        if new {
            self.forget(items.iter().map(|item| &item.product_id)).await;
        }
        Ok(new)
    }

    /// Stores inventory's levels as of `told_ms`, once per event: false when this event was handled before.
    ///
    /// # Errors
    /// A database error.
    pub async fn stocked(
        &self,
        event_id: &str,
        told_ms: i64,
        stock: &StockChanged,
    ) -> Result<bool, StoreError> {
        let levels = &stock.levels;
        let new = self.0.catalogue.stocked(event_id, told_ms, levels).await?;
        if new {
            self.forget(levels.iter().map(|l| &l.product_id)).await;
        }
        Ok(new)
    }

    /// Cleans up the caches until shutdown.
    pub async fn tend(self, shutdown: CancellationToken) {
        let mut turns = tokio::time::interval(TEND_EVERY);
        while shutdown.run_until_cancelled(turns.tick()).await.is_some() {
            self.0.pages.tend().await;
            self.0.lists.tend().await;
            self.0.searches.tend().await;
        }
    }

    async fn forget(&self, products: impl Iterator<Item = &String>) {
        for id in products {
            self.0.pages.forget(id.clone()).await;
        }
    }
}

fn json(page: &ProductPage) -> Result<Bytes, ReadError> {
    match serde_json::to_vec(page) {
        Ok(body) => Ok(body.into()),
        Err(e) => Err(StoreError::Corrupt(e.to_string()).into()),
    }
}
