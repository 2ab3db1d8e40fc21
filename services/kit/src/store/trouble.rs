//! What is wrong with the database on purpose, and what that does to one piece of work.
//!
//! A piece of work is a single statement, or a transaction as a whole. It meets what is wrong between getting its
//! connection and using it: what a slow database works on holds its connection, and so the next one waits. What
//! happens to a piece is decided by pure code ([`Trouble::touch`]) over seeded draws; the pool then does it.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::error::{DatabaseError, ErrorKind};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::System;
use crate::faults::Hits;

tokio::task_local! {
    /// The faults that the operation under way has met.
    static MET: Met;
}

/// Names of the faults that have touched an operation. Cloning shares them: they are known also of one that is given up.
/// Its span names them once it is over, for an attribute that is set twice is there twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Met(Arc<Mutex<Vec<String>>>);

impl Met {
    /// Does an operation's work, and notes what touches it.
    pub(super) async fn noting<T>(&self, work: impl Future<Output = T>) -> T {
        MET.scope(self.clone(), work).await
    }

    /// The names, separated by commas.
    pub(super) fn names(&self) -> Option<String> {
        let met = self.list();
        (!met.is_empty()).then(|| met.join(","))
    }

    fn note(&self, fault: &str) {
        let mut met = self.list();
        if !met.iter().any(|name| name == fault) {
            met.push(fault.to_owned());
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of work, as troubles tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It is in want of a connection.
    Comes {
        /// The pool's name.
        pool: &'static str,
        /// As of [`Work::Writes`].
        writes: bool,
        /// Whether it has to wait for one, for they are used up.
        waits: bool,
    },
    /// It has a connection and will read.
    Reads,
    /// It has a connection and will write, or may: a transaction that is begun to write counts.
    Writes,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Ill {
    /// Work waits: the delay plus or minus up to the jitter, each value as likely.
    Slow {
        delay_us: u64,
        jitter_us: u64,
    },
    Failing,
    /// Writes fail.
    FullDisk,
    /// Somebody else has the lock on writes, while the flag says so.
    Locked(Arc<AtomicBool>),
    /// While the flag says so, some connections of the pool of this name are held by nobody who uses them.
    Leaking(&'static str, Arc<AtomicBool>),
}

/// One thing that is wrong.
pub(super) struct Trouble {
    ill: Ill,
    share: f64,
    draws: ChaCha8Rng,
    hits: Hits,
    /// Cancelled when it is over: nobody waits any longer then.
    over: CancellationToken,
}

/// What happens to a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touch {
    Waits(Duration),
    Fails(Failure),
    /// It waits or fails by itself, for the cause is a real one.
    ByItself,
}

/// Something that holds until its cause is over.
struct Until<T> {
    does: T,
    over: CancellationToken,
    kind: &'static str,
    fault: String,
}

/// How work fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The file, or the page, cannot be read or written.
    Io,
    /// There is no room.
    FullDisk,
}

impl Ill {
    /// What scenarios call the fault.
    fn kind(&self) -> &'static str {
        match self {
            Self::Slow { .. } => "slow-database",
            Self::Failing => "failing-database",
            Self::FullDisk => "full-disk",
            Self::Locked(_) => "locked-database",
            Self::Leaking(..) => "leaked-connections",
        }
    }
}

impl<T> Until<T> {
    /// A span for what is being done. What happens to housekeeping, which is in no trace, begins none.
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

impl Trouble {
    pub(super) fn new(ill: Ill, share: f64, seed: u64, hits: Hits) -> Self {
        Self {
            ill,
            share,
            draws: ChaCha8Rng::seed_from_u64(seed),
            hits,
            over: CancellationToken::new(),
        }
    }

    fn until<T>(&self, does: T) -> Until<T> {
        Until {
            does,
            over: self.over.clone(),
            kind: self.ill.kind(),
            fault: self.hits.fault().to_owned(),
        }
    }

    /// It touches what is being done now.
    fn hit(&self) {
        self.hits.add();
        // Outside of an operation there is no span to name it at.
        let _ = MET.try_with(|met| met.note(self.hits.fault()));
    }

