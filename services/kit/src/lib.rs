//! What every service stands on: server stack, client stack, telemetry, store, events, identity, faults.
//!
//! A service crate brings its routes, its rules and its SQL; everything that all of them need is here, once.
//! [`Kit`] is a service's hold on it: made from a [`config::ServiceConfig`], cloned into handlers and workers.
//!
//! * [`server::stack`]: what happens to each request before its handler runs. The best place to begin.
//! * [`client`]: how one service calls another; the policies are `shop-resilience`'s.
//! * [`store`], [`queue`], [`events`]: the service's own database, work that lies in it, and how others learn what
//!   happened in it.
//! * [`auth`]: who is calling. [`problem`]: what a caller is told when something is wrong.
//! * [`openapi`]: routes and the document that describes them, from one place.
//! * [`admin`], [`audit`], [`faults`]: the operators' listener.
//! * [`service::run`]: all of it as one process.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod client;
pub mod clock;
pub mod config;
mod connections;
pub mod context;
pub mod events;
pub mod faults;
pub mod limiter;
pub mod net;
pub mod openapi;
pub mod problem;
pub mod queue;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shop_contract::Role;
use shop_contract::faults::Touches;
use shop_contract::operation;
use shop_contract::user::Claims;
use shop_resilience::Moment;

use client::{Call, Peers};
use config::ServiceConfig;
use problem::ApiError;
use telemetry::metrics::Metrics;

/// How long a request may take whose caller did not say.
const DEFAULT_TIME: Duration = Duration::from_secs(5);

/// A service's hold on everything shared. Cloning is cheap and shares.
#[derive(Clone)]
pub struct Kit(Arc<Inner>);

struct Inner {
    config: ServiceConfig,
    metrics: Metrics,
    faults: faults::Faults,
    verifier: auth::Verifier,
    limiter: limiter::SharedLimiter,
    peers: Peers,
    http: client::Http,
    nats: Option<Arc<events::nats::Nats>>,
    clock: clock::Clock,
    wall_clock: clock::WallClock,
    ready: AtomicBool,
}

impl Kit {
    /// The kit of one service. To be made within a tokio runtime.
    pub fn new(config: ServiceConfig) -> Self {
        let metrics = Metrics::new(config.role.name(), &config.instance_id());
        let clock = clock::Clock::start();
        let wall_clock = clock::WallClock::default();
        let nats = match &config.events {
            config::Events::Http => None,
            config::Events::Nats { url } => {
                Some(Arc::new(events::nats::Nats::new(url, config.target())))
            }
        };
        let faults = faults::Faults::new(&config, metrics.clone());
        let of_process = faults::OfProcess::new(wall_clock.clone());
        faults.register(Touches::Process, Arc::new(of_process));
        Self(Arc::new(Inner {
            faults,
            verifier: auth::Verifier::new(wall_clock.clone()),
            limiter: limiter::SharedLimiter::new(clock),
            peers: Peers::new(&config, &metrics),
            http: client::http(),
            nats,
            ready: AtomicBool::new(false),
            clock,
            wall_clock,
            metrics,
            config,
        }))
    }

    /// What the service was told at its start.
    pub fn config(&self) -> &ServiceConfig {
        &self.0.config
    }

    /// The service's figures.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The service's faults.
    pub fn faults(&self) -> &faults::Faults {
        &self.0.faults
    }

    /// The service's limit.
    pub fn limiter(&self) -> &limiter::SharedLimiter {
        &self.0.limiter
    }

    /// The time, for policies.
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// How long ago it was made, by a steady clock.
    pub(crate) fn up_for(&self) -> Duration {
        self.0.clock.now().since(Moment::ORIGIN)
    }

    /// The time of day, for what is written down or expires.
    pub fn wall_clock(&self) -> &clock::WallClock {
        &self.0.wall_clock
    }

    /// The time of day in milliseconds since 1970.
    pub fn unix_ms(&self) -> i64 {
        self.0.wall_clock.unix_ms()
    }

    /// How long a request may take whose caller did not say.
    pub fn default_time(&self) -> Duration {
        DEFAULT_TIME
    }

    /// Whether `/readyz` says so.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// Sets what `/readyz` says.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Checks a shopper's token, with the keys that the user service publishes.
    ///
    /// # Errors
    /// 401 for a token that is not good, 503 when the keys cannot be had.
    pub async fn verify(&self, token: &str) -> Result<Claims, ApiError> {
        let keys = || async {
            let call = Call::to(&operation::user::KEYS);
            let context = context::Context::background();
            let answer = self.call(call, &context).await?;
            Ok(answer.ok(Role::User)?)
        };
        self.0.verifier.verify(token, keys).await
    }

    fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// The line to NATS, where events go that way.
    fn nats(&self) -> Option<&Arc<events::nats::Nats>> {
        self.0.nats.as_ref()
    }

    fn http(&self) -> &client::Http {
        &self.0.http
    }
}
