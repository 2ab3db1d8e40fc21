//! `latency.hlog`: the histograms of every second, in the HdrHistogram project's interval log format.
//!
//! The histograms are version 2, deflated, as every HdrHistogram tool reads them. Each line has a tag: the step for its
//! response time (`buy_confirm`), the step with `:service` for its service time (`buy_confirm:service`). Starts are
//! seconds from the run's start, which the header has as `StartTime` and `BaseTime`.
//!
//! **Values are microseconds**, and so is the log's column of maxima (its divisor is 1). The Java tools expect
//! nanoseconds and show milliseconds: run them with `-outputValueUnitRatio 1000`.
//!
//! The lines can be added up: the quantiles of any time span are those of the sum of its histograms.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry,
    LogIteratorError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use jiff::Timestamp;

use crate::run_dir::{LATENCY, RecordError, RunDir};

/// The suffix of the tag of a service time.
const SERVICE: &str = ":service";

/// Column names, as other writers of the format spell them.
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Which latency of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyKind {
    /// From the intended instant to the last byte.
    Response,
    /// From the actual send to the last byte.
    Service,
}

/// The writer of `latency.hlog`.
pub struct LatencyLog {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl LatencyLog {
    /// Opens the log of a run and writes its header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(run: &RunDir, started_at: Timestamp) -> Result<Self, RecordError> {
        let path = run.path().join(LATENCY);
        let refuse = |cause| RecordError::write(&path, cause);
        let mut file = BufWriter::new(File::create(&path).map_err(refuse)?);
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Values and maxima are microseconds]")
            .with_start_time(SystemTime::from(started_at))
            .with_base_time(SystemTime::from(started_at))
            .begin_log_with(&mut file, &mut serializer)
            .map_err(refuse)?;
        file.write_all(LEGEND.as_bytes()).map_err(refuse)?;
        file.flush().map_err(refuse)?;
        Ok(Self {
            path,
            file,
            serializer,
        })
    }

    /// Adds one step's histogram of the time span `lasts` from `start_s`, in seconds from the run's start. An empty
    /// histogram is left out.
    ///
    /// # Errors
    /// A step that cannot be a tag, or a file that cannot be written.
    pub fn write(
        &mut self,
        step: &str,
        kind: LatencyKind,
        start_s: f64,
        lasts: Duration,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordError> {
        let text = tag(step, kind)?;
        if histogram.is_empty() {
            return Ok(());
        }
        let start = Duration::try_from_secs_f64(start_s).unwrap_or_default();
        // Without settings the builder writes no header, so it can be created anew for each line.
        let mut writer = IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.file, &mut self.serializer)
            .map_err(|cause| RecordError::write(&self.path, cause))?;
        writer
            .write_histogram(histogram, start, lasts, Tag::new(&text))
            .map_err(|e| match e {
                IntervalLogWriterError::IoError(cause) => RecordError::write(&self.path, cause),
                other => RecordError::write(&self.path, std::io::Error::other(other.to_string())),
            })
    }

    /// Flushes to the operating system. Call it once a second, after the second's histograms.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.file
            .flush()
            .map_err(|cause| RecordError::write(&self.path, cause))
    }
}

/// The tag of a step's latency.
///
/// # Errors
/// A name that would break the format of the line, or be taken for the service time of another step.
pub fn tag(step: &str, kind: LatencyKind) -> Result<String, RecordError> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if step.is_empty() || !step.chars().all(safe) {
        return Err(RecordError::Tag {
            step: step.to_owned(),
        });
    }
    Ok(match kind {
        LatencyKind::Response => step.to_owned(),
        LatencyKind::Service => format!("{step}{SERVICE}"),
    })
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The step, with `:service` appended for its service time.
    pub tag: String,
    /// Start of the interval, from the run's start.
    pub start_s: f64,
    /// The recorded values, in microseconds.
    pub histogram: Histogram<u64>,
}

/// Reads the log of the run in `dir`. Drops an incomplete last line, which a killed run may leave.
///
/// # Errors
/// When it is missing or damaged.
pub fn read(dir: &Path) -> Result<Vec<Entry>, RecordError> {
    let path = dir.join(LATENCY);
    let bytes = fs::read(&path).map_err(|cause| RecordError::read(&path, cause))?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line_at = |offset: usize| 1 + bytes[..offset].iter().filter(|b| **b == b'\n').count();
    let mut deserializer = Deserializer::new();
    let mut entries = Vec::new();
    for item in IntervalLogIterator::new(&bytes[..whole]) {
        let line = match item {
            Ok(LogEntry::Interval(line)) => line,
            Ok(_) => continue,
            Err(LogIteratorError::ParseError { offset }) => {
                let message = "not a line of an interval log";
                return Err(RecordError::damaged(&path, line_at(offset), message));
            }
        };
        let histogram = STANDARD
            .decode(line.encoded_histogram())
            .map_err(|e| e.to_string())
            .and_then(|raw| {
                let read = deserializer.deserialize(&mut raw.as_slice());
                read.map_err(|e| e.to_string())
            })
            .map_err(|e| {
                // The parser returns slices without their position, so the number of entries so far gives the line.
                let at = entries.len() + 1;
                let message = format!("histogram {at} cannot be read ({e})");
                RecordError::damaged(&path, line_of_interval(&bytes, at), message)
            })?;
        entries.push(Entry {
            tag: line
                .tag()
                .map_or_else(String::new, |t| t.as_str().to_owned()),
            start_s: line.start_timestamp().as_secs_f64(),
            histogram,
        });
    }
    Ok(entries)
}

