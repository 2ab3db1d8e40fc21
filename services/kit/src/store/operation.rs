//! The span and the duration metric of one database operation. Both record its end, also when it is abandoned.

use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;

use metrics::histogram;
use tracing::Span;

use super::db_fault::HitBy;
use super::failure;
use super::system::System;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// A running operation.
pub(super) struct Operation<'a> {
    system: System,
    metrics: &'a Metrics,
    operation: &'static str,
    collection: &'static str,
    pub(super) span: Span,
    /// The faults that had a hit on it.
    pub(super) hit_by: HitBy,
    started: Instant,
    ended: bool,
}

impl<'a> Operation<'a> {
    /// Starts its span as a child of the current span.
    pub(super) fn start(
        system: System,
        namespace: Option<&str>,
        metrics: &'a Metrics,
        operation: &'static str,
        collection: &'static str,
    ) -> Self {
        let span = tracing::info_span!(
            "db",
            otel.name = format!("{operation} {collection}"),
            otel.kind = "client",
            db.system.name = system.name(),
            db.namespace = namespace,
            db.operation.name = operation,
            db.collection.name = collection,
            db.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            shop.fault = tracing::field::Empty,
        );
        Self {
            system,
            metrics,
            operation,
            collection,
            span,
            hit_by: HitBy::default(),
            started: Instant::now(),
            ended: false,
        }
    }

    /// Records its end.
    pub(super) fn end(mut self, failure: Option<&(dyn Error + 'static)>) {
        self.ended = true;
        if let Some(code) = failure.and_then(failure::code) {
            self.span.record("db.response.status_code", code);
        }
        self.record(failure.map_or("".into(), failure::error_type));
    }

    fn record(&self, error: Cow<'static, str>) {
        if !error.is_empty() {
            self.span.record("error.type", &*error);
            self.span.record("otel.status_code", "ERROR");
        }
        if let Some(faults) = self.hit_by.names() {
            self.span.record("shop.fault", faults);
        }
        let _in_span = self.span.enter();
        self.metrics.record(|| {
            histogram!(
                names::DB_DURATION,
                "db_system_name" => self.system.name(),
                "db_operation_name" => self.operation,
                "db_collection_name" => self.collection,
                "error_type" => error,
            )
            .record(self.started.elapsed().as_secs_f64());
        });
    }
}

/// Records an abandoned operation, most likely one whose request ran out of time: just what a slow database causes.
impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record(names::CANCELLED.into());
        }
    }
}
