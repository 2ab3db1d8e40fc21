//! Groups of columns side by side, each with a heading, wrapped into blocks if they do not fit.
//!
//! For values that are compared along a row: every block has the same rows, and a group is never split.

use super::style::Style;
use super::table::{Cell, GAP, INDENT, Meaning};

/// Space between the columns of a group. Groups have the wider [`GAP`] between them.
const INNER_GAP: &str = "  ";

/// Columns that belong together.
pub(super) struct Group {
    /// The heading.
    pub(super) heading: String,
    /// More information, shown behind the heading.
    pub(super) remark: String,
    /// A title for each column.
    pub(super) titles: Vec<&'static str>,
    /// A row for each name in [`Groups`], with a cell for each column.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// The groups, and the names of their rows.
pub(super) struct Groups {
    /// Title above the names.
    pub(super) title: &'static str,
    /// Shown below the title, in the line of the columns' titles.
    pub(super) note: &'static str,
    /// A name for each row.
    pub(super) names: Vec<String>,
    /// From left to right.
    pub(super) groups: Vec<Group>,
}

impl Groups {
    /// The number of blocks needed to show all groups.
    pub(super) fn blocks(&self, style: Style) -> usize {
        self.blocked(style).len()
    }

    /// The lines, each ending in a newline, with an empty line between blocks.
    pub(super) fn render(&self, style: Style) -> String {
        let blocks = self.blocked(style);
        let shown = blocks.into_iter().map(|groups| self.block(groups, style));
        shown.collect::<Vec<String>>().join("\n")
    }

    /// As many groups per block as fit, at least one.
    fn blocked(&self, style: Style) -> Vec<&[Group]> {
        let mut blocks = Vec::new();
        let mut from = 0;
        let mut width = INDENT.len() + self.names_width();
        for (i, group) in self.groups.iter().enumerate() {
            let needs = GAP.len() + group.width();
            if i > from && width + needs > style.width() {
                blocks.push(&self.groups[from..i]);
                from = i;
                width = INDENT.len() + self.names_width();
            }
            width += needs;
        }
        if from < self.groups.len() {
            blocks.push(&self.groups[from..]);
        }
        blocks
    }

    fn names_width(&self) -> usize {
        let names = self.names.iter().map(String::as_str);
        let all = names.chain([self.title, self.note]);
        all.map(|name| name.chars().count()).max().unwrap_or(0)
    }

    fn block(&self, groups: &[Group], style: Style) -> String {
        let names = self.names_width();
        let mut text = String::new();
        let mut put = |name: &Cell, part: &dyn Fn(&Group) -> String| {
            let padding = " ".repeat(names - name.width());
            let mut line = format!("{INDENT}{}{padding}", name.show(style));
            for group in groups {
                line.push_str(GAP);
                line.push_str(&part(group));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        };
        let rule = |width| Cell::new("─".repeat(width), Meaning::Context);
        put(&Cell::new(self.title, Meaning::Name), &|group| {
            group.headed(style)
        });
        put(&Cell::new(self.note, Meaning::Context), &|group| {
            group.titled(style)
        });
        put(&rule(names), &|group| rule(group.width()).show(style));
        for (i, name) in self.names.iter().enumerate() {
            put(&Cell::plain(name), &|group| {
                group.aligned(&group.rows[i], style)
            });
        }
        text
    }
}

impl Group {
    /// The width of its heading or of its columns, whichever is larger.
    fn width(&self) -> usize {
        self.heading_width().max(self.columns_width())
    }

    fn heading_width(&self) -> usize {
        self.heading.chars().count() + INNER_GAP.len() + self.remark.chars().count()
    }

    fn columns_width(&self) -> usize {
        let columns = (0..self.titles.len()).map(|column| self.column_width(column));
        columns.sum::<usize>() + INNER_GAP.len() * self.titles.len().saturating_sub(1)
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].width());
        cells.fold(self.titles[column].chars().count(), usize::max)
    }

    fn headed(&self, style: Style) -> String {
        format!(
            "{}{INNER_GAP}{}{}",
            Meaning::Name.on(&self.heading, style),
            Meaning::Context.on(&self.remark, style),
            " ".repeat(self.width() - self.heading_width()),
        )
    }

    fn titled(&self, style: Style) -> String {
        let titles = self.titles.iter().map(|t| Cell::new(*t, Meaning::Context));
        self.aligned(&titles.collect::<Vec<Cell>>(), style)
    }

    /// Right-aligned cells. The columns are at the right end of the group.
    fn aligned(&self, cells: &[Cell], style: Style) -> String {
        let mut text = " ".repeat(self.width() - self.columns_width());
        for (i, cell) in cells.iter().enumerate() {
            let gap = if i > 0 { INNER_GAP } else { "" };
            let padding = " ".repeat(self.column_width(i) - cell.width());
            text.push_str(&format!("{gap}{padding}{}", cell.show(style)));
        }
        text
    }
}
