//! What a Prometheus is to scrape while a run lasts, in the format of its file-based service discovery.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use results::run_dir::RunDir;
use serde_json::{Value, json};

use crate::figures::LOADGEN;

/// What the name of a list of scrape targets ends with. It lies beside the run's folder, not in it, because Prometheus
/// looks for patterns in file names only.
const ENDING: &str = "targets.json";

/// One page: of which service it is, of which of its replicas, and where.
pub(crate) type Scraped = (String, u32, SocketAddr);

/// A run's list. When this is dropped it is taken away, so that nobody scrapes what is no longer there.
pub(crate) struct Targets {
    file: PathBuf,
}

impl Targets {
    /// The list of a run, which is still to be written.
    pub(crate) fn beside(dir: &RunDir) -> Self {
        Self {
            file: dir.path().with_extension(ENDING),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, pages: impl IntoIterator<Item = Scraped>) -> Result<()> {
        let list: Value = pages.into_iter().map(target).collect();
        // Prometheus looks every second, and must not find half of it.
        let unfinished = self.file.with_extension("tmp");
        std::fs::write(&unfinished, list.to_string())
            .and_then(|()| std::fs::rename(&unfinished, &self.file))
            .with_context(|| format!("{} cannot be written", self.file.display()))
    }

    /// Takes it away, if it is there.
    pub(crate) fn remove(&self) {
        match std::fs::remove_file(&self.file) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                tracing::warn!(error = %e, "{} lists what is no longer there", self.file.display());
            }
            _ => {}
        }
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The harness's own page.
pub(crate) fn harness(at: SocketAddr) -> Scraped {
    (LOADGEN.to_owned(), 0, at)
}

fn target((service, replica, at): Scraped) -> Value {
    json!({
        "targets": [at.to_string()],
        "labels": {"service": service, "replica": replica.to_string()},
    })
}
