//! All proxies of a process: creates, changes and removes them by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::ProxyError;
use super::listener::{ProxyCounters, RunningProxy};
use super::resolve::resolve;
use super::toxic::{NewToxic, Stream};
use super::toxics::{Hits, ToxicChange, ToxicInfo, Toxics};

/// The configuration of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// Its name; unique.
    pub name: String,
    /// The listen address, `host:port`; port 0 takes any free one.
    pub listen: String,
    /// The upstream address, `host:port`, resolved for each connection.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
}

/// A change of a proxy. `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyChange {
    /// Drops its connections, if different.
    pub listen: Option<String>,
    /// Drops its connections, if different.
    pub upstream: Option<String>,
    /// `false` closes its port and drops its connections.
    pub enabled: Option<bool>,
}

/// Connections of a proxy since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted connections.
    pub total: u64,
    /// Of these, open now.
    pub open: u64,
    /// Of these, closed because the upstream could not be reached.
    pub dial_failed: u64,
}

/// The current state of a proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyInfo {
    /// Its configuration; `listen` has the actual port.
    pub spec: ProxySpec,
    /// Its toxics, those of the upstream direction first.
    pub toxics: Vec<ToxicInfo>,
    /// Its connections.
    pub connections: Connections,
    /// Bytes received and sent, for each direction.
    pub bytes: [(Stream, u64, u64); 2],
}

#[derive(Debug)]
struct State {
    listen: String,
    upstream: String,
    running: Option<RunningProxy>,
}

#[derive(Debug)]
struct Proxy {
    name: String,
    toxics: Arc<Toxics>,
    counters: Arc<ProxyCounters>,
    state: Mutex<State>,
}

