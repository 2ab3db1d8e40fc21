//! Tables with aligned columns, with or without colour.

use super::style::Style;

/// The meaning of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Ordinary text.
    Plain,
    /// Held, passed.
    Good,
    /// Missed, failed.
    Bad,
    /// Uncertain, or not to be trusted.
    Uncertain,
    /// Names that a reader looks for.
    Name,
    /// Context.
    Context,
}

impl Meaning {
    /// The text, coloured if the style allows it.
    pub(super) fn on(self, text: &str, style: Style) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => "1;32",
            Self::Bad => "1;31",
            Self::Uncertain => "1;33",
            Self::Name => "1",
            Self::Context => "2",
        };
        if style.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A cell: one coloured piece of text, and plain text after it.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    meaning: Meaning,
    tail: String,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, meaning: Meaning) -> Self {
        Self {
            text: text.into(),
            meaning,
            tail: String::new(),
        }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Meaning::Plain)
    }

    pub(super) fn then(mut self, tail: &str) -> Self {
        self.tail.push_str(tail);
        self
    }

    /// The same text with another meaning.
    pub(super) fn with_meaning(self, meaning: Meaning) -> Self {
        Self { meaning, ..self }
    }

    /// Width in columns of the terminal.
    pub(super) fn width(&self) -> usize {
        self.text.chars().count() + self.tail.chars().count()
    }

    /// The cell as printed, without padding.
    pub(super) fn show(&self, style: Style) -> String {
        format!("{}{}", self.meaning.on(&self.text, style), self.tail)
    }
}

/// A column's title and layout.
#[derive(Debug, Clone)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
    spare: u8,
}

impl Column {
    pub(super) fn left(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            spare: 0,
        }
    }

    pub(super) fn right(title: &'static str) -> Self {
        Self {
            right: true,
            ..Self::left(title)
        }
    }

    /// May be left out in a narrow terminal. Columns with the highest number are left out first.
    pub(super) fn spare(self, spare: u8) -> Self {
        Self { spare, ..self }
    }
}

/// A table, built row by row.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Indentation of every line of the summary.
pub(super) const INDENT: &str = "  ";

/// Space between columns.
pub(super) const GAP: &str = "   ";

impl Table {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each ending in a newline.
    pub(super) fn render(&self, style: Style) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|i| self.width_of(i)).collect();
        let shown = self.fitting(&widths, style.width());
        let width = span(&shown, &widths);
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| match i {
                0 => Cell::new(column.title, Meaning::Name),
                _ => Cell::new(column.title, Meaning::Context),
            })
            .collect();
        let mut text = self.line(&titles, &shown, &widths, style);
        let rule = Meaning::Context.on(&"─".repeat(width), style);
        text.push_str(&format!("{INDENT}{rule}\n"));
        for row in &self.rows {
            text.push_str(&self.line(row, &shown, &widths, style));
        }
        text
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(column).map(Cell::width));
        let title = self.columns[column].title.chars().count();
        cells.fold(title, usize::max)
    }

    /// The columns that fit into `width`. Columns that are not spare are always shown.
    fn fitting(&self, widths: &[usize], width: usize) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        while INDENT.len() + span(&shown, widths) > width {
            let spare = |i: &usize| self.columns[*i].spare;
            let Some(most) = shown.iter().copied().max_by_key(spare) else {
                break;
            };
            if spare(&most) == 0 {
                break;
            }
            shown.retain(|i| *i != most);
        }
        shown
    }

    fn line(&self, cells: &[Cell], shown: &[usize], widths: &[usize], style: Style) -> String {
        let mut line = INDENT.to_owned();
        for (n, &i) in shown.iter().enumerate() {
            let Some(cell) = cells.get(i) else {
                continue;
            };
            let last = n + 1 == shown.len();
            let padding = " ".repeat(widths[i] - cell.width());
            let text = cell.show(style);
            line.push_str(if n > 0 { GAP } else { "" });
            match (self.columns[i].right, last) {
                (true, _) => line.push_str(&format!("{padding}{text}")),
                (false, true) => line.push_str(&text),
                (false, false) => line.push_str(&format!("{text}{padding}")),
            }
        }
        line.push('\n');
        line
    }
}

fn span(shown: &[usize], widths: &[usize]) -> usize {
    let cells: usize = shown.iter().map(|i| widths[*i]).sum();
    cells + GAP.len() * shown.len().saturating_sub(1)
}

/// Separates the clauses of a long sentence.
const CLAUSE: &str = " · ";

/// A sentence after `first`, with further lines after `then`. It breaks between clauses if possible, else at spaces. A
/// long word is not split.
pub(super) fn wrapped(first: &str, then: &str, sentence: &str, width: usize) -> String {
    let start = then.chars().count();
    let mut text = first.to_owned();
    let mut column = first.chars().count();
    let mut line_is_empty = true;
    let mut put = |word: &str, needs: usize| {
        if !line_is_empty && column + 1 + needs > width {
            text.push('\n');
            text.push_str(then);
            column = start;
            line_is_empty = true;
        }
        if !line_is_empty {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.chars().count();
        line_is_empty = false;
    };
    let mut clauses = sentence.split(CLAUSE).enumerate().peekable();
    while let Some((i, clause)) = clauses.next() {
        // The dot stays with the clause before it, because a line that begins with a dot looks like a list item.
        let dot = if clauses.peek().is_some() { 2 } else { 0 };
        let length = clause.chars().count() + dot;
        let mut words = clause.split_whitespace().enumerate().peekable();
        while let Some((j, word)) = words.next() {
            let last = words.peek().is_none();
            let needs = word.chars().count() + if last { dot } else { 0 };
            let keep_whole = j == 0 && i > 0 && start + length <= width;
            put(word, if keep_whole { length } else { needs });
        }
        if dot > 0 {
            put("·", 1);
        }
    }
    text.push('\n');
    text
}
