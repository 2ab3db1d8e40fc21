//! Faults of a path: toxics in every proxy on the way, which end there by themselves when their time is over.

use std::sync::Arc;

use super::Clock;
use super::injection::{Injection, Sighting};
use crate::path::PathFault;
use crate::processes::{BoxFuture, InjectError, Paths};
use crate::schedule::Planned;

/// One fault on every path of its way.
pub(super) struct OnPath {
    planned: Arc<Planned>,
    fault: PathFault,
    paths: Option<Arc<dyn Paths>>,
    clock: Clock,
    /// The paths that have it, and what its toxics are called there.
    held: Vec<(String, Vec<String>)>,
}

impl OnPath {
    pub(super) fn new(
        planned: Arc<Planned>,
        fault: PathFault,
        paths: Option<Arc<dyn Paths>>,
        clock: Clock,
    ) -> Self {
        Self {
            planned,
            fault,
            paths,
            clock,
            held: Vec::new(),
        }
    }

    /// On all paths or on none: one that is left out would be a way around the fault.
    async fn place(&mut self) -> Result<Option<String>, InjectError> {
        let way = &self.planned.fault.target;
        let found = self.paths.clone().map(|paths| (paths.on_way(way), paths));
        let Some((names, paths)) = found.filter(|(names, _)| !names.is_empty()) else {
            return Err(InjectError::Path {
                way: way.to_string(),
                reason: "no proxy is on this way, so nothing can be done to it".to_owned(),
            });
        };
        let remaining = self.planned.window.to.saturating_sub(self.clock.elapsed());
        if remaining.is_zero() {
            return Err(InjectError::TooLate);
        }
        for path in names {
            self.held.push((path.clone(), Vec::new()));
            for toxic in self.fault.toxics(&self.planned.fault.name, remaining) {
                let name = toxic.name.clone().unwrap_or_default();
                if let Err(error) = paths.add(&path, toxic).await {
                    // What was placed ends by its time, should this fail as well.
                    let _ = self.clear().await;
                    return Err(error);
                }
                if let Some((_, toxics)) = self.held.last_mut() {
                    toxics.push(name);
                }
            }
        }
        Ok(None)
    }

    /// Gives what went wrong, where something did.
    async fn clear(&self) -> Option<String> {
        let paths = self.paths.as_ref()?;
        let mut trouble = Vec::new();
        for (path, toxics) in &self.held {
            for toxic in toxics {
                if let Err(error) = paths.remove(path, toxic).await {
                    trouble.push(error.to_string());
                }
            }
        }
        (!trouble.is_empty()).then(|| trouble.join("; "))
    }

    /// Connections, each once: a toxic on the one way and its twin on the other share them, and more than the larger
    /// number is not certain.
    async fn count(&self) -> Option<u64> {
        let paths = self.paths.as_ref()?;
        let mut all = 0;
        for (path, toxics) in &self.held {
            let mut most = 0;
            for toxic in toxics {
                most = most.max(paths.hits(path, toxic).await.ok()?.connections);
            }
            all += most;
        }
        Some(all)
    }
}

impl Injection for OnPath {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.place())
    }

    fn look(&mut self) -> BoxFuture<'_, Sighting> {
        Box::pin(async {
            Sighting {
                hits: self.count().await,
                ..Sighting::default()
            }
        })
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.clear())
    }

    fn total(&mut self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(self.count())
    }
}
