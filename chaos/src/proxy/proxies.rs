//! All proxies of a process: made, changed and taken away by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::ProxyError;
use super::listener::{Counts, Running};
use super::resolve::resolve;
use super::toxic::{NewToxic, Stream};
use super::toxics::{Hits, ToxicChange, ToxicInfo, Toxics};

/// A proxy that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// Unique.
    pub name: String,
    /// Where it listens: `host:port`; port 0 takes any free one.
    pub listen: String,
    /// Where it connects to: `host:port`, resolved anew for each connection.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
}

/// What is to be different about a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Drops its connections, where it differs.
    pub listen: Option<String>,
    /// Drops its connections, where it differs.
    pub upstream: Option<String>,
    /// `false` closes its port and drops its connections.
    pub enabled: Option<bool>,
}

/// Connections of a proxy since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted.
    pub total: u64,
    /// Of these, open now.
    pub open: u64,
    /// Of these, closed since the upstream could not be reached.
    pub dial_failed: u64,
}

/// A proxy as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyInfo {
    /// As asked for, but for `listen`, which has the actual port.
    pub spec: ProxySpec,
    /// First those on the way upstream.
    pub toxics: Vec<ToxicInfo>,
    /// Counted.
    pub connections: Connections,
    /// Bytes received and sent on the way upstream, then on the way downstream.
    pub bytes: [(Stream, u64, u64); 2],
}

