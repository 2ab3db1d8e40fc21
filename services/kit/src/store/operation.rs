//! One operation of the database as span and figure see it: both are told how it ended, also when nobody waited for that.

use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;

use metrics::histogram;
use tracing::Span;

use super::trouble::Met;
use super::{Store, failure};
use crate::telemetry::names;

/// An operation under way.
pub(super) struct Operation<'a> {
    store: &'a Store,
    operation: &'static str,
    collection: &'static str,
    pub(super) span: Span,
    /// The faults that have touched it.
    pub(super) met: Met,
    started: Instant,
    is_over: bool,
}

impl<'a> Operation<'a> {
    /// Begins its span, below that of whoever asks for it.
    pub(super) fn begin(
        store: &'a Store,
        operation: &'static str,
        collection: &'static str,
    ) -> Self {
        let span = tracing::info_span!(
            "db",
            otel.name = format!("{operation} {collection}"),
            otel.kind = "client",
            db.system.name = store.system.name(),
            db.namespace = store.namespace.as_deref(),
            db.operation.name = operation,
            db.collection.name = collection,
            db.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            shop.fault = tracing::field::Empty,
        );
        Self {
            store,
            operation,
            collection,
            span,
            met: Met::default(),
            started: Instant::now(),
            is_over: false,
        }
    }

    /// It has ended by itself.
    pub(super) fn end(mut self, failure: Option<&(dyn Error + 'static)>) {
        self.is_over = true;
        if let Some(code) = failure.and_then(failure::code) {
            self.span.record("db.response.status_code", code);
        }
        self.tell(failure.map_or("".into(), failure::error_type));
    }

    fn tell(&self, error: Cow<'static, str>) {
        if !error.is_empty() {
            self.span.record("error.type", &*error);
            self.span.record("otel.status_code", "ERROR");
        }
        if let Some(faults) = self.met.names() {
            self.span.record("shop.fault", faults);
        }
        let _in_span = self.span.enter();
        self.store.metrics.record(|| {
            histogram!(
                names::DB_DURATION,
                "db_system_name" => self.store.system.name(),
                "db_operation_name" => self.operation,
                "db_collection_name" => self.collection,
                "error_type" => error,
            )
            .record(self.started.elapsed().as_secs_f64());
        });
    }
}

/// Given up in its midst, most likely because the time for its request is over: just what a slow database brings about.
impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(names::CANCELLED.into());
        }
    }
}
