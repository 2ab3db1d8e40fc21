//! Reads the files of a run.
//!
//! A run that was killed may leave an incomplete last line. It is dropped, and everything before it is used. Anything
//! else that cannot be read is an error with file and line.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::RecordError;
use super::files::{FAULTS, INTERVALS, LEDGER, SUMMARY};
use crate::record::{FaultEvent, Interval, LedgerEntry, RunSummary, SCHEMA};

/// Reads `run.json`.
///
/// # Errors
/// When it is missing, damaged, or has another schema.
pub fn read_summary(dir: &Path) -> Result<RunSummary, RecordError> {
    /// Read first and alone, because a file of another schema has other fields.
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let path = dir.join(SUMMARY);
    let bytes = fs::read(&path).map_err(|cause| RecordError::read(&path, cause))?;
    let damaged =
        |e: serde_json::Error| RecordError::damaged(&path, e.line(), without_position(&e));
    let head: Head = serde_json::from_slice(&bytes).map_err(damaged)?;
    if head.schema != SCHEMA {
        let found = head.schema;
        return Err(RecordError::Schema { path, found });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

/// Reads `intervals.jsonl`.
///
/// # Errors
/// When it is missing or damaged.
pub fn read_intervals(dir: &Path) -> Result<Vec<Interval>, RecordError> {
    read_lines(&dir.join(INTERVALS))
}

/// Reads `ledger.jsonl`.
///
/// # Errors
/// When it is missing or damaged.
pub fn read_ledger(dir: &Path) -> Result<Vec<LedgerEntry>, RecordError> {
    read_lines(&dir.join(LEDGER))
}

/// Reads `faults.jsonl`.
///
/// # Errors
/// When it is missing or damaged.
pub fn read_faults(dir: &Path) -> Result<Vec<FaultEvent>, RecordError> {
    read_lines(&dir.join(FAULTS))
}

/// Reads a file of JSON lines that was written by [`super::Lines`].
///
/// # Errors
/// When it is missing, or a line other than an incomplete last one is not a `T`.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RecordError> {
    let bytes = fs::read(path).map_err(|cause| RecordError::read(path, cause))?;
    let mut values = Vec::new();
    for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            break; // Incomplete: a complete line ends in a newline.
        };
        let value = serde_json::from_slice(line)
            .map_err(|e| RecordError::damaged(path, i + 1, without_position(&e)))?;
        values.push(value);
    }
    Ok(values)
}

/// The parser's message without its position: that line number counts within the JSON line.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
