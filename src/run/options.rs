//! The options of a run.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::shop::ShopOptions;

/// The options of a run. The scenario is not among them.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// The folder in which the run's folder is created.
    pub out: PathBuf,
    /// Print `run.json` to standard output.
    pub json: bool,
    /// Show no progress.
    pub quiet: bool,
    /// The address of the harness's own metrics. By default a free port of the loopback; for containers port 9464.
    pub metrics: Option<SocketAddr>,
    /// The shop.
    pub shop: ShopOptions,
}
