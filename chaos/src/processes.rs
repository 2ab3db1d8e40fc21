//! What the injector needs from outside: hands on the shop's processes and on the paths between them, and the word of a
//! dead replica's callers.
//!
//! Child processes, Docker containers and Kubernetes pods fit behind [`Processes`] alike, and proxies here or elsewhere
//! behind [`Paths`]. Futures are boxed because
//! which of them it is gets decided at run time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::fault::Target;
use crate::proxy::{Hits, NewToxic};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The shop's processes.
pub trait Processes: Send + Sync {
    /// How many replicas a role has now, dead ones included; 0 for an unknown role.
    fn replicas(&self, role: &str) -> u32;

    /// Where a replica's admin listener is, from what the implementor knows already: this is asked often. `None`
    /// while the replica is not running.
    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr>;

    /// Kills a replica as by SIGKILL and resolves when it is dead. It must stay dead until [`Processes::restart`]:
    /// an implementor that restarts crashed processes makes an exception for this one. An error means that it lives
    /// on: nobody starts it again then.
    fn kill<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>>;

    /// Tells a replica to end as by SIGTERM and resolves when it has, in its own time; one that does not listen is
    /// killed. It must stay down until [`Processes::restart`], as after [`Processes::kill`].
    fn stop<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>>;

    /// Starts a replica again that was killed or stopped, and resolves when it is ready to serve, `late` later than
    /// it would be by itself. Gives up by itself when that takes too long: the injector waits for the end. It is
    /// started also when nobody waits for this to resolve. Later starts know nothing of `late`.
    fn restart<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        late: Duration,
    ) -> BoxFuture<'a, Result<(), InjectError>>;

    /// Stops a replica in its tracks as by SIGSTOP and resolves when it stands. It goes on at
    /// [`Processes::resume`], and by itself after `most`: whoever paused it may be gone by then.
    fn pause<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        most: Duration,
    ) -> BoxFuture<'a, Result<Struck, InjectError>>;

    /// Lets a paused replica go on. One that does already is left alone.
    fn resume<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Result<(), InjectError>>;
}

/// What was killed, stopped or paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck {
    /// The process that it happened to.
    pub pid: u32,
}

/// What each caller of a replica counts, by the caller's name: those that could be asked.
pub type Counts = BTreeMap<String, u64>;

/// Counts by which the callers of a dead or paused replica bear witness: it can count nothing itself.
pub trait CallerHits: Send + Sync {
    /// How many attempts at this replica have failed for each of its callers since it started: they met nobody, lost
    /// whom they met, or waited in vain. Only differences are used. `None` when nobody of the shop can tell.
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>>;

    /// How many attempts at this replica each of its callers has begun since it started, whatever became of them: for
    /// a paused one, with which each attempt has to wait. Otherwise as [`CallerHits::failed_attempts`].
    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>>;
}

/// The proxies on the paths between services. A path leads from one replica that calls to one that is called.
pub trait Paths: Send + Sync {
    /// The paths of a way by name: none where no proxy is on it.
    fn on_way(&self, way: &Target) -> Vec<String>;

    /// Puts a toxic on a path. What is sent from now on meets it, on connections that are open as well; it ends by its
    /// time to live, whatever becomes of who asked for it.
    fn add<'a>(&'a self, path: &'a str, toxic: NewToxic) -> BoxFuture<'a, Result<(), InjectError>>;

    /// Takes a toxic off a path. One that has ended by its time to live is gone already, which is as well.
    fn remove<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<(), InjectError>>;

    /// What a toxic has done on a path, also when it has ended.
    fn hits<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<Hits, InjectError>>;
}

/// Why a fault could not be brought about, or ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InjectError {
    /// The shop has no such role or replica.
    #[error("the shop has no {target}")]
    NoSuchTarget {
        /// `order`, `order/1`.
        target: String,
    },
    /// The replica is not running, so it cannot be asked.
    #[error("{target} is not running")]
    NotRunning {
        /// `order/1`.
        target: String,
    },
    /// The admin endpoint did not answer; it may have acted all the same.
    #[error("no answer from the admin endpoint {address}: {reason}")]
    Unreachable {
        /// Where it was looked for.
        address: SocketAddr,
        /// What happened instead.
        reason: String,
    },
    /// The admin endpoint said no.
    #[error("the admin endpoint {address} answered {status}: {reason}")]
    Refused {
        /// Who answered.
        address: SocketAddr,
        /// Its status.
        status: StatusCode,
        /// Its reason, in its words.
        reason: String,
    },
    /// The admin endpoint answered something that is not in the contract; it may have acted all the same.
    #[error("the admin endpoint {address} gave an answer that is not understood: {reason}")]
    Protocol {
        /// Who answered.
        address: SocketAddr,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The process could not be killed, stopped, paused or started.
    #[error("{target}: {reason}")]
    Process {
        /// `order/1`.
        target: String,
        /// What the operating system, Docker or Kubernetes said.
        reason: String,
    },
    /// The proxies on a way could not do what they were asked, or there are none.
    #[error("{way}: {reason}")]
    Path {
        /// `payment->bank`.
        way: String,
        /// What the proxy said, or that there is none.
        reason: String,
    },
    /// The fault's window had passed before it could be injected.
    #[error("its time was over before it could be injected")]
    TooLate,
}
