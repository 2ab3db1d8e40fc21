//! The toxics of one proxy: asked for, changed, ended, counted; each change published to the links.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::draw::toxic_seed;
use super::error::ProxyError;
use super::toxic::{Kind, NewToxic, Stream, check_toxicity, check_ttl};

/// What a toxic has done so far. A connection counts when something of it was delayed, cut, dropped or reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Connections.
    pub connections: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A toxic as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ToxicInfo {
    /// Unique within its proxy.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Which way.
    pub stream: Stream,
    /// The share of connections that it touches.
    pub toxicity: f64,
    /// For how long it was asked for.
    pub ttl: Option<Duration>,
    /// How much of that remains.
    pub remaining: Option<Duration>,
    /// What it has done.
    pub hits: Hits,
}

/// What is to be different about a toxic. Its name, type and stream stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ToxicChange {
    pub kind: Option<Kind>,
    pub toxicity: Option<f64>,
    /// Counts from now.
    pub ttl: Option<Duration>,
}

/// [`Hits`] while they are counted.
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

/// A toxic as links see it. Never changed: an edit makes another with the same `id`, `seed` and `hits`.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub id: u64,
    pub name: String,
    pub kind: Kind,
    pub stream: Stream,
    pub toxicity: f64,
    /// Of the lots that say which connections it touches.
    pub lots: u64,
    /// Of all its other draws.
    pub seed: u64,
    pub hits: Arc<HitCount>,
    ttl: Option<Duration>,
    ends_at: Option<Instant>,
}

impl Active {
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

/// The toxics of both ways, each in the order in which they are passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Chains {
    pub upstream: Vec<Arc<Active>>,
    pub downstream: Vec<Arc<Active>>,
}

impl Chains {
    pub(super) fn on(&self, stream: Stream) -> &Vec<Arc<Active>> {
        match stream {
            Stream::Upstream => &self.upstream,
            Stream::Downstream => &self.downstream,
        }
    }

    fn on_mut(&mut self, stream: Stream) -> &mut Vec<Arc<Active>> {
        match stream {
            Stream::Upstream => &mut self.upstream,
            Stream::Downstream => &mut self.downstream,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Active>> {
        self.upstream.iter().chain(&self.downstream)
    }

    fn find(&self, name: &str) -> Result<&Arc<Active>, ProxyError> {
        self.all()
            .find(|t| t.name == name)
            .ok_or(ProxyError::ToxicNotFound)
    }
}

/// What is remembered of a name after its toxic has ended.
#[derive(Debug, Default)]
struct Past {
    additions: u64,
    /// Of the last one. Connections that have not heard of its end yet may still add to it.
    hits: Arc<HitCount>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    timers: BTreeMap<u64, AbortHandle>,
    past: BTreeMap<String, Past>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Toxics {
    seed: u64,
    proxy: String,
    state: Mutex<State>,
    /// Sent to only while `state` is held, so that no two edits overtake each other.
    chains: watch::Sender<Arc<Chains>>,
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
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Chains>> {
        self.chains.subscribe()
    }

    pub(super) fn all(&self) -> Vec<ToxicInfo> {
        self.chains.borrow().all().map(|t| t.info()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Result<ToxicInfo, ProxyError> {
        self.chains.borrow().find(name).map(|t| t.info())
    }

    /// Of the toxic of that name, or of the last one there was.
    pub(super) fn hits(&self, name: &str) -> Result<Hits, ProxyError> {
        let state = self.state();
        let past = state.past.get(name).ok_or(ProxyError::ToxicNotFound)?;
        Ok(past.hits.get())
    }

    /// From now on whatever is sent meets it, on connections that are open as well.
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
        let past = state.past.entry(name.clone()).or_default();
        let seed = toxic_seed(self.seed, &self.proxy, &name, past.additions);
        let lots = match &new.lots {
            Some(lots) => toxic_seed(self.seed, &self.proxy, lots, past.additions),
            None => seed,
        };
        past.additions += 1;
        past.hits = Arc::default();
        let hits = past.hits.clone();
        let toxic = Arc::new(Active {
            id,
            name,
            kind: new.kind,
            stream: new.stream,
            toxicity: new.toxicity,
            lots,
            seed,
            hits,
            ttl: new.ttl,
            ends_at: self.end_later(&mut state, id, new.ttl),
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
        let mut toxic = Active::clone(self.chains.borrow().find(name)?);
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
            toxic.ends_at = self.end_later(&mut state, toxic.id, change.ttl);
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

    /// The hits so far.
    pub(super) fn remove(&self, name: &str) -> Result<Hits, ProxyError> {
        let mut state = self.state();
        self.chains.borrow().find(name)?;
        self.end(&mut state, |t| t.name == name);
        Ok(state
            .past
            .get(name)
            .map(|p| p.hits.get())
            .unwrap_or_default())
    }

    pub(super) fn clear(&self) {
        self.end(&mut self.state(), |_| true);
    }

    /// Ends those that are chosen.
    fn end(&self, state: &mut State, is_chosen: impl Fn(&Active) -> bool) {
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

    /// Sets the timer of a toxic's time to live, in place of the one it has.
    fn end_later(
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
                // Whoever gave it another time to live in the last instant has put another timer here.
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

    fn publish(&self, edit: impl FnOnce(&mut Chains)) {
        self.chains
            .send_modify(|chains| edit(Arc::make_mut(chains)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each edit is complete before anything that could panic.
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

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A toxic on every connection, as links see it.
    pub(in super::super) fn active(id: u64, kind: Kind) -> Arc<Active> {
        Arc::new(Active {
            id,
            name: format!("toxic-{id}"),
            kind,
            stream: Stream::Upstream,
            toxicity: 1.0,
            lots: id,
            seed: id,
            hits: Arc::default(),
            ttl: None,
            ends_at: None,
        })
    }
}