#[derive(Debug)]
struct State {
    listen: String,
    upstream: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Proxy {
    name: String,
    toxics: Arc<Toxics>,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

impl Proxy {
    fn new(seed: u64, spec: &ProxySpec) -> Arc<Self> {
        Arc::new(Self {
            name: spec.name.clone(),
            toxics: Toxics::new(seed, spec.name.clone()),
            counts: Arc::default(),
            state: Mutex::new(State {
                listen: spec.listen.clone(),
                upstream: spec.upstream.clone(),
                running: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn info(&self) -> ProxyInfo {
        let state = self.state();
        let counts = &self.counts;
        let bytes = |stream, t: &super::link::Traffic| {
            (stream, t.received.load(Relaxed), t.sent.load(Relaxed))
        };
        ProxyInfo {
            spec: ProxySpec {
                name: self.name.clone(),
                listen: state.listen.clone(),
                upstream: state.upstream.clone(),
                enabled: state.running.is_some(),
            },
            toxics: self.toxics.all(),
            connections: Connections {
                total: counts.accepted.load(Relaxed),
                open: counts.open.load(Relaxed),
                dial_failed: counts.dial_failed.load(Relaxed),
            },
            bytes: [
                bytes(Stream::Upstream, &counts.upstream),
                bytes(Stream::Downstream, &counts.downstream),
            ],
        }
    }

    async fn start(&self, shutdown: &CancellationToken) -> Result<(), ProxyError> {
        let (listen, upstream) = {
            let state = self.state();
            if state.running.is_some() {
                return Ok(());
            }
            (state.listen.clone(), state.upstream.clone())
        };
        let address = resolve(&listen).await?;
        let (toxics, counts) = (self.toxics.clone(), self.counts.clone());
        let running = Running::start(address, upstream, toxics, counts, shutdown)
            .await
            .map_err(|source| ProxyError::Listen {
                address: address.to_string(),
                source,
            })?;
        let mut state = self.state();
        state.listen = running.address.to_string();
        state.running = Some(running);
        Ok(())
    }

    async fn stop(&self) {
        let running = self.state().running.take();
        if let Some(running) = running {
            running.stop().await;
        }
    }

    /// Whether it listens or connects elsewhere than asked for.
    async fn differs(&self, listen: &str, upstream: &str) -> Result<bool, ProxyError> {
        let (old, old_upstream) = {
            let state = self.state();
            (state.listen.clone(), state.upstream.clone())
        };
        Ok(resolve(listen).await? != resolve(&old).await? || upstream != old_upstream)
    }
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    shutdown: CancellationToken,
    /// One change at a time: listening and closing take a while, and two of them must not cross.
    changing: tokio::sync::Mutex<()>,
    proxies: Mutex<BTreeMap<String, Arc<Proxy>>>,
    _end: DropGuard,
}

/// The proxies, and the way to all that can be done with them. Cheap to clone; everything ends with the last clone, with
/// [`close`](Self::close), or with the token.
#[derive(Debug, Clone)]
pub struct Proxies {
    inner: Arc<Inner>,
}

impl Proxies {
    /// None yet. `seed` decides which connections are touched, jitter and sizes; `shutdown` ends everything.
    pub fn new(seed: u64, shutdown: CancellationToken) -> Self {
        let shutdown = shutdown.child_token();
        Self {
            inner: Arc::new(Inner {
                seed,
                _end: shutdown.clone().drop_guard(),
                shutdown,
                changing: tokio::sync::Mutex::default(),
                proxies: Mutex::default(),
            }),
        }
    }

    /// Makes a proxy that listens; returns where.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn open(
        &self,
        name: &str,
        listen: &str,
        upstream: &str,
    ) -> Result<SocketAddr, ProxyError> {
        let made = self
            .create(ProxySpec {
                name: name.to_owned(),
                listen: listen.to_owned(),
                upstream: upstream.to_owned(),
                enabled: true,
            })
            .await?;
        resolve(&made.spec.listen).await
    }

    /// Makes a proxy.
    ///
    /// # Errors
    /// A name that is taken, a field that is missing, an address that cannot be had.
    pub async fn create(&self, spec: ProxySpec) -> Result<ProxyInfo, ProxyError> {
        check(&spec, "")?;
        let _one = self.inner.changing.lock().await;
        if self.proxy(&spec.name).is_ok() {
            return Err(ProxyError::Exists);
        }
        self.put(&spec).await
    }

    /// Makes all of these. One that is there and is to listen and connect as it does is left as it is; another one is
    /// replaced. Returns what was done, and what came in the way.
    pub async fn populate(&self, specs: &[ProxySpec]) -> (Vec<ProxyInfo>, Result<(), ProxyError>) {
        let mut done = vec![];
        for (n, spec) in specs.iter().enumerate() {
            if let Err(e) = check(spec, &format!(" at proxy {}", n + 1)) {
                return (done, Err(e));
            }
        }
        let _one = self.inner.changing.lock().await;
        for spec in specs {
            match self.put_where_different(spec).await {
                Ok(info) => done.push(info),
                Err(e) => return (done, Err(e)),
            }
        }
        (done, Ok(()))
    }

    /// Every proxy, by name.
    pub fn list(&self) -> Vec<ProxyInfo> {
        self.all().iter().map(|p| p.info()).collect()
    }

    /// One proxy.
    ///
    /// # Errors
    /// [`ProxyError::NotFound`].
    pub fn get(&self, name: &str) -> Result<ProxyInfo, ProxyError> {
        Ok(self.proxy(name)?.info())
    }

    /// Changes a proxy. Its toxics stay.
    ///
    /// # Errors
    /// There is none, or an address cannot be had; it is disabled then.
    pub async fn update(&self, name: &str, change: Change) -> Result<ProxyInfo, ProxyError> {
        let _one = self.inner.changing.lock().await;
        let proxy = self.proxy(name)?;
        let now = proxy.info().spec;
        let listen = change.listen.unwrap_or_else(|| now.listen.clone());
        let upstream = change.upstream.unwrap_or_else(|| now.upstream.clone());
        if proxy.differs(&listen, &upstream).await? {
            proxy.stop().await;
            let mut state = proxy.state();
            state.listen = listen;
            state.upstream = upstream;
        }
        if change.enabled.unwrap_or(now.enabled) {
            proxy.start(&self.inner.shutdown).await?;
        } else {
            proxy.stop().await;
        }
        Ok(proxy.info())
    }

    /// Takes a proxy away: its port is free and its connections are closed when this returns.
    ///
    /// # Errors
    /// [`ProxyError::NotFound`].
    pub async fn delete(&self, name: &str) -> Result<(), ProxyError> {
        let _one = self.inner.changing.lock().await;
        let proxy = locked(&self.inner.proxies)
            .remove(name)
            .ok_or(ProxyError::NotFound)?;
        proxy.stop().await;
        Ok(())
    }

    /// Enables every proxy and removes every toxic.
    ///
    /// # Errors
    /// A port cannot be had. The toxics are gone all the same.
    pub async fn reset(&self) -> Result<(), ProxyError> {
        let _one = self.inner.changing.lock().await;
        let mut all_started = Ok(());
        for proxy in self.all() {
            proxy.toxics.clear();
            let started = proxy.start(&self.inner.shutdown).await;
            all_started = all_started.and(started);
        }
        all_started
    }

    /// Adds a toxic. What is sent from now on meets it, on connections that are open as well.
    ///
    /// # Errors
    /// There is no such proxy, the name is taken, a value means nothing.
    pub fn add_toxic(&self, proxy: &str, toxic: NewToxic) -> Result<ToxicInfo, ProxyError> {
        self.proxy(proxy)?.toxics.add(toxic)
    }

    pub(super) fn change_toxic(
        &self,
        proxy: &str,
        toxic: &str,
        change: ToxicChange,
    ) -> Result<ToxicInfo, ProxyError> {
        self.proxy(proxy)?.toxics.change(toxic, change)
    }

    /// One toxic.
    ///
    /// # Errors
    /// There is no such proxy or toxic.
    pub fn toxic(&self, proxy: &str, toxic: &str) -> Result<ToxicInfo, ProxyError> {
        self.proxy(proxy)?.toxics.get(toxic)
    }

    /// Removes a toxic; what waited in it goes on at once. Returns what it has done.
    ///
    /// # Errors
    /// There is no such proxy or toxic, perhaps since its time to live is over.
    pub fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<Hits, ProxyError> {
        self.proxy(proxy)?.toxics.remove(toxic)
    }

    /// What a toxic has done, or the last one of that name.
    ///
    /// # Errors
    /// There is no such proxy, and never was such a toxic.
    pub fn toxic_hits(&self, proxy: &str, toxic: &str) -> Result<Hits, ProxyError> {
        self.proxy(proxy)?.toxics.hits(toxic)
    }

    /// Takes every proxy away: all ports are free and all connections are closed when this returns.
    pub async fn close(&self) {
        let _one = self.inner.changing.lock().await;
        let all = std::mem::take(&mut *locked(&self.inner.proxies));
        for proxy in all.values() {
            proxy.stop().await;
        }
    }

    fn proxy(&self, name: &str) -> Result<Arc<Proxy>, ProxyError> {
        let proxies = locked(&self.inner.proxies);
        proxies.get(name).cloned().ok_or(ProxyError::NotFound)
    }

    fn all(&self) -> Vec<Arc<Proxy>> {
        locked(&self.inner.proxies).values().cloned().collect()
    }

    async fn put(&self, spec: &ProxySpec) -> Result<ProxyInfo, ProxyError> {
        let proxy = Proxy::new(self.inner.seed, spec);
        if spec.enabled {
            proxy.start(&self.inner.shutdown).await?;
        }
        let info = proxy.info();
        locked(&self.inner.proxies).insert(spec.name.clone(), proxy);
        Ok(info)
    }

    async fn put_where_different(&self, spec: &ProxySpec) -> Result<ProxyInfo, ProxyError> {
        if let Ok(old) = self.proxy(&spec.name) {
            if !old.differs(&spec.listen, &spec.upstream).await? {
                return Ok(old.info());
            }
            old.stop().await;
        }
        self.put(spec).await
    }
}

fn check(spec: &ProxySpec, place: &str) -> Result<(), ProxyError> {
    for (field, value) in [("name", &spec.name), ("upstream", &spec.upstream)] {
        if value.is_empty() {
            return Err(ProxyError::Missing(format!("{field}{place}")));
        }
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that could panic happens between two writes under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
