//! What is seen while a run is under way: one live line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use results::record::Interval;
use results::summary;

/// Where no terminal follows, every this many seconds one line.
const PLAIN_EVERY: u64 = 5;

/// The progress of a run, on standard error.
pub(crate) struct Progress {
    how: How,
}

enum How {
    Quiet,
    Plain,
    Live(ProgressBar),
}

impl Progress {
    /// Progress as fits the terminal, or none at all.
    pub(crate) fn new(quiet: bool) -> Self {
        let how = if quiet {
            How::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // `wide_msg` cuts at the terminal's edge; a line that wraps would be drawn twice.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            How::Live(bar)
        } else {
            How::Plain
        };
        Self { how }
    }

    /// Something that stays on the screen.
    pub(crate) fn say(&self, text: &str) {
        match &self.how {
            How::Quiet => {}
            How::Plain => tell(text),
            How::Live(bar) => bar.suspend(|| tell(text)),
        }
    }

    /// What is going on just now; on a terminal only.
    pub(crate) fn now(&self, text: String) {
        if let How::Live(bar) = &self.how {
            bar.set_message(text);
        }
    }

    /// How something stands now: the live line on a terminal, a line of its own elsewhere.
    pub(crate) fn report(&self, text: &str) {
        match &self.how {
            How::Quiet => {}
            How::Plain => tell(text),
            How::Live(bar) => bar.set_message(text.to_owned()),
        }
    }

    /// A second of the run.
    pub(crate) fn interval(&self, interval: &Interval) {
        match &self.how {
            How::Quiet => {}
            How::Plain => {
                if (interval.t_s.round() as u64).is_multiple_of(PLAIN_EVERY) {
                    tell(&summary::line(interval));
                }
            }
            How::Live(bar) => bar.set_message(summary::line(interval)),
        }
    }

    /// Clears the live line.
    pub(crate) fn done(&self) {
        if let How::Live(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}

/// A line on standard error. Whoever has closed it does not want to know; the run goes on.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
