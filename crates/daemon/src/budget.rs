//! Limit of the bytes in flight from Redis to PostgreSQL.
//!
//! ```text
//! reply ──> intake ──> engine ──> committer
//!   |_ takes its bytes                 |_ gives them back, once they are durable
//! ```
//!
//! The reader acquires the bytes of a reply from the budget before it passes the reply on, and waits while they are not
//! available. Every epoch cut from the reply shares its [`Held`]; when the last of them is committed or dropped, the
//! bytes return to the budget. So replies, epochs and transactions together never hold more than the budget, and the
//! reader is slowed down to the speed of PostgreSQL.
//!
//! Bytes are counted as Redis sent them; decoded, each event takes some hundred bytes. The number of events in flight
//! is bounded by the limits on epochs and on replies that are not decoded yet.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::metrics;

/// Limit of replies read but not yet taken by the intake.
const MAX_REPLIES_AHEAD: usize = 2;
/// Bytes per permit of the semaphore, whose counter is limited to 2^32.
const UNIT: usize = 64;

/// The budget of a daemon; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    /// Total number of permits.
    all: u32,
    replies: Arc<Semaphore>,
}

/// The permits for a reply's bytes; dropping it returns them to the budget.
#[derive(Debug)]
pub struct Held {
    /// `None` only during the drop.
    permit: Option<OwnedSemaphorePermit>,
    budget: Budget,
}

/// The permit of a reply that waits for the intake; dropping it admits the next reply.
#[derive(Debug)]
pub struct Ahead(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl Budget {
    /// A budget of `bytes`, rounded up to 64 bytes.
    pub fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let budget = Self {
            units: Arc::new(Semaphore::new(all as usize)),
            all,
            replies: Arc::new(Semaphore::new(MAX_REPLIES_AHEAD)),
        };
        budget.update_metric();
        budget
    }

    /// Waits until the intake has room for another reply and `bytes` are available. A reply larger than the whole
    /// budget waits for all of it, and so passes alone.
    pub async fn take(&self, bytes: usize) -> (Arc<Held>, Ahead) {
        let ahead = Arc::clone(&self.replies).acquire_owned().await.expect("the semaphore is never closed");
        let wanted = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all);
        let units = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        let permit = Some(units.expect("the semaphore is never closed"));
        self.update_metric();
        (Arc::new(Held { permit, budget: self.clone() }), Ahead(ahead))
    }

    /// Whether `bytes` are at least half of the budget. Their holder should commit rather than wait for more.
    pub fn is_large(&self, bytes: usize) -> bool {
        bytes / UNIT >= self.all as usize / 2
    }

    fn update_metric(&self) {
        let held = self.all as usize - self.units.available_permits();
        metrics::set_bytes_in_flight((held * UNIT) as u64);
    }
}

impl Held {
    /// Number of bytes, rounded up to 64.
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, |permit| permit.num_permits() * UNIT)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.update_metric();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What `take` returns without waiting; `None` if it would wait.
    fn at_once(budget: &Budget, bytes: usize) -> Option<(Arc<Held>, Ahead)> {
        match pin!(budget.take(bytes)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_taken_is_back_when_the_last_share_is_dropped() {
        let budget = Budget::new(1024);
        let (held, ahead) = at_once(&budget, 600).unwrap();
        drop(ahead);
        let share = Arc::clone(&held);
        assert_eq!((share.bytes(), budget.is_large(share.bytes())), (640, true));
        drop(held);
        assert!(at_once(&budget, 600).is_none());
        drop(share);
        assert!(at_once(&budget, 600).is_some());
    }

    #[test]
    fn one_that_is_too_large_passes_alone() {
        let budget = Budget::new(1024);
        let small = at_once(&budget, 1).unwrap();
        assert!(at_once(&budget, 1 << 40).is_none(), "not beside another");
        drop(small);
        let (large, ahead) = at_once(&budget, 1 << 40).unwrap();
        drop(ahead);
        assert_eq!(large.bytes(), 1024);
        assert!(at_once(&budget, 1).is_none());
    }

    #[test]
    fn so_many_replies_wait_for_the_intake() {
        let budget = Budget::new(1 << 20);
        let one = at_once(&budget, 1).unwrap();
        let two = at_once(&budget, 1).unwrap();
        assert!(at_once(&budget, 1).is_none());
        drop(one.1);
        assert!(at_once(&budget, 1).is_some());
        drop((one.0, two));
    }
}
