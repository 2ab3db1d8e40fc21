//! Response bodies that are slow, truncated or corrupted.

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

/// How often a slow body sends a piece, unless a single byte takes longer.
const TICK: Duration = Duration::from_millis(20);

/// A body, and how to deliver it.
pub(crate) struct Delivery {
    pub(super) bytes: Bytes,
    /// Whether it breaks off after half.
    pub(super) truncated: bool,
    pace: Option<Pace>,
}

struct Pace {
    bytes_per_s: u64,
    ended: CancellationToken,
}

impl Delivery {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            truncated: false,
            pace: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sets the rate until `ended` is cancelled. Of several rates the lowest counts.
    pub(super) fn slow_down(&mut self, bytes_per_s: u64, ended: CancellationToken) {
        if self
            .pace
            .as_ref()
            .is_none_or(|p| bytes_per_s < p.bytes_per_s)
        {
            self.pace = Some(Pace { bytes_per_s, ended });
        }
    }

    /// For a client: the whole body, after the time that it takes.
    ///
    /// # Errors
    /// It is truncated.
    pub(crate) async fn read(self) -> Result<Bytes, Truncated> {
        let sent = match self.truncated {
            true => self.bytes.len() / 2,
            false => self.bytes.len(),
        };
        if let Some(Pace { bytes_per_s, ended }) = self.pace {
            let takes = Duration::from_secs_f64(sent as f64 / bytes_per_s as f64);
            tokio::select! {
                () = tokio::time::sleep(takes) => {}
                () = ended.cancelled() => {}
            }
        }
        match self.truncated {
            true => Err(Truncated),
            false => Ok(self.bytes),
        }
    }

    /// For a server: the body as a stream.
    pub(crate) fn send(self) -> SendingBody {
        let whole = self.bytes.len() as u64;
        let mut left = self.bytes;
        if self.truncated {
            left.truncate(left.len() / 2);
        }
        let now = Instant::now();
        SendingBody {
            whole,
            sent: 0,
            left,
            truncated: self.truncated,
            flushed: false,
            pace: self.pace.map(|pace| Pacing {
                bytes_per_s: pace.bytes_per_s,
                began: now,
                tick: Box::pin(tokio::time::sleep_until(now)),
                ended: Box::pin(pace.ended.cancelled_owned()),
            }),
        }
    }
}

/// A body being sent. Its size hint is the full length, also when it will be truncated.
pub(crate) struct SendingBody {
    whole: u64,
    sent: u64,
    left: Bytes,
    truncated: bool,
    flushed: bool,
    pace: Option<Pacing>,
}

struct Pacing {
    bytes_per_s: u64,
    began: Instant,
    tick: Pin<Box<Sleep>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The body was truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an injected fault truncated the body")
    }
}

impl std::error::Error for Truncated {}

impl Pacing {
    /// Resolves to the bytes that may have been sent by now, once that is more than `sent`.
    fn poll_due(&mut self, sent: u64, cx: &mut Context<'_>) -> Poll<u64> {
        loop {
            if self.ended.as_mut().poll(cx).is_ready() {
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

impl HttpBody for SendingBody {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.left.is_empty() {
            if !self.truncated {
                return Poll::Ready(None);
            }
            // One more poll lets hyper flush the half: an error discards what is still buffered.
            if !self.flushed {
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(Truncated)));
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
        self.left.is_empty() && !self.truncated
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.whole - self.sent)
    }
}

/// Changes about one byte in a hundred, at least one. The new bytes occur in no UTF-8 text, so a reader always notices the
/// corruption, and never sees a different text that looks valid. On a real network, checksums have the same effect.
pub(super) fn corrupt(bytes: &Bytes, rng: &mut impl Rng) -> Bytes {
    let mut corrupted = bytes.to_vec();
    let changes = corrupted.len().div_ceil(100);
    for index in rand::seq::index::sample(rng, corrupted.len(), changes) {
        let before = corrupted[index];
        while corrupted[index] == before {
            corrupted[index] = rng.random_range(0xf8..=0xff);
        }
    }
    corrupted.into()
}

#[cfg(test)]
mod tests;
