//! The gateway: the public entrance of the shop.
//!
//! [`routes::TABLE`] lists the public routes and the service that answers each. For every request the gateway sets an
//! id, starts the trace and the deadline, refuses invalid tokens and clients beyond their rate limit ([`rate_limit`]),
//! and forwards the rest to a replica that the balancer picks. It keeps no state beyond the rate limits of the last
//! seconds, so any number of replicas can run; each counts for itself.

pub mod api;
pub mod config;
pub mod funnel;
pub mod rate_limit;
mod request_id;
pub mod routes;

use std::sync::Arc;
use std::time::Duration;

use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use tokio_util::sync::CancellationToken;

pub use api::router;
pub use config::{Allowance, Limits};
pub use rate_limit::RateLimits;

/// Between two sweeps of idle clients. Until the next sweep, memory holds every client that came in.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Serves with these limits until `shutdown`.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn serve(
    config: ServiceConfig,
    limits: Limits,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let limits = Arc::new(RateLimits::new(limits));
    let service = Service {
        routes: router(&kit, &limits),
        audit: Audit::empty(),
        store: None,
        workers: vec![Box::pin(sweep(limits, shutdown.clone()))],
    };
    service::run(kit, service, shutdown).await
}

async fn sweep(limits: Arc<RateLimits>, shutdown: CancellationToken) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    while shutdown.run_until_cancelled(turns.tick()).await.is_some() {
        limits.forget_idle();
    }
}
