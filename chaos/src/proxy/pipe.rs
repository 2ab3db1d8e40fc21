//! One direction of a connection without I/O: a chain of stages from the data read to the data that may be written. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;

use super::draw::ConnectionDraw;
use super::stage::{Item, Stage};
use super::toxics::ActiveToxic;

/// How much data may wait to be written. Beyond that, the stages wait for the writer.
const READY_BYTES: usize = 64 << 10;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    /// The connection's number. Draws depend on it.
    connection: u64,
    stages: Vec<Stage>,
    ready: VecDeque<Item>,
    ready_bytes: usize,
}

impl Pipe {
    pub(super) fn new(connection: u64) -> Self {
        Self {
            connection,
            stages: vec![],
            ready: VecDeque::new(),
            ready_bytes: 0,
        }
    }

    /// Updates the stages to `toxics` at `now`. Stages that stay keep their waiting data. The waiting data of removed stages
    /// is passed on at once.
    pub(super) fn set_toxics(&mut self, now: Duration, toxics: &[Arc<ActiveToxic>]) {
        let wanted: Vec<_> = toxics
            .iter()
            .filter(|toxic| {
                ConnectionDraw::new(toxic.selection_seed, self.connection)
                    .is_selected(toxic.toxicity)
            })
            .map(|toxic| (toxic, ConnectionDraw::new(toxic.seed, self.connection)))
            .collect();
        // From the last stage, so that the data keeps its order.
        for i in (0..self.stages.len()).rev() {
            if wanted.iter().all(|(t, _)| t.id != self.stages[i].id()) {
                for item in self.stages.remove(i).into_items() {
                    self.push_at(i, item, now);
                }
            }
        }
        let mut old = std::mem::take(&mut self.stages).into_iter().peekable();
        for (toxic, draw) in wanted {
            let stage = match old.next_if(|s| s.id() == toxic.id) {
                Some(mut stage) => {
                    stage.change(toxic.clone());
                    stage
                }
                None => Stage::new(toxic.clone(), draw.rng, now),
            };
            self.stages.push(stage);
        }
    }

    /// Adds an item read at `now`.
    pub(super) fn push(&mut self, item: Item, now: Duration) {
        self.push_at(0, item, now);
    }

    /// How many bytes may be read.
    pub(super) fn free_bytes(&self) -> usize {
        self.free_bytes_at(0)
    }

    /// Moves all items that are due.
    pub(super) fn advance(&mut self, now: Duration) {
        if let Some(stage) = self
            .stages
            .iter_mut()
            .find(|s| s.resets_at().is_some_and(|at| at <= now))
        {
            stage.count_reset();
            // A reset overtakes all data.
            self.ready.clear();
            self.ready.push_back(Item::Reset);
            return;
        }
        loop {
            let mut is_moved = false;
            for i in (0..self.stages.len()).rev() {
                while self.free_bytes_at(i + 1) > 0 {
                    let Some((item, at)) = self.stages[i].pop(now) else {
                        break;
                    };
                    self.push_at(i + 1, item, at);
                    is_moved = true;
                }
            }
            if !is_moved {
                return;
            }
        }
    }

    /// When [`advance`](Self::advance) has to be called next, if nothing is written before.
    pub(super) fn due(&mut self) -> Option<Duration> {
        let mut first: Option<Duration> = None;
        for i in 0..self.stages.len() {
            let moves = (self.free_bytes_at(i + 1) > 0)
                .then(|| self.stages[i].due())
                .flatten();
            for at in [moves, self.stages[i].resets_at()].into_iter().flatten() {
                first = Some(first.map_or(at, |f| f.min(at)));
            }
        }
        first
    }

    /// The next item to write or perform.
    pub(super) fn ready(&self) -> Option<&Item> {
        self.ready.front()
    }

    /// Removes `bytes` that were written from the next item.
    pub(super) fn written(&mut self, bytes: usize) {
        let Some(Item::Data(data)) = self.ready.front_mut() else {
            return;
        };
        self.ready_bytes -= bytes;
        data.advance(bytes);
        if data.is_empty() {
            self.ready.pop_front();
        }
    }

    fn free_bytes_at(&self, stage: usize) -> usize {
        match self.stages.get(stage) {
            Some(stage) => stage.free_bytes(),
            None => READY_BYTES.saturating_sub(self.ready_bytes),
        }
    }

    fn push_at(&mut self, stage: usize, item: Item, at: Duration) {
        match self.stages.get_mut(stage) {
            Some(stage) => stage.push(item, at),
            None => {
                self.ready_bytes += item.len();
                self.ready.push_back(item);
            }
        }
    }
}

#[cfg(test)]
mod tests;
