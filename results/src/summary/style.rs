//! How the summary is shown: colour and width.

/// How the summary is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to use ANSI colours: a terminal, and no `NO_COLOR`.
    pub colour: bool,
    /// Columns of the terminal. Tables that are too wide omit columns or wrap. Values below 60 count as 60.
    pub width: usize,
}

impl Style {
    /// Without colour, a hundred columns: files, pipes, CI logs.
    pub const PLAIN: Self = Self {
        colour: false,
        width: 100,
    };

    pub(super) fn width(self) -> usize {
        self.width.max(60)
    }
}
