//! The toxics of one proxy: adds, changes, ends and counts them, and sends each change to the links.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::draw::toxic_seed;
use super::error::ProxyError;
use super::toxic::{NewToxic, Stream, ToxicKind, check_toxicity, check_ttl};

/// What a toxic has affected so far. A connection counts if any of its data was delayed, split or dropped, or if it was
/// closed or reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Affected connections.
    pub connections: u64,
    /// Affected bytes.
    pub bytes: u64,
}

/// The current state of a toxic.
#[derive(Debug, Clone, PartialEq)]
pub struct ToxicInfo {
    /// Its name, unique in its proxy.
    pub name: String,
    /// What it does.
    pub kind: ToxicKind,
    /// The direction.
    pub stream: Stream,
    /// The share of connections that it affects.
    pub toxicity: f64,
    /// Its time to live.
    pub ttl: Option<Duration>,
    /// How much of that remains.
    pub remaining: Option<Duration>,
    /// What it has affected.
    pub hits: Hits,
}

/// A change of a toxic. Its name, type and stream cannot change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ToxicChange {
    pub kind: Option<ToxicKind>,
    pub toxicity: Option<f64>,
    /// Counts from the change.
    pub ttl: Option<Duration>,
}

/// The counters behind [`Hits`].
#[derive(Debug, Default)]
pub(super) struct HitCount {
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl HitCount {
    pub(super) fn add(&self, is_new_connection: bool, bytes: u64) {
        self.connections
            .fetch_add(u64::from(is_new_connection), Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn get(&self) -> Hits {
        Hits {
            connections: self.connections.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }
}

/// A toxic as links use it. Immutable: a change replaces it by one with the same `id`, `seed` and `hits`.
#[derive(Debug, Clone)]
pub(super) struct ActiveToxic {
    pub id: u64,
    pub name: String,
    pub kind: ToxicKind,
    pub stream: Stream,
    pub toxicity: f64,
    /// The seed for selecting connections.
    pub selection_seed: u64,
    /// The seed for all other random values.
    pub seed: u64,
    pub hits: Arc<HitCount>,
    ttl: Option<Duration>,
    ends_at: Option<Instant>,
}

impl ActiveToxic {
    /// A toxic on every connection, for tests.
    #[cfg(test)]
    pub(super) fn on_all(id: u64, kind: ToxicKind) -> Arc<Self> {
        Arc::new(Self {
            id,
            name: format!("toxic-{id}"),
            kind,
            stream: Stream::Upstream,
            toxicity: 1.0,
            selection_seed: id,
            seed: id,
            hits: Arc::default(),
            ttl: None,
            ends_at: None,
        })
    }

    fn info(&self) -> ToxicInfo {
        ToxicInfo {
            name: self.name.clone(),
            kind: self.kind,
            stream: self.stream,
            toxicity: self.toxicity,
            ttl: self.ttl,
            remaining: self
                .ends_at
                .map(|at| at.saturating_duration_since(Instant::now())),
            hits: self.hits.get(),
        }
    }
}

/// The toxics of both directions, each in the order in which data passes them.
#[derive(Debug, Clone, Default)]
pub(super) struct ToxicChains {
    pub upstream: Vec<Arc<ActiveToxic>>,
    pub downstream: Vec<Arc<ActiveToxic>>,
}

impl ToxicChains {
    pub(super) fn on(&self, stream: Stream) -> &Vec<Arc<ActiveToxic>> {
        match stream {
            Stream::Upstream => &self.upstream,
            Stream::Downstream => &self.downstream,
        }
    }

    fn on_mut(&mut self, stream: Stream) -> &mut Vec<Arc<ActiveToxic>> {
        match stream {
            Stream::Upstream => &mut self.upstream,
            Stream::Downstream => &mut self.downstream,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ActiveToxic>> {
        self.upstream.iter().chain(&self.downstream)
    }

    fn find(&self, name: &str) -> Result<&Arc<ActiveToxic>, ProxyError> {
        self.all()
            .find(|t| t.name == name)
            .ok_or(ProxyError::ToxicNotFound)
    }
}

/// What is kept for a name after its toxic has ended.
#[derive(Debug, Default)]
struct History {
    additions: u64,
    /// The hits of the latest toxic. Links that have not seen its end yet may still add to them.
    hits: Arc<HitCount>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    timers: BTreeMap<u64, AbortHandle>,
    history: BTreeMap<String, History>,
}

/// The toxics of one proxy.
#[derive(Debug)]
pub(super) struct Toxics {
    seed: u64,
    proxy: String,
    state: Mutex<State>,
    /// Sent to only while `state` is locked, so that changes are sent in order.
    chains: watch::Sender<Arc<ToxicChains>>,
}

impl Toxics {
    pub(super) fn new(seed: u64, proxy: String) -> Arc<Self> {
        Arc::new(Self {
            seed,
            proxy,
            state: Mutex::default(),
            chains: watch::Sender::default(),
        })
    }

    /// For a new connection.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<ToxicChains>> {
        self.chains.subscribe()
    }

    pub(super) fn all(&self) -> Vec<ToxicInfo> {
        self.chains.borrow().all().map(|t| t.info()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Result<ToxicInfo, ProxyError> {
        self.chains.borrow().find(name).map(|t| t.info())
    }

    /// The hits of the toxic with this name, or of the latest one if it has ended.
    pub(super) fn hits(&self, name: &str) -> Result<Hits, ProxyError> {
        let state = self.state();
        let history = state.history.get(name).ok_or(ProxyError::ToxicNotFound)?;
        Ok(history.hits.get())
    }

    /// Adds a toxic. It affects all later data, also on open connections.
    pub(super) fn add(self: &Arc<Self>, new: NewToxic) -> Result<ToxicInfo, ProxyError> {
        new.check()?;
        let name = new
            .name
            .filter(|n| !n.is_empty())
            .unwrap_or_else(|| format!("{}_{}", new.kind.name(), new.stream.name()));
        let mut state = self.state();
        if self.chains.borrow().find(&name).is_ok() {
            return Err(ProxyError::ToxicExists);
        }
        state.last_id += 1;
        let id = state.last_id;
        let history = state.history.entry(name.clone()).or_default();
        let seed = toxic_seed(self.seed, &self.proxy, &name, history.additions);
        let selection_seed = match &new.selection {
            Some(key) => toxic_seed(self.seed, &self.proxy, key, history.additions),
            None => seed,
        };
        history.additions += 1;
        history.hits = Arc::default();
        let hits = history.hits.clone();
        let toxic = Arc::new(ActiveToxic {
            id,
            name,
            kind: new.kind,
            stream: new.stream,
            toxicity: new.toxicity,
            selection_seed,
            seed,
            hits,
            ttl: new.ttl,
            ends_at: self.set_timer(&mut state, id, new.ttl),
        });
        let info = toxic.info();
        self.publish(|chains| chains.on_mut(new.stream).push(toxic));
        Ok(info)
    }

    pub(super) fn change(
        self: &Arc<Self>,
        name: &str,
        change: ToxicChange,
    ) -> Result<ToxicInfo, ProxyError> {
        let mut state = self.state();
        let mut toxic = ActiveToxic::clone(self.chains.borrow().find(name)?);
        if let Some(kind) = change.kind {
            kind.check()?;
            toxic.kind = kind;
        }
        if let Some(toxicity) = change.toxicity {
            check_toxicity(toxicity)?;
            toxic.toxicity = toxicity;
        }
        check_ttl(change.ttl)?;
        if change.ttl.is_some() {
            toxic.ttl = change.ttl;
            toxic.ends_at = self.set_timer(&mut state, toxic.id, change.ttl);
        }
        let toxic = Arc::new(toxic);
        let info = toxic.info();
        self.publish(|chains| {
            for slot in chains.on_mut(toxic.stream) {
                if slot.id == toxic.id {
                    *slot = toxic.clone();
                }
            }
        });
        Ok(info)
    }

    /// Removes a toxic and returns its hits.
    pub(super) fn remove(&self, name: &str) -> Result<Hits, ProxyError> {
        let mut state = self.state();
        self.chains.borrow().find(name)?;
        self.end(&mut state, |t| t.name == name);
        Ok(state
            .history
            .get(name)
            .map(|h| h.hits.get())
            .unwrap_or_default())
    }

    pub(super) fn clear(&self) {
        self.end(&mut self.state(), |_| true);
    }

    /// Ends the toxics for which `is_chosen` is true.
    fn end(&self, state: &mut State, is_chosen: impl Fn(&ActiveToxic) -> bool) {
        for toxic in self.chains.borrow().all().filter(|t| is_chosen(t)) {
            if let Some(timer) = state.timers.remove(&toxic.id) {
                timer.abort();
            }
        }
        self.publish(|chains| {
            chains.upstream.retain(|t| !is_chosen(t));
            chains.downstream.retain(|t| !is_chosen(t));
        });
    }

    /// Sets the timer of a toxic's time to live, and cancels the earlier one.
    fn set_timer(
        self: &Arc<Self>,
        state: &mut State,
        id: u64,
        ttl: Option<Duration>,
    ) -> Option<Instant> {
        let at = Instant::now() + ttl?;
        let toxics: Weak<Self> = Arc::downgrade(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            if let Some(toxics) = toxics.upgrade() {
                let mut state = toxics.state();
                // A change of the time to live may have replaced this timer in the meantime.
                if state
                    .timers
                    .get(&id)
                    .is_some_and(|t| t.id() == tokio::task::id())
                {
                    toxics.end(&mut state, |t| t.id == id);
                }
            }
        });
        if let Some(before) = state.timers.insert(id, timer.abort_handle()) {
            before.abort();
        }
        Some(at)
    }

    fn publish(&self, edit: impl FnOnce(&mut ToxicChains)) {
        self.chains
            .send_modify(|chains| edit(Arc::make_mut(chains)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Code under this lock does not panic in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Toxics {
    fn drop(&mut self) {
        for timer in self.state().timers.values() {
            timer.abort();
        }
    }
}
