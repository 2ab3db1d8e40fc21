//! Errors of a record, each in one line that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::SCHEMA;

/// A record that could not be created, written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A directory could not be created.
    #[error(
        "cannot make the run directory {}: {}; choose another place with --out",
        .path.display(),
        explain(.path, .cause)
    )]
    Create {
        /// Path of the directory.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error(
        "cannot write {}: {}; nothing after this is in the record",
        .path.display(),
        explain(.path, .cause)
    )]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {}; name a directory that a run has left", .path.display(), explain(.path, .cause))]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file has content that does not belong in a record.
    #[error("{}:{line}: {message}; the file was changed or damaged after the run", .path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A summary of another version.
    #[error(
        "{} has the schema `{found}`, and this doorbuster reads `{SCHEMA}`; read it with the version that wrote it",
        .path.display()
    )]
    Schema {
        /// Path of the file.
        path: PathBuf,
        /// The schema in the file.
        found: String,
    },
    /// A step name that cannot be a tag of the latency log.
    #[error("`{step}` cannot be a tag of the latency log; use letters, digits, `_`, `-` and `.`")]
    Tag {
        /// The step.
        step: String,
    },
}

// The system's error is part of the message and not its source, else a printed error chain would repeat it.
impl RecordError {
    pub(crate) fn create(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Self::Create { path, cause }
    }

    pub(crate) fn write(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Self::Write { path, cause }
    }

    pub(crate) fn read(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Self::Read { path, cause }
    }

    pub(crate) fn damaged(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

/// The cause in plain words, where the system's own message is unclear.
fn explain(path: &Path, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            let in_the_way = path.ancestors().find(|p| p.is_file());
            match in_the_way {
                Some(file) => format!("{} is a file", file.display()),
                None => "something of that name is there".to_owned(),
            }
        }
        io::ErrorKind::PermissionDenied => "you may not write or read there".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no space is left there".to_owned()
        }
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_explained_on_one_line() {
        for (kind, words) in [
            (io::ErrorKind::PermissionDenied, "you may not"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::StorageFull, "no space"),
            (io::ErrorKind::NotFound, "not there"),
        ] {
            let path = Path::new("/nowhere/runs");
            for error in [
                RecordError::create(path, kind.into()),
                RecordError::write(path, kind.into()),
                RecordError::read(path, kind.into()),
            ] {
                let message = error.to_string();
                assert!(message.contains("/nowhere/runs"), "{message}");
                assert!(message.contains(words), "{message}");
                assert!(!message.contains('\n'), "{message}");
            }
        }
    }
}
