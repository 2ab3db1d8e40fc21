//! The progress of a run on standard error: one live line on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use results::record::Interval;
use results::summary;

use super::output::note;

/// Without a terminal: one line every this many seconds.
const PLAIN_EVERY: u64 = 5;

/// The progress of a run.
pub(crate) struct Progress {
    mode: Mode,
}

enum Mode {
    Quiet,
    Plain,
    Live(ProgressBar),
}

impl Progress {
    /// Live or plain progress, depending on the terminal. None if `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // `wide_msg` cuts at the terminal's edge; a line that wraps would be drawn twice.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            Mode::Live(bar)
        } else {
            Mode::Plain
        };
        Self { mode }
    }

    /// Prints a line that stays on the screen.
    pub(crate) fn line(&self, text: &str) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => note(text),
            Mode::Live(bar) => bar.suspend(|| note(text)),
        }
    }

    /// Shows what the run is doing now. On a terminal only.
    pub(crate) fn activity(&self, text: String) {
        if let Mode::Live(bar) = &self.mode {
            bar.set_message(text);
        }
    }

    /// Shows a value that changes: in the live line on a terminal, else as a line.
    pub(crate) fn report(&self, text: &str) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => note(text),
            Mode::Live(bar) => bar.set_message(text.to_owned()),
        }
    }

    /// Shows one second of the run.
    pub(crate) fn interval(&self, interval: &Interval) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => {
                if (interval.t_s.round() as u64).is_multiple_of(PLAIN_EVERY) {
                    note(&summary::line(interval));
                }
            }
            Mode::Live(bar) => bar.set_message(summary::line(interval)),
        }
    }

    /// Removes the live line.
    pub(crate) fn finish(&self) {
        if let Mode::Live(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }
}
