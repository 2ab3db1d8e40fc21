//! The undos that are pending, and the line protocol between a run and its guard process. No I/O, no clock.
//!
//! `start ID` · `resume ID MILLISECONDS` · `done ID`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How a container's disruption is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PendingUndo {
    /// Start the container, which was killed or stopped.
    Start,
    /// Resume the container, which was paused, after this long at the latest.
    Resume(Duration),
}

impl PendingUndo {
    /// The line that registers the undo.
    pub(super) fn line(self, id: &str) -> String {
        match self {
            Self::Start => format!("start {id}\n"),
            Self::Resume(most) => format!("resume {id} {}\n", most.as_millis()),
        }
    }
}

/// All pending undos, by container id. Pauses have a deadline.
#[derive(Debug, Default)]
pub(super) struct UndoList(BTreeMap<String, (PendingUndo, Option<Instant>)>);

impl UndoList {
    /// The line that removes a container's undo.
    pub(super) fn done_line(id: &str) -> String {
        format!("done {id}\n")
    }

    /// Applies a line. Unknown lines are ignored.
    pub(super) fn read(&mut self, line: &str, now: Instant) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["start", id] => {
                self.0.insert(id.to_owned(), (PendingUndo::Start, None));
            }
            ["resume", id, most] => {
                let most = Duration::from_millis(most.parse().unwrap_or(0));
                let undo = (PendingUndo::Resume(most), now.checked_add(most));
                self.0.insert(id.to_owned(), undo);
            }
            ["done", id] => {
                self.0.remove(id);
            }
            _ => {}
        }
    }

    /// The next deadline.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(|(_, due)| *due).min()
    }

    /// Removes and gives the undos whose deadline has passed.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(String, PendingUndo)> {
        let due = |(_, at): &(PendingUndo, Option<Instant>)| at.is_some_and(|at| at <= now);
        let over: Vec<_> = self.0.extract_if(.., |_, undo| due(undo)).collect();
        over.into_iter().map(|(id, (undo, _))| (id, undo)).collect()
    }

    /// All pending undos.
    pub(super) fn all(self) -> Vec<(String, PendingUndo)> {
        self.0
            .into_iter()
            .map(|(id, (undo, _))| (id, undo))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_undo_is_pending_until_it_is_done() {
        let (mut pending, now) = (UndoList::default(), Instant::now());
        let most = Duration::from_secs(5);
        for line in [
            PendingUndo::Start.line("ab"),
            PendingUndo::Start.line("cd"),
            PendingUndo::Resume(most).line("ef"),
            UndoList::done_line("ab"),
            "anything else\n".to_owned(),
        ] {
            pending.read(&line, now);
        }
        assert_eq!(pending.next_due(), Some(now + most));
        assert!(pending.due(now + most / 2).is_empty());
        let over = pending.due(now + most);
        assert_eq!(over, [("ef".to_owned(), PendingUndo::Resume(most))]);
        assert_eq!(pending.next_due(), None);
        assert_eq!(pending.all(), [("cd".to_owned(), PendingUndo::Start)]);
    }
}
