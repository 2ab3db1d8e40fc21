//! The I/O of a connection: two links, one for each direction, and closing. Their pipes decide when data may be written.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::pipe::Pipe;
use super::stage::Item;
use super::toxic::Stream;
use super::toxics::ToxicChains;

/// The size of the first reads of a link, since it may only ever carry small messages.
const SMALL_READ: usize = 8 << 10;
/// The size that reads grow to while they fill the buffer.
const LARGE_READ: usize = 128 << 10;
/// Chunks share a buffer. A new one is allocated when less than this is left.
const LEAST_READ: usize = 2 << 10;

/// Bytes in one direction of a proxy.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub received: AtomicU64,
    pub sent: AtomicU64,
}

/// How a link has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkEnd {
    /// The sender has closed its side, and this was passed on. The other direction continues.
    HalfClosed,
    /// The receiver is gone. Data from it may still arrive.
    Broken,
    /// The connection is to be closed.
    Close,
    /// The connection is to be reset.
    Reset,
}

/// Relays a connection until both directions have ended, or one of them ends the connection.
pub(super) async fn relay(
    number: u64,
    mut client: TcpStream,
    mut upstream: TcpStream,
    chains: watch::Receiver<Arc<ToxicChains>>,
    traffic: [&Traffic; 2],
) {
    // Without this the kernel would merge the slicer's pieces into one segment.
    let _ = client.set_nodelay(true);
    let _ = upstream.set_nodelay(true);
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_upstream, to_upstream) = upstream.split();
        let link = |stream, traffic| Link {
            stream,
            traffic,
            pipe: Pipe::new(number),
            chains: chains.clone(),
            start: Instant::now(),
        };
        both(
            link(Stream::Upstream, traffic[0]).run(from_client, to_upstream),
            link(Stream::Downstream, traffic[1]).run(from_upstream, to_client),
        )
        .await
    };
    if ended == LinkEnd::Reset {
        // With zero linger, closing sends a reset and drops unsent data. It is set only here, so that no other
        // connection ends this way.
        let _ = client.set_zero_linger();
        let _ = upstream.set_zero_linger();
    } else {
        // Unread data would turn the close into a reset.
        drain(&client);
        drain(&upstream);
    }
}

/// Runs both links. Returns how the connection is to be ended.
async fn both(up: impl Future<Output = LinkEnd>, down: impl Future<Output = LinkEnd>) -> LinkEnd {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let (mut up_ended, mut down_ended) = (None, None);
    loop {
        let ended = tokio::select! {
            ended = &mut up, if up_ended.is_none() => *up_ended.insert(ended),
            ended = &mut down, if down_ended.is_none() => *down_ended.insert(ended),
        };
        if matches!(ended, LinkEnd::Close | LinkEnd::Reset) {
            return ended;
        }
        if let (Some(up), Some(down)) = (up_ended, down_ended) {
            return match (up, down) {
                (LinkEnd::HalfClosed, LinkEnd::HalfClosed) => LinkEnd::HalfClosed,
                _ => LinkEnd::Reset,
            };
        }
    }
}

fn drain(stream: &TcpStream) {
    let mut discarded = [0; 4096];
    // Bounded, since a sender may never stop.
    for _ in 0..256 {
        if !matches!(stream.try_read(&mut discarded), Ok(1..)) {
            return;
        }
    }
}

/// One direction of a connection.
struct Link<'a> {
    stream: Stream,
    traffic: &'a Traffic,
    pipe: Pipe,
    chains: watch::Receiver<Arc<ToxicChains>>,
    /// Times in the pipe count from this instant.
    start: Instant,
}

impl Link<'_> {
    async fn run(mut self, mut source: ReadHalf<'_>, mut target: WriteHalf<'_>) -> LinkEnd {
        let mut buffer = BytesMut::new();
        let mut read_size = SMALL_READ;
        let mut has_ended = false;
        let mut timer = pin!(sleep_until(self.start));
        self.update_toxics();
        loop {
            // First, so that data sent after a toxic was added passes through it.
            if self.chains.has_changed().unwrap_or(false) {
                self.update_toxics();
            }
            let is_blocked = match self.write(&mut target).await {
                Ok(is_blocked) => is_blocked,
                Err(ended) => return ended,
            };
            let due = self.pipe.due().map(|due| self.start + due);
            if let Some(due) = due
                && timer.deadline() != due
            {
                timer.as_mut().reset(due);
            }
            let free = self.pipe.free_bytes();
            if !buffer.try_reclaim(read_size) && buffer.capacity() < LEAST_READ {
                buffer.reserve(read_size);
            }
            let mut limited = (&mut buffer).limit(free);
            tokio::select! {
                biased;
                changed = self.chains.changed() => match changed {
                    Ok(()) => self.update_toxics(),
                    // The proxy was removed.
                    Err(_) => return LinkEnd::Close,
                },
                _ = target.writable(), if is_blocked => {}
                read = source.read_buf(&mut limited), if free > 0 && !has_ended => {
                    let now = self.start.elapsed();
                    match read {
                        Ok(0) => {
                            has_ended = true;
                            self.pipe.push(Item::End, now);
                        }
                        Ok(read) => {
                            self.traffic.received.fetch_add(read as u64, Relaxed);
                            if buffer.len() == buffer.capacity() {
                                read_size = (read_size * 4).min(LARGE_READ);
                            }
                            self.pipe.push(Item::Data(buffer.split().freeze()), now);
                        }
                        Err(_) => {
                            has_ended = true;
                            self.pipe.push(Item::Reset, now);
                        }
                    }
                }
                () = &mut timer, if due.is_some() => {}
            }
        }
    }

    fn update_toxics(&mut self) {
        let chains = self.chains.borrow_and_update();
        self.pipe
            .set_toxics(self.start.elapsed(), chains.on(self.stream));
    }

    /// Writes the data that is due. Returns whether the receiver is blocked.
    async fn write(&mut self, target: &mut WriteHalf<'_>) -> Result<bool, LinkEnd> {
        loop {
            self.pipe.advance(self.start.elapsed());
            let mut is_written = false;
            while let Some(item) = self.pipe.ready() {
                match item {
                    Item::Data(data) => match target.try_write(data) {
                        Ok(written) => {
                            self.traffic.sent.fetch_add(written as u64, Relaxed);
                            self.pipe.written(written);
                            is_written = true;
                        }
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                        Err(_) => return Err(LinkEnd::Broken),
                    },
                    Item::End => {
                        return Err(match target.shutdown().await {
                            Ok(()) => LinkEnd::HalfClosed,
                            Err(_) => LinkEnd::Broken,
                        });
                    }
                    Item::Close => return Err(LinkEnd::Close),
                    Item::Reset => return Err(LinkEnd::Reset),
                }
            }
            // Writing may have made room for more data that is due.
            if !is_written {
                return Ok(false);
            }
        }
    }
}
