//! A connection's I/O: two links, one each way, and its end. What may go when is decided by their pipes.

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
use super::toxics::Chains;

/// The first reads of a link, which may carry small messages for ever.
const SMALL_READ: usize = 8 << 10;
/// What reads grow to while they come back full.
const LARGE_READ: usize = 128 << 10;
/// Chunks share a buffer; with less than this left of it they get another one.
const LEAST_READ: usize = 2 << 10;

/// Bytes on one way of a proxy.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub received: AtomicU64,
    pub sent: AtomicU64,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The sender's end was passed on; the other way may go on.
    Passed,
    /// The receiver is gone. What it sent before may still be on its way.
    Broken,
    /// The connection is to be closed.
    Close,
    /// The connection is to be reset.
    Reset,
}

/// Carries a connection until both ways have ended, or one of them ends it.
pub(super) async fn carry(
    number: u64,
    mut client: TcpStream,
    mut upstream: TcpStream,
    chains: watch::Receiver<Arc<Chains>>,
    traffic: [&Traffic; 2],
) {
    // A slice is a segment of its own only when the kernel does not gather them.
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
    if ended == Ended::Reset {
        // Without lingering, closing sends a reset and drops what was not sent yet. It is set here and not before, so
        // that no other connection ever ends this way.
        let _ = client.set_zero_linger();
        let _ = upstream.set_zero_linger();
    } else {
        // What is left unread would turn the close into a reset.
        drain(&client);
        drain(&upstream);
    }
}

/// Runs both links, and says how the connection is to end.
async fn both(up: impl Future<Output = Ended>, down: impl Future<Output = Ended>) -> Ended {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let (mut up_ended, mut down_ended) = (None, None);
    loop {
        let ended = tokio::select! {
            ended = &mut up, if up_ended.is_none() => *up_ended.insert(ended),
            ended = &mut down, if down_ended.is_none() => *down_ended.insert(ended),
        };
        if matches!(ended, Ended::Close | Ended::Reset) {
            return ended;
        }
        if let (Some(up), Some(down)) = (up_ended, down_ended) {
            return match (up, down) {
                (Ended::Passed, Ended::Passed) => Ended::Passed,
                _ => Ended::Reset,
            };
        }
    }
}

fn drain(stream: &TcpStream) {
    let mut scrap = [0; 4096];
    // Bounded, for a sender that never stops.
    for _ in 0..256 {
        if !matches!(stream.try_read(&mut scrap), Ok(1..)) {
            return;
        }
    }
}

/// One way of a connection.
struct Link<'a> {
    stream: Stream,
    traffic: &'a Traffic,
    pipe: Pipe,
    chains: watch::Receiver<Arc<Chains>>,
    /// Times in the pipe count from here.
    start: Instant,
}

impl Link<'_> {
    async fn run(mut self, mut source: ReadHalf<'_>, mut dest: WriteHalf<'_>) -> Ended {
        let mut buffer = BytesMut::new();
        let mut read_size = SMALL_READ;
        let mut has_ended = false;
        let mut timer = pin!(sleep_until(self.start));
        self.arrange();
        loop {
            // Before anything else: what is sent after a toxic was added has to meet it.
            if self.chains.has_changed().unwrap_or(false) {
                self.arrange();
            }
            let is_blocked = match self.write(&mut dest).await {
                Ok(is_blocked) => is_blocked,
                Err(ended) => return ended,
            };
            let due = self.pipe.due().map(|due| self.start + due);
            if let Some(due) = due
                && timer.deadline() != due
            {
                timer.as_mut().reset(due);
            }
            let room = self.pipe.room();
            if !buffer.try_reclaim(read_size) && buffer.capacity() < LEAST_READ {
                buffer.reserve(read_size);
            }
            let mut limited = (&mut buffer).limit(room);
            tokio::select! {
                biased;
                changed = self.chains.changed() => match changed {
                    Ok(()) => self.arrange(),
                    // The proxy is gone.
                    Err(_) => return Ended::Close,
                },
                _ = dest.writable(), if is_blocked => {}
                read = source.read_buf(&mut limited), if room > 0 && !has_ended => {
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

    fn arrange(&mut self) {
        let chains = self.chains.borrow_and_update();
        self.pipe
            .arrange(self.start.elapsed(), chains.on(self.stream));
    }

    /// Writes what is due, as far as the receiver takes it. Returns whether it takes no more for now.
    async fn write(&mut self, dest: &mut WriteHalf<'_>) -> Result<bool, Ended> {
        loop {
            self.pipe.advance(self.start.elapsed());
            let mut is_written = false;
            while let Some(item) = self.pipe.ready() {
                match item {
                    Item::Data(data) => match dest.try_write(data) {
                        Ok(written) => {
                            self.traffic.sent.fetch_add(written as u64, Relaxed);
                            self.pipe.written(written);
                            is_written = true;
                        }
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                        Err(_) => return Err(Ended::Broken),
                    },
                    Item::End => {
                        return Err(match dest.shutdown().await {
                            Ok(()) => Ended::Passed,
                            Err(_) => Ended::Broken,
                        });
                    }
                    Item::Close => return Err(Ended::Close),
                    Item::Reset => return Err(Ended::Reset),
                }
            }
            // What was written may have made room for more that is due.
            if !is_written {
                return Ok(false);
            }
        }
    }
}
