//! The scrape targets of a run, in the format of Prometheus' file-based service discovery.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use results::run_dir::RunDir;
use serde_json::{Value, json};

use crate::harness_metrics::LOADGEN;

/// The ending of the file's name. The file is beside the run's folder, not in it, because Prometheus allows patterns in
/// file names only.
const ENDING: &str = "targets.json";

/// One metrics page: service, replica, address.
pub(crate) type ScrapeTarget = (String, u32, SocketAddr);

/// The file of one run. Dropping this removes the file, so that Prometheus stops scraping.
pub(crate) struct ScrapeTargets {
    file: PathBuf,
}

impl ScrapeTargets {
    /// The file of a run. It does not exist before [`Self::write`].
    pub(crate) fn beside(dir: &RunDir) -> Self {
        Self {
            file: dir.path().with_extension(ENDING),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, pages: impl IntoIterator<Item = ScrapeTarget>) -> Result<()> {
        let list: Value = pages.into_iter().map(target).collect();
        // Prometheus reads the file at any time, so it is replaced in one step.
        let unfinished = self.file.with_extension("tmp");
        std::fs::write(&unfinished, list.to_string())
            .and_then(|()| std::fs::rename(&unfinished, &self.file))
            .with_context(|| format!("{} cannot be written", self.file.display()))
    }

    /// Removes the file, if it exists.
    pub(crate) fn remove(&self) {
        match std::fs::remove_file(&self.file) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                tracing::warn!(error = %e, "{} could not be removed", self.file.display());
            }
            _ => {}
        }
    }
}

impl Drop for ScrapeTargets {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The target of the harness's own metrics.
pub(crate) fn harness(at: SocketAddr) -> ScrapeTarget {
    (LOADGEN.to_owned(), 0, at)
}

fn target((service, replica, at): ScrapeTarget) -> Value {
    json!({
        "targets": [at.to_string()],
        "labels": {"service": service, "replica": replica.to_string()},
    })
}
