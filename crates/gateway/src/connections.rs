//! The open connections, at most so many: a new one takes the place of the one that was idle for longest.
//!
//! Idle clients therefore cannot keep others out. A connection with a request in progress is never closed for another;
//! if all have one, the new connection is closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::metrics::{self, Closed};

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    started: Instant,
    open: Mutex<HashMap<u64, Arc<Slot>>>,
    next: AtomicU64,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Requests in progress.
    busy: AtomicUsize,
    /// Requests that were begun.
    begun: AtomicUsize,
    /// When the last request began or ended, or the connection was opened; milliseconds since the process began to serve.
    active_ms: AtomicU64,
    evicted: Notify,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    all: Arc<Connections>,
    number: u64,
    slot: Arc<Slot>,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, started: Instant::now(), open: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Counts a new connection; None if all others have a request in progress.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Open> {
        let mut open = self.open.lock().expect("nothing panics while it holds this");
        if open.len() >= self.most {
            let idle = open.iter().filter(|(_, slot)| slot.busy.load(Ordering::Relaxed) == 0);
            let oldest = idle.min_by_key(|(_, slot)| slot.active_ms.load(Ordering::Relaxed)).map(|(number, _)| *number);
            let Some(oldest) = oldest else {
                metrics::closed(Closed::Full, 1);
                return None;
            };
            let evicted = open.remove(&oldest).expect("it is one of them");
            evicted.evicted.notify_one();
            metrics::closed(Closed::Replaced, 1);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(Slot::default());
        slot.active_ms.store(self.now_ms(), Ordering::Relaxed);
        open.insert(number, Arc::clone(&slot));
        metrics::set_connections(open.len());
        Some(Open { all: Arc::clone(self), number, slot })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Open {
    /// Counts a request until what is returned is dropped.
    pub(crate) fn request(&self) -> InProgress {
        self.slot.busy.fetch_add(1, Ordering::Relaxed);
        self.slot.begun.fetch_add(1, Ordering::Relaxed);
        self.slot.active_ms.store(self.all.now_ms(), Ordering::Relaxed);
        InProgress { slot: Arc::clone(&self.slot), all: Arc::clone(&self.all) }
    }

    /// Waits until the connection has to be closed: another takes its place, its first request does not begin within
    /// `first`, or it has been without a request for `idle`.
    pub(crate) async fn until_closed(&self, first: Duration, idle: Duration) {
        loop {
            let limit = if self.slot.begun.load(Ordering::Relaxed) == 0 { first } else { idle };
            let since = self.all.now_ms().saturating_sub(self.slot.active_ms.load(Ordering::Relaxed));
            let left = limit.saturating_sub(Duration::from_millis(since));
            let is_busy = self.slot.busy.load(Ordering::Relaxed) > 0;
            if left.is_zero() && !is_busy {
                return;
            }
            let wait = if is_busy { limit } else { left };
            tokio::select! {
                () = self.slot.evicted.notified() => return,
                () = tokio::time::sleep(wait.max(Duration::from_millis(10))) => {}
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().expect("nothing panics while it holds this");
        open.remove(&self.number);
        metrics::set_connections(open.len());
    }
}

/// A request in progress.
#[derive(Debug)]
pub(crate) struct InProgress {
    slot: Arc<Slot>,
    all: Arc<Connections>,
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.slot.active_ms.store(self.all.now_ms(), Ordering::Relaxed);
        self.slot.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_connection_that_was_idle_for_longest_is_closed_for_a_new_one() {
        let all = Connections::new(2);
        let (first, second) = (all.open().unwrap(), all.open().unwrap());
        let busy = first.request();
        let third = all.open().unwrap();
        let long = Duration::from_secs(60);
        tokio::time::timeout(Duration::from_secs(5), second.until_closed(long, long)).await.unwrap();
        let also_busy = third.request();
        assert!(all.open().is_none(), "both have a request in progress");
        drop((busy, also_busy));
        assert!(all.open().is_some());
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed() {
        let open = Connections::new(2).open().unwrap();
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        tokio::time::timeout(Duration::from_secs(5), open.until_closed(short, long)).await.unwrap();
        drop(open.request());
        let waiting = tokio::time::timeout(Duration::from_millis(100), open.until_closed(short, long)).await;
        assert!(waiting.is_err(), "after a request the longer limit holds");
    }
}
