//! Injected faults of the database, and what they do to one piece of work.
//!
//! A piece of work is a single statement, or a whole transaction. Faults apply between getting a connection and using it, so
//! work on a slow database holds its connection and the next piece waits. What happens to a piece is decided by pure code
//! ([`DbFault::inject`]) over seeded draws; the pool then applies it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::error::{DatabaseError, ErrorKind};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::system::System;
use crate::faults::FaultHits;

tokio::task_local! {
    /// The faults that had a hit on the current operation.
    static HIT_BY: HitBy;
}

/// The names of the faults that had a hit on one operation. Clones share them, so they are known also when the operation is
/// abandoned. The span gets them once, at the end: an attribute that is set twice is recorded twice.
#[derive(Debug, Clone, Default)]
pub(super) struct HitBy(Arc<Mutex<Vec<String>>>);

impl HitBy {
    /// Runs an operation's work and records the faults that have a hit on it.
    pub(super) async fn record<T>(&self, work: impl Future<Output = T>) -> T {
        HIT_BY.scope(self.clone(), work).await
    }

    /// The names, separated by commas.
    pub(super) fn names(&self) -> Option<String> {
        let names = self.0.lock();
        (!names.is_empty()).then(|| names.join(","))
    }

    fn add(&self, fault: &str) {
        let mut names = self.0.lock();
        if !names.iter().any(|name| name == fault) {
            names.push(fault.to_owned());
        }
    }
}

/// The stage of a piece of database work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It asks for a connection.
    Acquire {
        /// The pool's name.
        pool: &'static str,
        /// As of [`Work::Write`].
        writes: bool,
        /// Whether it has to wait, because all connections are in use.
        waits: bool,
    },
    /// It has a connection and will read.
    Read,
    /// It has a connection and may write: a transaction opened for writing counts.
    Write,
}

/// The kind of a database fault.
#[derive(Debug)]
pub(super) enum DbFaultKind {
    /// Work waits: the delay, plus or minus a uniform jitter.
    Slow { delay_us: u64, jitter_us: u64 },
    /// Work fails.
    Failing,
    /// Writes fail.
    FullDisk,
    /// Another connection holds the write lock while the flag is set.
    Locked(Arc<AtomicBool>),
    /// Connections of the pool of this name are held unused while the flag is set.
    Leaking(&'static str, Arc<AtomicBool>),
}

/// One active fault of the database.
pub(super) struct DbFault {
    kind: DbFaultKind,
    share: f64,
    rng: ChaCha8Rng,
    hits: FaultHits,
    /// Cancelled at the end of the fault, which releases the work that waits.
    ended: CancellationToken,
}

/// What a fault does to a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DbInjection {
    Wait(Duration),
    Fail(DbFailure),
    /// Nothing to do: the work waits or fails by itself, as the cause is real. It still counts as a hit.
    Real,
}

/// An injection that holds until its fault ends.
struct UntilEnd<T> {
    value: T,
    ended: CancellationToken,
    kind: &'static str,
    fault: String,
}

/// How work fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DbFailure {
    /// The file or the page cannot be read or written.
    Io,
    /// The disk is full.
    FullDisk,
}

impl DbFaultKind {
    /// The fault kind's name in scenarios.
    fn name(&self) -> &'static str {
        match self {
            Self::Slow { .. } => "slow-database",
            Self::Failing => "failing-database",
            Self::FullDisk => "full-disk",
            Self::Locked(_) => "locked-database",
            Self::Leaking(..) => "leaked-connections",
        }
    }
}

impl<T> UntilEnd<T> {
    /// The span of the injection. Background work, which is in no trace, starts none.
    fn span(&self) -> tracing::Span {
        if !Context::map_current(Context::has_active_span) {
            return tracing::Span::none();
        }
        tracing::info_span!(
            "fault",
            otel.name = format!("injected {}", self.kind),
            shop.fault = self.fault,
        )
    }
}

impl DbFault {
    pub(super) fn new(kind: DbFaultKind, share: f64, seed: u64, hits: FaultHits) -> Self {
        Self {
            kind,
            share,
            rng: ChaCha8Rng::seed_from_u64(seed),
            hits,
            ended: CancellationToken::new(),
        }
    }

    fn until_end<T>(&self, value: T) -> UntilEnd<T> {
        UntilEnd {
            value,
            ended: self.ended.clone(),
            kind: self.kind.name(),
            fault: self.hits.fault().to_owned(),
        }
    }

    /// Counts a hit on the current operation.
    fn hit(&self) {
        self.hits.add();
        // Outside of an operation there is no span to record the name on.
        let _ = HIT_BY.try_with(|hit_by| hit_by.add(self.hits.fault()));
    }

