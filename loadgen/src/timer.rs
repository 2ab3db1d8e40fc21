//! A timer with a precision of microseconds.
//!
//! Tokio's timer has a resolution of 1 ms. It wakes 1 ms late in the median and 2 ms late at the 99th percentile, which
//! is as long as many a reply takes. On Linux each worker therefore has one `timerfd`, armed for its earliest deadline
//! and awaited like a socket, and no timer slack. That is about 50 µs late. Elsewhere tokio's timer is used, and the
//! record shows its lateness.

use std::io;
use std::time::Instant;

/// A worker's timer. Cheap to clone. It belongs to one [`tokio::task::LocalSet`].
#[derive(Clone)]
pub(crate) struct Timer(imp::Timer);

impl Timer {
    /// Starts the timer of this thread. Must run inside a `LocalSet`.
    pub(crate) fn start() -> io::Result<Self> {
        imp::Timer::start().map(Self)
    }

    /// Returns at `instant`, or at once if that has passed.
    pub(crate) async fn until(&self, instant: Instant) {
        self.0.until(instant).await;
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::cell::RefCell;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::io;
    use std::num::NonZeroU64;
    use std::os::fd::OwnedFd;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::sync::oneshot;

    #[derive(Clone)]
    pub(super) struct Timer(Rc<TimerState>);

    struct TimerState {
        fd: AsyncFd<OwnedFd>,
        waiting: RefCell<BinaryHeap<Reverse<Deadline>>>,
    }

    struct Deadline {
        at: Instant,
        wake: oneshot::Sender<()>,
    }

    impl Timer {
        pub(super) fn start() -> io::Result<Self> {
            // One nanosecond, the minimum. If the kernel refuses, sends are later, which the record shows.
            if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
                tracing::debug!(%error, "cannot set the timer slack");
            }
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Tokio's replacement is `unsafe` because the caller must promise that the descriptor stays the same and
            // open while it is registered. An `OwnedFd` without other owners keeps that promise by its type, and this
            // crate forbids `unsafe`.
            #[expect(deprecated, reason = "its replacement is unsafe; see above")]
            let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
            let shared = Rc::new(TimerState {
                fd,
                waiting: RefCell::default(),
            });
            tokio::task::spawn_local(wake_when_due(shared.clone()));
            Ok(Self(shared))
        }

        pub(super) async fn until(&self, at: Instant) {
            if at <= Instant::now() {
                return;
            }
            let (wake, woken) = oneshot::channel();
            let earliest = {
                let mut waiting = self.0.waiting.borrow_mut();
                let earliest = waiting.peek().is_none_or(|Reverse(d)| at < d.at);
                waiting.push(Reverse(Deadline { at, wake }));
                earliest
            };
            if earliest {
                self.0.arm(at);
            }
            // The sender is dropped without sending only together with the timer, when no task waits any more.
            let _ = woken.await;
        }
    }

    /// Wakes the tasks that are due whenever the timer expires.
    async fn wake_when_due(shared: Rc<TimerState>) {
        loop {
            match shared.fd.readable().await {
                Ok(mut ready) => {
                    let mut expirations = [0; 8];
                    // The result is not needed: the clock decides which tasks are due.
                    let _ = rustix::io::read(&shared.fd, &mut expirations);
                    ready.clear_ready();
                }
                Err(error) => {
                    tracing::error!(%error, "the timer failed");
                    return;
                }
            }
            shared.wake_due();
        }
    }

    impl TimerState {
        fn wake_due(&self) {
            let mut waiting = self.waiting.borrow_mut();
            let now = Instant::now();
            while waiting.peek().is_some_and(|Reverse(d)| d.at <= now) {
                if let Some(Reverse(due)) = waiting.pop() {
                    // The receiver is gone if its task stopped waiting.
                    let _ = due.wake.send(());
                }
            }
            let next = waiting.peek().map(|Reverse(d)| d.at);
            drop(waiting);
            if let Some(at) = next {
                self.arm(at);
            }
        }

        fn arm(&self, at: Instant) {
            // Zero would disarm the timer.
            let left = at
                .saturating_duration_since(Instant::now())
                .max(Duration::from_nanos(1));
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec {
                    tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                    tv_nsec: left.subsec_nanos().into(),
                },
            };
            if let Err(error) = timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once) {
                tracing::error!(%error, "the timer cannot be set");
            }
        }
    }

    impl PartialEq for Deadline {
        fn eq(&self, other: &Self) -> bool {
            self.at == other.at
        }
    }

    impl Eq for Deadline {}

    impl PartialOrd for Deadline {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Deadline {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.at.cmp(&other.at)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Instant;

    #[derive(Clone)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn start() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn until(&self, at: Instant) {
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::task::LocalSet;

    #[tokio::test(flavor = "current_thread")]
    async fn deadlines_are_met_in_order_and_never_early() {
        let local = LocalSet::new();
        local
            .run_until(async {
                let timer = Timer::start().unwrap();
                let start = Instant::now();
                let woken = Rc::new(RefCell::new(Vec::new()));
                let mut tasks = tokio::task::JoinSet::new();
                for ms in [30, 10, 20, 0, 10] {
                    let (timer, woken) = (timer.clone(), woken.clone());
                    tasks.spawn_local(async move {
                        let at = start + Duration::from_millis(ms);
                        timer.until(at).await;
                        assert!(Instant::now() >= at);
                        woken.borrow_mut().push(ms);
                    });
                }
                while let Some(task) = tasks.join_next().await {
                    task.unwrap();
                }
                assert_eq!(*woken.borrow(), [0, 10, 10, 20, 30]);
            })
            .await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_deadline_without_a_waiting_task_does_not_delay_the_others() {
        let local = LocalSet::new();
        local
            .run_until(async {
                let timer = Timer::start().unwrap();
                let start = Instant::now();
                let gone = timer.until(start + Duration::from_millis(5));
                assert!(
                    tokio::time::timeout(Duration::from_millis(1), gone)
                        .await
                        .is_err()
                );
                timer.until(start + Duration::from_millis(20)).await;
                assert!(start.elapsed() >= Duration::from_millis(20));
            })
            .await;
    }
}