    /// What this does to a piece of work.
    fn touch(&mut self, work: Work) -> Option<Touch> {
        let concerned = match (&self.ill, work) {
            (Ill::Slow { .. } | Ill::Failing, Work::Reads | Work::Writes) => true,
            (Ill::FullDisk, Work::Writes) => true,
            // Behind the first one that waits for the lock, those that come wait for its connection.
            (Ill::Locked(taken), Work::Comes { writes: true, .. }) => taken.load(Ordering::Relaxed),
            (
                Ill::Leaking(name, taken),
                Work::Comes {
                    pool, waits: true, ..
                },
            ) => *name == pool && taken.load(Ordering::Relaxed),
            _ => false,
        };
        if !concerned {
            return None;
        }
        // Both are drawn for every piece: the fate of one does not depend on that of those before it.
        let (share, spread): (f64, f64) = (self.draws.random(), self.draws.random());
        if share >= self.share {
            return None;
        }
        Some(match self.ill {
            Ill::Slow {
                delay_us,
                jitter_us,
            } => {
                let us = delay_us as f64 + jitter_us as f64 * (2.0 * spread - 1.0);
                Touch::Waits(Duration::from_micros(us.max(0.0) as u64))
            }
            Ill::Failing => Touch::Fails(Failure::Io),
            Ill::FullDisk => Touch::Fails(Failure::FullDisk),
            Ill::Locked(_) | Ill::Leaking(..) => Touch::ByItself,
        })
    }
}

/// All that is wrong with one service's database.
pub(super) struct Troubles {
    system: System,
    /// How many there are, so that a healthy database is asked nothing more.
    count: AtomicUsize,
    next_id: AtomicU64,
    list: Mutex<Vec<(u64, Trouble)>>,
}

impl Troubles {
    /// Nothing is wrong.
    pub(super) fn new(system: System) -> Self {
        Self {
            system,
            count: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            list: Mutex::default(),
        }
    }

    /// Whether anything is wrong.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Adds something, until what is given is dropped.
    pub(super) fn add(self: &Arc<Self>, trouble: Trouble) -> Ailing {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let over = trouble.over.clone();
        let mut list = self.list();
        list.push((id, trouble));
        self.count.store(list.len(), Ordering::Relaxed);
        Ailing {
            id,
            of: self.clone(),
            over,
        }
    }

    /// What happens to a piece of work now, done.
    ///
    /// # Errors
    /// The one that the database would give.
    pub(super) async fn meet(&self, work: Work) -> sqlx::Result<()> {
        let (waits, failure) = self.touch(work);
        for wait in waits {
            let waited = async {
                tokio::select! {
                    () = tokio::time::sleep(wait.does) => {}
                    () = wait.over.cancelled() => {}
                }
            };
            waited.instrument(wait.span()).await;
        }
        match failure {
            Some(failure) if !failure.over.is_cancelled() => {
                failure.span().in_scope(|| {});
                Err(sqlx::Error::Database(Box::new(self.refusal(failure.does))))
            }
            _ => Ok(()),
        }
    }

    fn touch(&self, work: Work) -> (Vec<Until<Duration>>, Option<Until<Failure>>) {
        let (mut waits, mut fails) = (Vec::new(), None);
        for (_, trouble) in self.list().iter_mut() {
            let Some(touch) = trouble.touch(work) else {
                continue;
            };
            match touch {
                Touch::Waits(wait) => waits.push(trouble.until(wait)),
                // What fails already cannot fail again, and is no hit of a second one.
                Touch::Fails(_) if fails.is_some() => continue,
                Touch::Fails(failure) => fails = Some(trouble.until(failure)),
                Touch::ByItself => {}
            }
            trouble.hit();
        }
        (waits, fails)
    }

    /// Codes and words are those of SQLite 3 (sqlite.org/rescode.html) and PostgreSQL (appendix A, "Error Codes").
    fn refusal(&self, failure: Failure) -> Refusal {
        let (code, message) = match (self.system, failure) {
            (System::Sqlite, Failure::Io) => ("10", "disk I/O error"),
            (System::Sqlite, Failure::FullDisk) => ("13", "database or disk is full"),
            (System::Postgres, Failure::Io) => ("58030", "could not read block: I/O error"),
            (System::Postgres, Failure::FullDisk) => {
                ("53100", "could not extend file: No space left on device")
            }
        };
        Refusal { code, message }
    }

    fn list(&self) -> MutexGuard<'_, Vec<(u64, Trouble)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something is wrong as long as this lives.
pub(super) struct Ailing {
    id: u64,
    of: Arc<Troubles>,
    over: CancellationToken,
}

impl Drop for Ailing {
    fn drop(&mut self) {
        self.over.cancel();
        let mut list = self.of.list();
        list.retain(|(id, _)| *id != self.id);
        self.of.count.store(list.len(), Ordering::Relaxed);
    }
}

/// What a database says that cannot do its work.
#[derive(Debug)]
struct Refusal {
    code: &'static str,
    message: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}, injected", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl DatabaseError for Refusal {
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
