//! What is wrong with a file, all of it at once.

use std::fmt;

/// One mistake and the place it stands at. Lines and columns count from 1, as editors do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Every mistake found in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, as the user named it.
    pub file: String,
    /// The mistakes, sorted by place.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    pub(crate) fn new(file: &str, mut list: Vec<Mistake>) -> Self {
        list.sort();
        list.dedup();
        Self {
            file: file.to_owned(),
            list,
        }
    }
}

impl Mistakes {
    /// One mistake that concerns the file as a whole.
    pub fn single(file: &str, message: &str) -> Self {
        let mistake = Mistake {
            line: 1,
            column: 1,
            message: message.to_owned(),
        };
        Self::new(file, vec![mistake])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, m) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}:{}: {}", self.file, m.line, m.column, m.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
