//! Interfaces that the injector needs from a shop backend: its processes, its circuit breakers, the proxies between its
//! services, and the attempts that its callers count.
//!
//! Child processes and Docker containers implement them; Kubernetes pods would fit as well. Futures are boxed because
//! the implementation is chosen at run time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::error::InjectError;
use crate::fault::{Breaker, Target};
use crate::proxy::Proxies;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The shop's processes: one per replica of a role.
pub trait Processes: Send + Sync {
    /// How many replicas a role has, dead ones included; 0 for an unknown role.
    fn replicas(&self, role: &str) -> u32;

    /// The address of a replica's admin listener; `None` while the replica is not running. It is called often, so it
    /// must answer from memory.
    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr>;

    /// Performs `action` on one replica and resolves when it is complete; see [`ProcessAction`] for what that means.
    /// Returns the process id of a replica that was killed, stopped or paused.
    ///
    /// # Errors
    /// The action did not happen. After a failed kill, stop or pause the replica still runs, and the injector does not
    /// start or resume it.
    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>>;
}

/// An action on one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessAction {
    /// Kill it as by SIGKILL. Complete when it is dead. It stays dead until [`ProcessAction::Start`], also where the
    /// backend restarts crashed processes.
    Kill,
    /// End it as by SIGTERM. Complete when it has ended. A process that ignores the signal is killed. It stays down as
    /// after a kill.
    Stop,
    /// Start it after a kill or a stop. Complete when it is ready to serve. The backend limits the time that this
    /// takes, and starts the process even if the future is dropped.
    Start {
        /// How much later than usual it becomes ready, this once.
        delay: Duration,
    },
    /// Suspend it as by SIGSTOP. Complete when it is suspended.
    Pause {
        /// The backend resumes it after this time at the latest, since the injector may have died.
        at_most: Duration,
    },
    /// Resume a paused process. A running one is left alone.
    Resume,
}

/// Numbers of attempts, by the caller's name. Callers that did not reply are missing.
pub type Counts = BTreeMap<String, u64>;

/// Attempts that callers count. They prove faults of dead and paused replicas, which cannot count hits themselves.
pub trait CallerHits: Send + Sync {
    /// How many attempts at this replica have failed, for each caller since it started: no connection, a lost
    /// connection or a timeout. Only differences are used. `None` when no caller replied.
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>>;

    /// How many attempts at this replica have begun, for each caller since it started, whatever their outcome. A pause
    /// makes each of them wait. Otherwise as [`CallerHits::failed_attempts`].
    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>>;
}

/// The shop's circuit breakers, for faults that begin when one opens.
pub trait BreakerWatch: Send + Sync {
    /// Whether a breaker is open or half-open. `None` when no caller replied.
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>>;
}

/// The proxies between services. Each path, from one calling replica to one called replica, has its own proxy.
pub trait Paths: Send + Sync {
    /// The paths that belong to an edge, by name. Empty when it has no proxies.
    fn on_edge(&self, edge: &Target) -> Vec<String>;

    /// The proxies, each with the name of its path.
    fn proxies(&self) -> &Proxies;
}
