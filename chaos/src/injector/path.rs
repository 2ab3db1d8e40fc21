//! Path faults: toxics in every proxy on the edge. They end there by their time to live.

use std::sync::Arc;

use super::clock::Clock;
use super::injection::{CheckResult, Injection};
use crate::backend::{BoxFuture, Paths};
use crate::error::InjectError;
use crate::path::PathFault;
use crate::proxy::ProxyError;
use crate::schedule::ScheduledFault;

/// One fault on every path of its edge.
pub(super) struct PathInjection {
    scheduled: Arc<ScheduledFault>,
    fault: PathFault,
    paths: Option<Arc<dyn Paths>>,
    clock: Clock,
    /// The affected paths, and the names of the fault's toxics on each.
    toxics: Vec<(String, Vec<String>)>,
}

impl PathInjection {
    pub(super) fn new(
        scheduled: Arc<ScheduledFault>,
        fault: PathFault,
        paths: Option<Arc<dyn Paths>>,
        clock: Clock,
    ) -> Self {
        Self {
            scheduled,
            fault,
            paths,
            clock,
            toxics: Vec::new(),
        }
    }

    /// Adds the toxics to all paths or to none: requests could take a path without the fault.
    fn add_toxics(&mut self) -> Result<(), InjectError> {
        let edge = &self.scheduled.fault.target;
        let found = self.paths.clone().map(|paths| (paths.on_edge(edge), paths));
        let Some((names, paths)) = found.filter(|(names, _)| !names.is_empty()) else {
            return Err(InjectError::Path {
                edge: edge.to_string(),
                reason: "no proxy is on this edge".to_owned(),
            });
        };
        let remaining = self
            .scheduled
            .window
            .to
            .saturating_sub(self.clock.elapsed());
        if remaining.is_zero() {
            return Err(InjectError::TooLate);
        }
        for path in names {
            self.toxics.push((path.clone(), Vec::new()));
            for toxic in self.fault.toxics(&self.scheduled.fault.name, remaining) {
                let name = toxic.name.clone().unwrap_or_default();
                if let Err(error) = paths.proxies().add_toxic(&path, toxic) {
                    // Should this fail as well, the toxics end by their time to live.
                    let _ = self.remove_toxics();
                    return Err(path_error(&path, &error));
                }
                if let Some((_, toxics)) = self.toxics.last_mut() {
                    toxics.push(name);
                }
            }
        }
        Ok(())
    }

    /// Returns what went wrong, if anything did.
    fn remove_toxics(&self) -> Option<String> {
        let proxies = self.paths.as_ref()?.proxies();
        let mut problems = Vec::new();
        for (path, toxics) in &self.toxics {
            for toxic in toxics {
                match proxies.remove_toxic(path, toxic) {
                    // One that is not found has ended by its time to live.
                    Ok(_) | Err(ProxyError::ToxicNotFound) => {}
                    Err(error) => problems.push(path_error(path, &error).to_string()),
                }
            }
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// Affected connections. The two toxics of a fault in both directions share connections, so the larger number of a
    /// path is counted.
    fn hits(&self) -> Option<u64> {
        let proxies = self.paths.as_ref()?.proxies();
        let mut all = 0;
        for (path, toxics) in &self.toxics {
            let mut most = 0;
            for toxic in toxics {
                most = most.max(proxies.toxic_hits(path, toxic).ok()?.connections);
            }
            all += most;
        }
        Some(all)
    }
}

fn path_error(path: &str, error: &ProxyError) -> InjectError {
    InjectError::Path {
        edge: path.to_owned(),
        reason: error.to_string(),
    }
}

impl Injection for PathInjection {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(async { self.add_toxics().map(|()| None) })
    }

    fn check(&mut self) -> BoxFuture<'_, CheckResult> {
        Box::pin(async {
            CheckResult {
                hits: self.hits(),
                ..CheckResult::default()
            }
        })
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async { self.remove_toxics() })
    }

    fn total_hits(&mut self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async { self.hits() })
    }
}