impl Proxy {
    fn new(seed: u64, spec: &ProxySpec) -> Arc<Self> {
        Arc::new(Self {
            name: spec.name.clone(),
            toxics: Toxics::new(seed, spec.name.clone()),
            counters: Arc::default(),
            state: Mutex::new(State {
                listen: spec.listen.clone(),
                upstream: spec.upstream.clone(),
                running: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn info(&self) -> ProxyInfo {
        let state = self.state();
        let counters = &self.counters;
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
                total: counters.accepted.load(Relaxed),
                open: counters.open.load(Relaxed),
                dial_failed: counters.dial_failed.load(Relaxed),
            },
            bytes: [
                bytes(Stream::Upstream, &counters.upstream),
                bytes(Stream::Downstream, &counters.downstream),
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
        let (toxics, counters) = (self.toxics.clone(), self.counters.clone());
        let running = RunningProxy::start(address, upstream, toxics, counters, shutdown)
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

    /// Whether its addresses are different from these.
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
    /// Held during a change, since listening and closing take time and must not interleave.
    changing: tokio::sync::Mutex<()>,
    proxies: Mutex<BTreeMap<String, Arc<Proxy>>>,
    _end: DropGuard,
}

/// All proxies. Cheap to clone. Everything ends with the last clone, with [`close`](Self::close), or when the token is
/// cancelled.
#[derive(Debug, Clone)]
pub struct Proxies {
    inner: Arc<Inner>,
}

impl Proxies {
    /// An empty set of proxies. `seed` is the source of all random values of toxics; `shutdown` ends everything.
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

    /// Creates an enabled proxy. Returns its listen address.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn open(
        &self,
        name: &str,
        listen: &str,
        upstream: &str,
    ) -> Result<SocketAddr, ProxyError> {
        let created = self
            .create(ProxySpec {
                name: name.to_owned(),
                listen: listen.to_owned(),
                upstream: upstream.to_owned(),
                enabled: true,
            })
            .await?;
        resolve(&created.spec.listen).await
    }

    /// Creates a proxy.
    ///
    /// # Errors
    /// The name is taken, a field is missing, or the listen address fails.
    pub async fn create(&self, spec: ProxySpec) -> Result<ProxyInfo, ProxyError> {
        check(&spec, "")?;
        let _changing = self.inner.changing.lock().await;
        if self.proxy(&spec.name).is_ok() {
            return Err(ProxyError::Exists);
        }
        self.put(&spec).await
    }

    /// Creates all of these. An existing proxy is left alone if its addresses are the same, and replaced if not.
    /// Returns the proxies up to the first error, and the error.
    pub async fn populate(&self, specs: &[ProxySpec]) -> (Vec<ProxyInfo>, Result<(), ProxyError>) {
        let mut done = vec![];
        for (n, spec) in specs.iter().enumerate() {
            if let Err(e) = check(spec, &format!(" at proxy {}", n + 1)) {
                return (done, Err(e));
            }
        }
        let _changing = self.inner.changing.lock().await;
        for spec in specs {
            match self.put_if_different(spec).await {
                Ok(info) => done.push(info),
                Err(e) => return (done, Err(e)),
            }
        }
        (done, Ok(()))
    }

    /// All proxies, by name.
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
    /// There is no such proxy, or the listen address fails; the proxy is then disabled.
    pub async fn update(&self, name: &str, change: ProxyChange) -> Result<ProxyInfo, ProxyError> {
        let _changing = self.inner.changing.lock().await;
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

    /// Removes a proxy. When this returns, its port is free and its connections are closed.
    ///
    /// # Errors
    /// [`ProxyError::NotFound`].
    pub async fn delete(&self, name: &str) -> Result<(), ProxyError> {
        let _changing = self.inner.changing.lock().await;
        let proxy = lock(&self.inner.proxies)
            .remove(name)
            .ok_or(ProxyError::NotFound)?;
        proxy.stop().await;
        Ok(())
    }

    /// Enables every proxy and removes every toxic.
    ///
    /// # Errors
    /// A listen address fails. The toxics are removed nevertheless.
    pub async fn reset(&self) -> Result<(), ProxyError> {
        let _changing = self.inner.changing.lock().await;
        let mut all_started = Ok(());
        for proxy in self.all() {
            proxy.toxics.clear();
            let started = proxy.start(&self.inner.shutdown).await;
            all_started = all_started.and(started);
        }
        all_started
    }

    /// Adds a toxic. It affects all later data, also on open connections.
    ///
    /// # Errors
    /// There is no such proxy, the name is taken, or a value is invalid.
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

    /// Removes a toxic. Data that waits in it is passed on at once. Returns its hits.
    ///
    /// # Errors
    /// There is no such proxy or toxic; the toxic may have ended by its time to live.
    pub fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<Hits, ProxyError> {
        self.proxy(proxy)?.toxics.remove(toxic)
    }

    /// The hits of a toxic, or of the latest one of that name if it has ended.
    ///
    /// # Errors
    /// There is no such proxy, or there never was such a toxic.
    pub fn toxic_hits(&self, proxy: &str, toxic: &str) -> Result<Hits, ProxyError> {
        self.proxy(proxy)?.toxics.hits(toxic)
    }

    /// Removes all proxies. When this returns, all ports are free and all connections are closed.
    pub async fn close(&self) {
        let _changing = self.inner.changing.lock().await;
        let all = std::mem::take(&mut *lock(&self.inner.proxies));
        for proxy in all.values() {
            proxy.stop().await;
        }
    }

    fn proxy(&self, name: &str) -> Result<Arc<Proxy>, ProxyError> {
        let proxies = lock(&self.inner.proxies);
        proxies.get(name).cloned().ok_or(ProxyError::NotFound)
    }

    fn all(&self) -> Vec<Arc<Proxy>> {
        lock(&self.inner.proxies).values().cloned().collect()
    }

    async fn put(&self, spec: &ProxySpec) -> Result<ProxyInfo, ProxyError> {
        let proxy = Proxy::new(self.inner.seed, spec);
        if spec.enabled {
            proxy.start(&self.inner.shutdown).await?;
        }
        let info = proxy.info();
        lock(&self.inner.proxies).insert(spec.name.clone(), proxy);
        Ok(info)
    }

    async fn put_if_different(&self, spec: &ProxySpec) -> Result<ProxyInfo, ProxyError> {
        if let Ok(old) = self.proxy(&spec.name) {
            if !old.differs(&spec.listen, &spec.upstream).await? {
                return Ok(old.info());
            }
            old.stop().await;
        }
        self.put(spec).await
    }
}

/// `position` is appended to the name of a missing field.
fn check(spec: &ProxySpec, position: &str) -> Result<(), ProxyError> {
    for (field, value) in [("name", &spec.name), ("upstream", &spec.upstream)] {
        if value.is_empty() {
            return Err(ProxyError::Missing(format!("{field}{position}")));
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Code under these locks does not panic between two writes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
