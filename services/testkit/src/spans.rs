//! A span exporter that keeps the spans for the test.

use std::fmt;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// The ended spans of a process, in the order of their ends. Clones share them.
#[derive(Clone, Default)]
pub struct CollectedSpans(Arc<Mutex<Vec<SpanData>>>);

impl CollectedSpans {
    /// The spans since the last call.
    pub fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The first span of this name.
    pub fn named(&self, name: &str) -> Option<SpanData> {
        let spans = self.0.lock().unwrap();
        spans.iter().find(|s| s.name == name).cloned()
    }
}

impl fmt::Debug for CollectedSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectedSpans")
    }
}

impl SpanExporter for CollectedSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}