/// The line number of the `n`th interval, both from 1.
fn line_of_interval(bytes: &[u8], n: usize) -> usize {
    let is_interval = |line: &[u8]| !line.starts_with(b"#") && !line.starts_with(b"\"");
    let mut intervals = bytes
        .split(|b| *b == b'\n')
        .enumerate()
        .filter(|(_, line)| is_interval(line));
    intervals.nth(n - 1).map_or(1, |(i, _)| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantiles::new_histogram;
    use crate::record::Quantiles;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    const SECOND: Duration = Duration::from_secs(1);

    fn run() -> (TempDir, RunDir, LatencyLog) {
        let out = tempfile::tempdir().unwrap();
        let started: Timestamp = "2026-11-21T06:57:30.250Z".parse().unwrap();
        let run = RunDir::create(out.path(), "demo", started).unwrap();
        let log = LatencyLog::create(&run, started).unwrap();
        (out, run, log)
    }

    fn one(us: u64) -> Histogram<u64> {
        let mut histogram = new_histogram();
        histogram.saturating_record(us);
        histogram
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The sum of the log has the quantiles of the recorded values, for any steps and seconds.
        #[test]
        fn the_sum_of_the_log_is_what_was_recorded(
            seconds in prop::collection::vec(
                prop::collection::vec((0usize..3, 0u64..70_000_000), 0..60),
                1..6,
            )
        ) {
            let steps = ["home", "search", "buy_confirm"];
            let (_out, run, mut log) = run();
            let mut truth: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
            for (n, samples) in seconds.iter().enumerate() {
                for (i, step) in steps.iter().enumerate() {
                    for (kind, share) in [(LatencyKind::Response, 1), (LatencyKind::Service, 2)] {
                        let mut second = new_histogram();
                        for (_, us) in samples.iter().filter(|(of, _)| *of == i) {
                            second.saturating_record(us / share);
                        }
                        log.write(step, kind, n as f64, SECOND, &second).unwrap();
                        let tag = tag(step, kind).unwrap();
                        truth.entry(tag).or_insert_with(new_histogram).add(&second).unwrap();
                    }
                }
            }
            log.flush().unwrap();
            let mut merged: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
            for entry in read(run.path()).unwrap() {
                let sum = merged.entry(entry.tag).or_insert_with(new_histogram);
                sum.add(&entry.histogram).unwrap();
            }
            truth.retain(|_, histogram| !histogram.is_empty());
            prop_assert_eq!(merged.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
            for (tag, histogram) in &truth {
                prop_assert_eq!(merged[tag].len(), histogram.len());
                prop_assert_eq!(Quantiles::of(&merged[tag]), Quantiles::of(histogram));
            }
        }
    }

    #[test]
    fn a_line_has_the_columns_that_other_tools_read() {
        let (_out, run, mut log) = run();
        log.write("home", LatencyKind::Service, 12.0, SECOND, &one(1500))
            .unwrap();
        log.flush().unwrap();
        let text = fs::read_to_string(run.path().join(LATENCY)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert!(lines.contains(&"#[StartTime: 1795244250.250 (seconds since epoch)]"));
        assert!(lines.contains(&"#[BaseTime: 1795244250.250 (seconds since epoch)]"));
        // `HISTF` is the beginning of every deflated version 2 histogram in base 64.
        let last = lines.last().unwrap();
        assert!(
            last.starts_with("Tag=home:service,12.000,1.000,1500.000,HISTF"),
            "{last}"
        );
    }

    #[test]
    fn starts_and_tags_are_read_back_and_empty_histograms_leave_no_line() {
        let (_out, run, mut log) = run();
        log.write("home", LatencyKind::Response, 0.0, SECOND, &new_histogram())
            .unwrap();
        log.write("cart_add", LatencyKind::Response, 1.25, SECOND, &one(7))
            .unwrap();
        log.flush().unwrap();
        let entries = read(run.path()).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].tag.as_str(), entries[0].start_s),
            ("cart_add", 1.25)
        );
    }

    #[test]
    fn a_step_that_would_break_the_format_is_refused() {
        let (_out, _run, mut log) = run();
        for step in ["", "a,b", "a b", "a\tb", "a\nb", "home:service"] {
            let refused = log.write(step, LatencyKind::Response, 0.0, SECOND, &one(1));
            assert!(
                matches!(refused, Err(RecordError::Tag { .. })),
                "{step:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn an_incomplete_last_line_is_dropped_and_a_damaged_one_is_reported() {
        let (_out, run, mut log) = run();
        for n in 0..3 {
            log.write(
                "home",
                LatencyKind::Response,
                f64::from(n),
                SECOND,
                &one(900),
            )
            .unwrap();
        }
        log.flush().unwrap();
        let path = run.path().join(LATENCY);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(read(run.path()).unwrap().len(), 2);

        let lines = whole.lines().count();
        fs::write(&path, whole.replacen(",1.000,1.000,", ",1.000,", 1)).unwrap();
        let message = read(run.path()).unwrap_err().to_string();
        assert!(
            message.contains(&format!("latency.hlog:{}: ", lines - 1)),
            "{message}"
        );
        fs::write(&path, whole.replace("HISTF", "HISTX")).unwrap();
        let message = read(run.path()).unwrap_err().to_string();
        assert!(
            message.contains(&format!("latency.hlog:{}: ", lines - 2)),
            "{message}"
        );
    }
}
