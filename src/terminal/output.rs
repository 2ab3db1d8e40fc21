//! Results on standard output, notes on standard error, and their style.

use std::io::{IsTerminal, Write};

use results::summary::Style;
use serde::Serialize;

/// Writes a text to standard output. A closed pipe is ignored: the work is done, and the exit code stands.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a value as indented JSON to standard output. A closed pipe is ignored.
pub(crate) fn print_json(value: &impl Serialize) {
    let mut out = std::io::stdout().lock();
    // Only writing can fail: records have no keys that JSON does not have.
    let _ = serde_json::to_writer_pretty(&mut out, value);
    let _ = writeln!(out);
}

/// Writes a line to standard error. A closed pipe is ignored.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The style of standard output.
pub(crate) fn stdout_style() -> Style {
    style_of(&std::io::stdout())
}

/// The style of standard error.
pub(crate) fn stderr_style() -> Style {
    style_of(&std::io::stderr())
}

fn style_of(out: &impl IsTerminal) -> Style {
    Style {
        colour: out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        width: terminal_width(),
    }
}

/// The width of the terminal; 100 columns without one.
fn terminal_width() -> usize {
    let (_, columns) = console::Term::stdout().size_checked().unwrap_or((0, 100));
    usize::from(columns).clamp(60, 140)
}
