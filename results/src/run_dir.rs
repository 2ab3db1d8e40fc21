//! The directory of a run: creates it and writes its files.
//!
//! There are two kinds of files. Files that grow during the run ([`Lines`]) keep every appended line, even if the
//! process is killed right after. Files that are written at once ([`RunDir::write_json`], [`RunDir::write_text`]) are
//! complete or absent.
//!
//! Files are read by free functions over a path, because readers (the report, the gate) did not create the directory.

mod error;
mod files;
mod lines;
mod read;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

pub use error::RecordError;
pub use files::{FAULTS, INTERVALS, LATENCY, LEDGER, PLAN, SUMMARY};
pub use lines::Lines;
pub use read::{read_faults, read_intervals, read_ledger, read_lines, read_summary};

use crate::record::{FaultEvent, Interval, LedgerEntry, RunSummary};

/// Longer scenario names are cut in the directory's name: file systems allow 255 bytes in total.
const MAX_SLUG: usize = 60;

/// How many runs of one scenario may start within one second.
const MAX_PER_SECOND: u32 = 100;

/// The directory of one run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates `<out>/<UTC time>-<scenario>/` with `logs/` in it, and `out` if needed.
    ///
    /// A second run of the same scenario in the same second gets the suffix `-2`, and so on.
    ///
    /// # Errors
    /// When a directory cannot be created: one line that names the path and says what to do.
    pub fn create(out: &Path, scenario: &str, started_at: Timestamp) -> Result<Self, RecordError> {
        fs::create_dir_all(out).map_err(|cause| RecordError::create(out, cause))?;
        let stamp = started_at.strftime("%Y-%m-%dT%H%M%SZ");
        let name = format!("{stamp}-{}", slug(scenario));
        let path = make_fresh(out, &name)?;
        let run = Self { path };
        let logs = run.logs();
        fs::create_dir(&logs).map_err(|cause| RecordError::create(&logs, cause))?;
        Ok(run)
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the directory for process logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The writer of `intervals.jsonl`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn intervals(&self) -> Result<Lines<Interval>, RecordError> {
        self.lines(INTERVALS)
    }

    /// The writer of `faults.jsonl`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn faults(&self) -> Result<Lines<FaultEvent>, RecordError> {
        self.lines(FAULTS)
    }

    /// The writer of `ledger.jsonl`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn ledger(&self) -> Result<Lines<LedgerEntry>, RecordError> {
        self.lines(LEDGER)
    }

    /// A writer of JSON lines under any name, such as [`PLAN`].
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn lines<T: Serialize>(&self, name: &str) -> Result<Lines<T>, RecordError> {
        Lines::open(self.path.join(name))
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// When it cannot be written. The old content is kept.
    pub fn write_summary(&self, summary: &RunSummary) -> Result<(), RecordError> {
        self.write_json(SUMMARY, summary)
    }

    /// Writes a value as indented JSON, completely or not at all.
    ///
    /// # Errors
    /// When it cannot be written. The old content is kept.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RecordError> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|e| RecordError::write(&self.path.join(name), e.into()))?;
        text.push('\n');
        self.write_text(name, &text)
    }

    /// Writes a text, completely or not at all: to another name first, then renamed.
    ///
    /// # Errors
    /// When it cannot be written. The old content is kept.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), RecordError> {
        let path = self.path.join(name);
        let part = self.path.join(format!(".{name}.part"));
        let written = File::create(&part)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&part, &path));
        written.map_err(|cause| {
            // Best effort: the error of the write is the one to report.
            let _ = fs::remove_file(&part);
            RecordError::write(&path, cause)
        })
    }
}

fn make_fresh(out: &Path, name: &str) -> Result<PathBuf, RecordError> {
    for n in 1..=MAX_PER_SECOND {
        let path = match n {
            1 => out.join(name),
            _ => out.join(format!("{name}-{n}")),
        };
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(RecordError::create(&path, cause)),
        }
    }
    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(RecordError::create(&out.join(name), taken))
}

/// A name that is safe as a file name on any system: lower-case letters, digits and single dashes.
fn slug(scenario: &str) -> String {
    let mut slug = String::new();
    for c in scenario.chars() {
        if slug.len() == MAX_SLUG {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "run" } else { slug }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant() -> Timestamp {
        "2026-11-21T06:57:30.9Z".parse().unwrap()
    }

    #[test]
    fn the_directory_is_named_by_time_and_scenario_and_contains_logs() {
        let out = tempfile::tempdir().unwrap();
        let nested = out.path().join("a/b");
        let run = RunDir::create(&nested, "Black Friday!", instant()).unwrap();
        assert_eq!(
            run.path(),
            nested.join("2026-11-21T065730Z-black-friday").as_path()
        );
        assert!(run.logs().is_dir());
    }

    #[test]
    fn runs_of_the_same_second_do_not_share_a_directory() {
        let out = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3)
            .map(|_| RunDir::create(out.path(), "demo", instant()).unwrap())
            .map(|run| {
                run.path()
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "2026-11-21T065730Z-demo",
                "2026-11-21T065730Z-demo-2",
                "2026-11-21T065730Z-demo-3"
            ]
        );
    }

    #[test]
    fn a_scenario_name_cannot_leave_the_directory() {
        for (name, expected) in [
            ("../../etc/passwd", "etc-passwd"),
            ("..", "run"),
            ("", "run"),
            ("Größe 7", "gr-e-7"),
        ] {
            assert_eq!(slug(name), expected);
        }
        assert_eq!(slug(&"x".repeat(300)).len(), MAX_SLUG);
    }

    #[test]
    fn a_file_in_the_way_is_reported_in_one_line() {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("runs");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("nested")] {
            let message = RunDir::create(&path, "demo", instant())
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(&format!("{} is a file", file.display())),
                "{message}"
            );
            assert!(message.contains("--out"), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_text_is_replaced_completely_and_leaves_no_other_file() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::create(out.path(), "demo", instant()).unwrap();
        run.write_text("note.txt", "a long first text").unwrap();
        run.write_text("note.txt", "short").unwrap();
        let text = fs::read_to_string(run.path().join("note.txt")).unwrap();
        assert_eq!(text, "short");
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_the_old_content() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::create(out.path(), "demo", instant()).unwrap();
        fs::create_dir(run.path().join("report.html")).unwrap();
        let message = run.write_text("report.html", "x").unwrap_err().to_string();
        assert!(message.contains("report.html"), "{message}");
        assert!(run.path().join("report.html").is_dir());
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 2);
    }
}
