//! What can go wrong with a record, each in one line that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::SCHEMA;

/// A record that could not be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A directory could not be made.
    #[error(
        "cannot make the run directory {}: {}; choose another place with --out",
        .path.display(),
        explain(.path, .cause)
    )]
    Create {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error(
        "cannot write {}: {}; nothing after this is in the record",
        .path.display(),
        explain(.path, .cause)
    )]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {}; name a directory that a run has left", .path.display(), explain(.path, .cause))]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file holds something else than the record says it does.
    #[error("{}:{line}: {message}; the file was changed or damaged after the run", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A summary of another version.
    #[error(
        "{} has the schema `{found}`, and this doorbuster reads `{SCHEMA}`; read it with the version that wrote it",
        .path.display()
    )]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// A step whose name cannot stand in a latency log.
    #[error("`{step}` cannot be a tag of the latency log; use letters, digits, `_`, `-` and `.`")]
    Tag {
        /// The step.
        step: String,
    },
}

// The system's error is part of the line, and not its source: a chain that is printed would say it twice.
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

/// The cause in words of the user's world, where the system's own would leave one guessing.
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
    fn every_cause_is_told_in_words_and_on_one_line() {
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
