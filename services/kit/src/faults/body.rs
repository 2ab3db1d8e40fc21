//! Bodies that come slowly, break off, or are not what was sent.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use rand::{Rng, RngExt};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How often a slow body moves on, unless a single byte takes longer.
const TICK: Duration = Duration::from_millis(20);

/// A body, and how it is to be delivered.
pub(crate) struct Delivery {
    pub(super) bytes: Bytes,
    /// After half of it.
    pub(super) breaks_off: bool,
    pace: Option<Pace>,
}

struct Pace {
    bytes_per_s: u64,
    over: CancellationToken,
}

impl Delivery {
    pub(super) fn of(bytes: Bytes) -> Self {
        Self {
            bytes,
            breaks_off: false,
            pace: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Of several paces the slowest counts.
    pub(super) fn slow_down(&mut self, bytes_per_s: u64, over: CancellationToken) {
        if self
            .pace
            .as_ref()
            .is_none_or(|p| bytes_per_s < p.bytes_per_s)
        {
            self.pace = Some(Pace { bytes_per_s, over });
        }
    }

    /// As the reader of an answer meets it: the whole body after the time that it takes, or nothing.
    ///
    /// # Errors
    /// It broke off.
    pub(crate) async fn read(self) -> Result<Bytes, BrokeOff> {
        let sent = match self.breaks_off {
            true => self.bytes.len() / 2,
            false => self.bytes.len(),
        };
        if let Some(Pace { bytes_per_s, over }) = self.pace {
            let takes = Duration::from_secs_f64(sent as f64 / bytes_per_s as f64);
            tokio::select! {
                () = tokio::time::sleep(takes) => {}
                () = over.cancelled() => {}
            }
        }
        match self.breaks_off {
            true => Err(BrokeOff),
            false => Ok(self.bytes),
        }
    }

    /// As a server sends it.
    pub(crate) fn send(self) -> Sending {
        let whole = self.bytes.len() as u64;
        let mut left = self.bytes;
        if self.breaks_off {
            left.truncate(left.len() / 2);
        }
        let now = Instant::now();
        Sending {
            whole,
            sent: 0,
            left,
            breaks_off: self.breaks_off,
            flushed: false,
            pace: self.pace.map(|pace| Pacing {
                bytes_per_s: pace.bytes_per_s,
                began: now,
                tick: Box::pin(tokio::time::sleep_until(now)),
                over: Box::pin(pace.over.cancelled_owned()),
            }),
        }
    }
}

/// A body on its way. It is announced in full length, also when it is going to break off.
pub(crate) struct Sending {
    whole: u64,
    sent: u64,
    left: Bytes,
    breaks_off: bool,
    flushed: bool,
    pace: Option<Pacing>,
}

struct Pacing {
    bytes_per_s: u64,
    began: Instant,
    tick: Pin<Box<Sleep>>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokeOff;

impl fmt::Display for BrokeOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an injected fault broke the body off")
    }
}

impl std::error::Error for BrokeOff {}

impl Pacing {
    /// How many bytes may have been sent by now, where that is more than `sent`.
    fn poll_due(&mut self, sent: u64, cx: &mut Context<'_>) -> Poll<u64> {
        loop {
            if self.over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(u64::MAX);
            }
            ready!(self.tick.as_mut().poll(cx));
            let due = (self.began.elapsed().as_secs_f64() * self.bytes_per_s as f64) as u64;
            let a_byte = Duration::from_secs_f64((sent + 1) as f64 / self.bytes_per_s as f64);
            let next = (Instant::now() + TICK).max(self.began + a_byte);
            self.tick.as_mut().reset(next);
            if due > sent {
                return Poll::Ready(due);
            }
        }
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        if self.left.is_empty() {
            if !self.breaks_off {
                return Poll::Ready(None);
            }
            // Asked once more, so that what came before is written out: an error throws away what is still buffered.
            if !self.flushed {
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(BrokeOff)));
        }
        let sent = self.sent;
        let due = match &mut self.pace {
            Some(pace) => ready!(pace.poll_due(sent, cx)),
            None => u64::MAX,
        };
        let most = usize::try_from(due - sent).unwrap_or(usize::MAX);
        let most = most.min(self.left.len());
        let piece = self.left.split_to(most);
        self.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.whole - self.sent)
    }
}

/// The same bytes but for about one in a hundred, one at least. What takes their place occurs in no UTF-8, so a text is
/// known to be broken by whoever reads it, and never a different one that looks good: the checksums below see to that
/// on a real wire as well, and what they let through is garbage.
pub(super) fn corrupt(bytes: &Bytes, draws: &mut impl Rng) -> Bytes {
    let mut garbled = bytes.to_vec();
    let wrong = garbled.len().div_ceil(100);
    for index in rand::seq::index::sample(draws, garbled.len(), wrong) {
        let before = garbled[index];
        while garbled[index] == before {
            garbled[index] = draws.random_range(0xf8..=0xff);
        }
    }
    garbled.into()
}

#[cfg(test)]
mod tests;
