//! The trace context of the current task, and the ids in it.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Whether the current task belongs to a trace that is not sampled.
pub(super) fn is_unsampled() -> bool {
    Context::map_current(|context| {
        context.has_active_span() && !context.span().span_context().is_sampled()
    })
}

/// The current context, to be sent along, or stored with work that is done later.
///
/// It is OpenTelemetry's own and not that of the current `tracing` span, which may not have been created because its trace is
/// not sampled.
pub fn current_context() -> Context {
    Context::current()
}

/// The context of a span, or the current context if the span was not created because its trace is not sampled.
pub(crate) fn context_of(span: &tracing::Span) -> Context {
    let context = span.context();
    if context.has_active_span() {
        context
    } else {
        current_context()
    }
}

/// The id of the current trace, as 32 hex digits; with `sampled_only`, only if the trace is sampled.
pub fn current_trace_id(sampled_only: bool) -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && (!sampled_only || span.is_sampled()))
            .then(|| span.trace_id().to_string())
    })
}
