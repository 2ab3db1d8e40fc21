//! Log lines as JSON: one object a line, with the ids of the current trace and span.
//!
//! `timestamp`, `level`, `message`, `target`, the event's own fields, and inside of a span `trace_id` and `span_id`. All are at
//! the top level, where log tools find them without configuration.

use std::fmt;
use std::io;

use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use serde::ser::{SerializeMap, Serializer as _};
use tracing::{Event, Subscriber};
use tracing_serde::{AsSerde, SerdeMapVisitor};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format of a line.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line(&mut writer, &time, event).map_err(|_| fmt::Error)?;
        writeln!(writer)
    }
}

fn line(writer: &mut Writer<'_>, time: &str, event: &Event<'_>) -> serde_json::Result<()> {
    let mut json = serde_json::Serializer::new(Bytes(writer));
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", &event.metadata().level().as_serde())?;
    let mut fields = SerdeMapVisitor::new(map);
    event.record(&mut fields);
    let mut map = fields.take_serializer()?;
    map.serialize_entry("target", event.metadata().target())?;
    if let Some((trace, span)) = current_ids() {
        map.serialize_entry("trace_id", &format_args!("{trace}"))?;
        map.serialize_entry("span_id", &format_args!("{span}"))?;
    }
    map.end()
}

/// The ids of the current trace and span, whether or not the trace is sampled.
fn current_ids() -> Option<(TraceId, SpanId)> {
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id(), span.span_id()))
    })
}

/// Writes the bytes of JSON to a text writer.
struct Bytes<'a, 'b>(&'a mut Writer<'b>);

impl io::Write for Bytes<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        fmt::Write::write_str(self.0, text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `work` writes.
    fn written(sampler: Sampler, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .with(
                tracing_subscriber::fmt::layer()
                    .event_format(JsonLine)
                    .with_writer(move || writer.clone()),
            );
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_the_ids_of_its_span_also_in_an_unsampled_trace() {
        for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
            let lines = written(sampler, || {
                let outer = tracing::info_span!("outer").entered();
                tracing::info!("above");
                tracing::info_span!("inner").in_scope(|| tracing::info!("below"));
                drop(outer);
            });
            let id = |line: usize, name| lines[line][name].as_str().unwrap().to_owned();
            assert_eq!(id(0, "trace_id").len(), 32);
            assert_eq!(id(0, "trace_id"), id(1, "trace_id"));
            assert_eq!(id(0, "span_id").len(), 16);
            assert_ne!(id(0, "span_id"), id(1, "span_id"));
        }
    }

    #[test]
    fn fields_are_at_the_top_level_with_their_types_and_text_cannot_break_a_line() {
        let lines = written(Sampler::AlwaysOn, || {
            tracing::warn!(
                ms = 1.5,
                tries = 3,
                nothing = None::<u64>,
                name = "a\"b\n{c",
                "so"
            );
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "so");
        assert_eq!(line["ms"], 1.5);
        assert_eq!(line["tries"], 3);
        assert_eq!(line["name"], "a\"b\n{c");
        for absent in ["nothing", "trace_id", "span_id"] {
            assert!(line.get(absent).is_none(), "{line}");
        }
    }
}
