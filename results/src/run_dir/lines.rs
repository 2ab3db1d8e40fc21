//! Writes files of JSON lines that grow during the run.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::RecordError;

/// [`Lines::append_all`] writes chunks of about this size, in bytes.
const CHUNK: usize = 64 * 1024;

/// Appends values of one type to a file, one JSON line each.
///
/// When `append` returns, the whole line was written to the operating system in one write. So a kill loses nothing, and
/// no flush is needed. A write takes a few microseconds. For thousands of lines at once use [`Lines::append_all`].
#[derive(Debug)]
pub struct Lines<T> {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    of: PhantomData<fn(&T)>,
}

impl<T: Serialize> Lines<T> {
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordError> {
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|cause| RecordError::write(&path, cause))?;
        Ok(Self {
            path,
            file,
            buffer: Vec::new(),
            of: PhantomData,
        })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, value: &T) -> Result<(), RecordError> {
        self.append_all(std::iter::once(value))
    }

    /// Appends many lines with few writes.
    ///
    /// # Errors
    /// When they cannot be written. The first lines may have been written.
    pub fn append_all<'v>(
        &mut self,
        values: impl IntoIterator<Item = &'v T>,
    ) -> Result<(), RecordError>
    where
        T: 'v,
    {
        let written = self.write_all(values.into_iter());
        self.buffer.clear();
        written.map_err(|cause| RecordError::write(&self.path, cause))
    }

    fn write_all<'v>(&mut self, values: impl Iterator<Item = &'v T>) -> io::Result<()>
    where
        T: 'v,
    {
        for value in values {
            serde_json::to_writer(&mut self.buffer, value)?;
            self.buffer.push(b'\n');
            if self.buffer.len() >= CHUNK {
                self.file.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        self.file.write_all(&self.buffer)
    }
}
