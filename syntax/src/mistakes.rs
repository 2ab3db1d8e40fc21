//! The mistakes in a file.

use std::fmt;

/// One mistake and its position. Lines and columns count from 1, as in editors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Every mistake found in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file name as the user gave it.
    pub file: String,
    /// The mistakes, sorted by position.
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
    /// One mistake about the file as a whole.
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
