//! A bounded cache with short lifetimes, for values that are read far more often than they change.
//!
//! A reader that misses loads the value, and all other readers of the same key wait for that load. So when a popular
//! entry expires, the database sees one query and not one per reader.
//!
//! An entry ends after its time to live, when the cache is full, or when it is removed. Removing all entries counts up
//! a generation that is part of each key. A load that began before and ends afterwards then stores its value under a
//! key that nobody reads.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge};
use moka::future::Cache;
use shop_kit::telemetry::metrics::Metrics;
use shop_kit::telemetry::names;

/// How large a cache may become, and how long entries live.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Its label in the metrics.
    pub name: &'static str,
    /// The highest total weight of all entries, in the unit of the weigher.
    pub weight: u64,
    /// How long an entry lives.
    pub time_to_live: Duration,
}

/// Values by key, and counts of hits and misses.
pub struct Cached<K, V> {
    name: &'static str,
    entries: Cache<(u64, K), V>,
    generation: AtomicU64,
    /// Off: every read loads, to show what the cache is worth.
    on: bool,
    metrics: Metrics,
}

impl<K, V> Cached<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache; `weigh` is the weight of an entry.
    pub fn new(bounds: Bounds, on: bool, metrics: Metrics, weigh: fn(&V) -> u32) -> Self {
        let cached = Self {
            name: bounds.name,
            entries: Cache::builder()
                .max_capacity(bounds.weight)
                .weigher(move |_, value| weigh(value))
                .time_to_live(bounds.time_to_live)
                .build(),
            generation: AtomicU64::new(0),
            on,
            metrics,
        };
        // Known beforehand, so that a ratio over the first requests is not lost.
        for result in ["hit", "miss"] {
            cached.count(result, 0);
        }
        cached.show_entries();
        cached
    }

    /// The value of a key, loaded by `load` if it is missing. All readers that wait for a load get its error, which is
    /// not stored.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<V, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        if !self.on {
            self.count("miss", 1);
            return load.await;
        }
        let found = self.entries.entry(self.current(key));
        let found = found.or_try_insert_with(load).await;
        match found {
            Ok(entry) => {
                // A reader that waited for another's load did not query the database: a hit.
                self.count(if entry.is_fresh() { "miss" } else { "hit" }, 1);
                Ok(entry.into_value())
            }
            Err(e) => {
                self.count("miss", 1);
                Err((*e).clone())
            }
        }
    }

    /// Removes one value. A load in progress may still store the old one, for one lifetime.
    pub async fn forget(&self, key: K) {
        self.entries.invalidate(&self.current(key)).await;
    }

    /// Removes all values: later reads get nothing that was loaded before.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Frees the memory of ended entries and updates the metric of their number.
    pub async fn tend(&self) {
        self.entries.run_pending_tasks().await;
        self.show_entries();
    }

    fn current(&self, key: K) -> (u64, K) {
        (self.generation.load(Ordering::Acquire), key)
    }

    fn count(&self, result: &'static str, by: u64) {
        self.metrics.record(|| {
            counter!(names::CACHE_REQUESTS, "cache" => self.name, "result" => result).increment(by);
        });
    }

    fn show_entries(&self) {
        let entries = self.entries.entry_count();
        self.metrics
            .record(|| gauge!(names::CACHE_ENTRIES, "cache" => self.name).set(entries as f64));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn cache(time_to_live: Duration) -> (Arc<Cached<&'static str, u32>>, Metrics) {
        let metrics = Metrics::new("product", "product-0");
        let bounds = Bounds {
            name: "pages",
            weight: 100,
            time_to_live,
        };
        (
            Arc::new(Cached::new(bounds, true, metrics.clone(), |_| 1)),
            metrics,
        )
    }

    fn counted(metrics: &Metrics, result: &str) -> u64 {
        let series = format!(r#"cache="pages",result="{result}"}} "#);
        let page = metrics.render();
        let line = page.lines().find(|l| l.contains(&series)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn loaded(cache: &Cached<&'static str, u32>, value: u32) -> u32 {
        let load = async { Ok::<_, ()>(value) };
        cache.get("key", load).await.unwrap()
    }

    #[tokio::test]
    async fn concurrent_readers_of_a_key_share_one_load() {
        let (cache, metrics) = cache(LONG);
        assert_eq!(
            (counted(&metrics, "hit"), counted(&metrics, "miss")),
            (0, 0)
        );
        let (gate, loads) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
        let mut readers = JoinSet::new();
        for _ in 0..50 {
            let (cache, gate, loads) = (Arc::clone(&cache), Arc::clone(&gate), Arc::clone(&loads));
            readers.spawn(async move {
                let load = async {
                    let _open = gate.acquire().await.unwrap();
                    Ok::<_, ()>(loads.fetch_add(1, Ordering::SeqCst))
                };
                cache.get("key", load).await
            });
        }
        // On this single thread, every reader has begun before the gate opens.
        tokio::task::yield_now().await;
        gate.add_permits(50);
        assert!(readers.join_all().await.iter().all(|v| *v == Ok(0)));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(
            (counted(&metrics, "hit"), counted(&metrics, "miss")),
            (49, 1)
        );
    }

    #[tokio::test]
    async fn an_expired_entry_is_loaded_again() {
        let (cache, _) = cache(Duration::from_millis(20));
        let mut value = loaded(&cache, 1).await;
        while value == 1 {
            tokio::task::yield_now().await;
            value = loaded(&cache, 2).await;
        }
        assert_eq!(value, 2);
    }

    #[tokio::test]
    async fn a_load_that_began_before_a_clear_stores_nothing_visible() {
        let (cache, _) = cache(LONG);
        let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let slow = tokio::spawn({
            let (cache, begun, gate) = (Arc::clone(&cache), Arc::clone(&begun), Arc::clone(&gate));
            async move {
                let load = async {
                    begun.add_permits(1);
                    let _open = gate.acquire().await.unwrap();
                    Ok::<_, ()>(1)
                };
                cache.get("key", load).await
            }
        });
        let _begun = begun.acquire().await.unwrap();
        cache.forget_all();
        assert_eq!(loaded(&cache, 2).await, 2, "asked after the change");
        gate.add_permits(1);
        assert_eq!(slow.await.unwrap(), Ok(1), "asked before the change");
        assert_eq!(loaded(&cache, 3).await, 2, "the slow load left nothing");
    }

    #[tokio::test]
    async fn one_can_be_forgotten_alone() {
        let (cache, _) = cache(LONG);
        loaded(&cache, 1).await;
        let other = async { Ok::<_, ()>(10) };
        assert_eq!(cache.get("other", other).await, Ok(10));
        cache.forget("key").await;
        assert_eq!(loaded(&cache, 2).await, 2);
        let other = async { Ok::<_, ()>(11) };
        assert_eq!(cache.get("other", other).await, Ok(10));
    }

    #[tokio::test]
    async fn failures_are_returned_and_not_cached() {
        let (cache, _) = cache(LONG);
        let load = async { Err::<u32, _>("no database") };
        assert_eq!(cache.get("key", load).await, Err("no database"));
        assert_eq!(loaded(&cache, 1).await, 1);
    }

    #[tokio::test]
    async fn it_stays_within_its_weight_and_reports_its_entries() {
        let metrics = Metrics::new("product", "product-0");
        let bounds = Bounds {
            name: "pages",
            weight: 100,
            time_to_live: LONG,
        };
        let cache = Cached::new(bounds, true, metrics.clone(), |_| 10);
        for key in 0..1000 {
            let load = async { Ok::<_, ()>(key) };
            cache.get(key, load).await.unwrap();
        }
        cache.tend().await;
        assert!(cache.entries.weighted_size() <= 100);
        let page = metrics.render();
        let line = page
            .lines()
            .find(|l| l.starts_with(names::CACHE_ENTRIES))
            .unwrap();
        let shown: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(shown, cache.entries.entry_count() as f64, "{line}");
        assert!(shown > 0.0);
    }

    #[tokio::test]
    async fn switched_off_every_read_loads() {
        let metrics = Metrics::new("product", "product-0");
        let bounds = Bounds {
            name: "pages",
            weight: 100,
            time_to_live: LONG,
        };
        let cache = Cached::new(bounds, false, metrics, |_| 1);
        let loads = AtomicU32::new(0);
        for _ in 0..3 {
            let load = async { Ok::<_, ()>(loads.fetch_add(1, Ordering::Relaxed)) };
            cache.get("a", load).await.unwrap();
        }
        assert_eq!(loads.into_inner(), 3);
    }
}
