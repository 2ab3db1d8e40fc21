//! [`Kit`]: everything that the parts of one service share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shop_contract::faults::Touches;
use shop_resilience::Moment;

use crate::auth::verifier::Verifier;
use crate::client::connector::{HttpClient, http_client};
use crate::client::peer::Peers;
use crate::clock::{Clock, WallClock};
use crate::config::{Events, ServiceConfig};
use crate::events::nats::Nats;
use crate::faults::process::ProcessFaults;
use crate::faults::registry::Faults;
use crate::limiter::SharedLimiter;
use crate::telemetry::metrics::Metrics;

/// The time limit of a request whose caller sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The shared parts of one service. Clones share them.
#[derive(Clone)]
pub struct Kit(Arc<Inner>);

struct Inner {
    config: ServiceConfig,
    metrics: Metrics,
    faults: Faults,
    verifier: Verifier,
    limiter: SharedLimiter,
    peers: Peers,
    http: HttpClient,
    nats: Option<Arc<Nats>>,
    clock: Clock,
    wall_clock: WallClock,
    ready: AtomicBool,
}

impl Kit {
    /// The kit of one service. Call it within a tokio runtime.
    pub fn new(config: ServiceConfig) -> Self {
        let metrics = Metrics::new(config.role.name(), &config.instance_id());
        let clock = Clock::start();
        let wall_clock = WallClock::default();
        let nats = match &config.events {
            Events::Http => None,
            Events::Nats { url } => Some(Arc::new(Nats::new(url, config.target()))),
        };
        let faults = Faults::new(&config, metrics.clone());
        let process_faults = ProcessFaults::new(wall_clock.clone());
        faults.register(Touches::Process, Arc::new(process_faults));
        Self(Arc::new(Inner {
            faults,
            verifier: Verifier::new(wall_clock.clone()),
            limiter: SharedLimiter::new(clock),
            peers: Peers::new(&config, &metrics),
            http: http_client(),
            nats,
            ready: AtomicBool::new(false),
            clock,
            wall_clock,
            metrics,
            config,
        }))
    }

    /// The settings that the service was started with.
    pub fn config(&self) -> &ServiceConfig {
        &self.0.config
    }

    /// The service's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The service's faults.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The adaptive limit on requests in progress.
    pub fn limiter(&self) -> &SharedLimiter {
        &self.0.limiter
    }

    /// The current time, for policies.
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// The time since the kit was made, by a monotonic clock.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.clock.now().since(Moment::ORIGIN)
    }

    /// The time of day, for timestamps and expiry.
    pub fn wall_clock(&self) -> &WallClock {
        &self.0.wall_clock
    }

    /// The time of day in milliseconds since 1970.
    pub fn unix_ms(&self) -> i64 {
        self.0.wall_clock.unix_ms()
    }

    /// The time limit of a request whose caller sets none.
    pub fn default_timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }

    /// Whether `/readyz` reports ready.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// Sets whether `/readyz` reports ready.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// The NATS connection, if events go by NATS.
    pub(crate) fn nats(&self) -> Option<&Arc<Nats>> {
        self.0.nats.as_ref()
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.0.http
    }
}
