//! What will have to be undone, and how a run tells its guard of it: a line each. No I/O, no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is owed to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::docker) enum Debt {
    /// It was killed or stopped, and has to be started.
    Start,
    /// It was paused, and has to go on after so long at most.
    Resume(Duration),
}

impl Debt {
    /// The line that tells of it.
    pub(super) fn line(self, id: &str) -> String {
        match self {
            Self::Start => format!("start {id}\n"),
            Self::Resume(most) => format!("resume {id} {}\n", most.as_millis()),
        }
    }
}

/// All that is owed now, by the container's id.
#[derive(Debug, Default)]
pub(super) struct Debts(BTreeMap<String, (Debt, Option<Instant>)>);

impl Debts {
    /// The line that tells that nothing is owed to a container any more.
    pub(super) fn paid_line(id: &str) -> String {
        format!("paid {id}\n")
    }

    /// Takes in a line. One that is not understood is none of ours.
    pub(super) fn read(&mut self, line: &str, now: Instant) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["start", id] => {
                self.0.insert(id.to_owned(), (Debt::Start, None));
            }
            ["resume", id, most] => {
                let most = Duration::from_millis(most.parse().unwrap_or(0));
                let debt = (Debt::Resume(most), now.checked_add(most));
                self.0.insert(id.to_owned(), debt);
            }
            ["paid", id] => {
                self.0.remove(id);
            }
            _ => {}
        }
    }

    /// When the next pause has lasted too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(|(_, due)| *due).min()
    }

    /// The pauses that have lasted too long. They are owed no more.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(String, Debt)> {
        let due = |(_, at): &(Debt, Option<Instant>)| at.is_some_and(|at| at <= now);
        let over: Vec<_> = self.0.extract_if(.., |_, debt| due(debt)).collect();
        over.into_iter().map(|(id, (debt, _))| (id, debt)).collect()
    }

    /// All of them.
    pub(super) fn all(self) -> Vec<(String, Debt)> {
        self.0
            .into_iter()
            .map(|(id, (debt, _))| (id, debt))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_and_not_paid_is_owed() {
        let (mut debts, now) = (Debts::default(), Instant::now());
        let most = Duration::from_secs(5);
        for line in [
            Debt::Start.line("ab"),
            Debt::Start.line("cd"),
            Debt::Resume(most).line("ef"),
            Debts::paid_line("ab"),
            "anything else\n".to_owned(),
        ] {
            debts.read(&line, now);
        }
        assert_eq!(debts.next_due(), Some(now + most));
        assert!(debts.due(now + most / 2).is_empty());
        let over = debts.due(now + most);
        assert_eq!(over, [("ef".to_owned(), Debt::Resume(most))]);
        assert_eq!(debts.next_due(), None);
        assert_eq!(debts.all(), [("cd".to_owned(), Debt::Start)]);
    }
}