    /// What this fault does to a piece of work.
    fn inject(&mut self, work: Work) -> Option<DbInjection> {
        let applies = match (&self.kind, work) {
            (DbFaultKind::Slow { .. } | DbFaultKind::Failing, Work::Read | Work::Write) => true,
            (DbFaultKind::FullDisk, Work::Write) => true,
            // Writers queue for the connection of the first one, which waits for the lock.
            (DbFaultKind::Locked(taken), Work::Acquire { writes: true, .. }) => {
                taken.load(Ordering::Relaxed)
            }
            (
                DbFaultKind::Leaking(name, taken),
                Work::Acquire {
                    pool, waits: true, ..
                },
            ) => *name == pool && taken.load(Ordering::Relaxed),
            _ => false,
        };
        if !applies {
            return None;
        }
        // Both values are drawn for every piece, so the result for one does not depend on earlier ones.
        let (share, spread): (f64, f64) = (self.rng.random(), self.rng.random());
        if share >= self.share {
            return None;
        }
        Some(match self.kind {
            DbFaultKind::Slow {
                delay_us,
                jitter_us,
            } => {
                let us = delay_us as f64 + jitter_us as f64 * (2.0 * spread - 1.0);
                DbInjection::Wait(Duration::from_micros(us.max(0.0) as u64))
            }
            DbFaultKind::Failing => DbInjection::Fail(DbFailure::Io),
            DbFaultKind::FullDisk => DbInjection::Fail(DbFailure::FullDisk),
            DbFaultKind::Locked(_) | DbFaultKind::Leaking(..) => DbInjection::Real,
        })
    }
}

/// The active faults of one service's database.
pub(super) struct DbFaults {
    system: System,
    /// The length of the list. Work takes no lock while it is 0.
    count: AtomicUsize,
    next_id: AtomicU64,
    list: Mutex<Vec<(u64, DbFault)>>,
}

impl DbFaults {
    /// No fault is active.
    pub(super) fn new(system: System) -> Self {
        Self {
            system,
            count: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            list: Mutex::default(),
        }
    }

    /// Whether any fault is active.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Activates a fault until the guard is dropped.
    pub(super) fn add(self: &Arc<Self>, fault: DbFault) -> DbFaultGuard {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let ended = fault.ended.clone();
        let mut list = self.list.lock();
        list.push((id, fault));
        self.count.store(list.len(), Ordering::Relaxed);
        DbFaultGuard {
            id,
            faults: self.clone(),
            ended,
        }
    }

    /// Applies the active faults to a piece of work.
    ///
    /// # Errors
    /// The error that the database would return.
    pub(super) async fn apply(&self, work: Work) -> sqlx::Result<()> {
        let (waits, failure) = self.inject(work);
        for wait in waits {
            let waited = async {
                tokio::select! {
                    () = tokio::time::sleep(wait.value) => {}
                    () = wait.ended.cancelled() => {}
                }
            };
            waited.instrument(wait.span()).await;
        }
        match failure {
            Some(failure) if !failure.ended.is_cancelled() => {
                failure.span().in_scope(|| {});
                Err(sqlx::Error::Database(Box::new(self.error(failure.value))))
            }
            _ => Ok(()),
        }
    }

    fn inject(&self, work: Work) -> (Vec<UntilEnd<Duration>>, Option<UntilEnd<DbFailure>>) {
        let (mut waits, mut fails) = (Vec::new(), None);
        for (_, fault) in self.list.lock().iter_mut() {
            let Some(injection) = fault.inject(work) else {
                continue;
            };
            match injection {
                DbInjection::Wait(wait) => waits.push(fault.until_end(wait)),
                // Work fails once: a second failing fault has no hit.
                DbInjection::Fail(_) if fails.is_some() => continue,
                DbInjection::Fail(failure) => fails = Some(fault.until_end(failure)),
                DbInjection::Real => {}
            }
            fault.hit();
        }
        (waits, fails)
    }

    /// Codes and messages of SQLite 3 (sqlite.org/rescode.html) and PostgreSQL (appendix A, "Error Codes").
    fn error(&self, failure: DbFailure) -> InjectedDbError {
        let (code, message) = match (self.system, failure) {
            (System::Sqlite, DbFailure::Io) => ("10", "disk I/O error"),
            (System::Sqlite, DbFailure::FullDisk) => ("13", "database or disk is full"),
            (System::Postgres, DbFailure::Io) => ("58030", "could not read block: I/O error"),
            (System::Postgres, DbFailure::FullDisk) => {
                ("53100", "could not extend file: No space left on device")
            }
        };
        InjectedDbError { code, message }
    }
}

/// Keeps a database fault active until it is dropped.
pub(super) struct DbFaultGuard {
    id: u64,
    faults: Arc<DbFaults>,
    ended: CancellationToken,
}

impl Drop for DbFaultGuard {
    fn drop(&mut self) {
        self.ended.cancel();
        let mut list = self.faults.list.lock();
        list.retain(|(id, _)| *id != self.id);
        self.faults.count.store(list.len(), Ordering::Relaxed);
    }
}

/// The error of an injected database failure.
#[derive(Debug)]
struct InjectedDbError {
    code: &'static str,
    message: &'static str,
}

impl fmt::Display for InjectedDbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}, injected", self.code, self.message)
    }
}

impl std::error::Error for InjectedDbError {}

impl DatabaseError for InjectedDbError {
    fn message(&self) -> &str {
        self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.code))
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests;
