//! How much may be on its way from Redis to PostgreSQL.
//!
//! ```text
//! reply ──> intake ──> engine ──> committer
//!   |_ takes its bytes                 |_ gives them back, once they are durable
//! ```
//!
//! Whoever reads a reply takes its bytes from the budget before he hands it on, and waits where there are not
//! enough. They travel with it: every epoch that is cut from it has a share in the [`Held`], and when the last
//! of them is committed, or given up on whatever way, they are back. So nothing between Redis and the
//! commit holds more than the budget, and the reader waits exactly as long as PostgreSQL does.
//!
//! Bytes are those that Redis sent; decoded, an event takes some hundred bytes whatever it took before. How
//! many events there are at once is bounded by the number of epochs, and of replies that are not yet decoded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::metrics;

/// Replies that are read ahead of the intake.
const MAX_REPLIES_AHEAD: usize = 2;
/// What is counted by, in bytes: a semaphore counts no further than 2^32.
const UNIT: usize = 64;

/// What may be on its way; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    /// How many units there are.
    all: u32,
    replies: Arc<Semaphore>,
}

/// A reply's bytes, until this is dropped.
#[derive(Debug)]
pub struct Held {
    /// None only while it is dropped.
    permit: Option<OwnedSemaphorePermit>,
    budget: Budget,
}

/// The right to wait for the intake, until this is dropped.
#[derive(Debug)]
pub struct Ahead(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let budget = Self {
            units: Arc::new(Semaphore::new(all as usize)),
            all,
            replies: Arc::new(Semaphore::new(MAX_REPLIES_AHEAD)),
        };
        budget.tell();
        budget
    }

    /// Waits until the intake has room for another reply and there are so many bytes. A reply that is larger
    /// than all there are gets them all: it passes alone.
    pub async fn take(&self, bytes: usize) -> (Arc<Held>, Ahead) {
        let ahead = Arc::clone(&self.replies).acquire_owned().await.expect("the semaphore is never closed");
        let wanted = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all);
        let units = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        let permit = Some(units.expect("the semaphore is never closed"));
        self.tell();
        (Arc::new(Held { permit, budget: self.clone() }), Ahead(ahead))
    }

    /// Whether so many bytes are a good part of it: whoever holds them should not wait for more.
    pub fn is_much(&self, bytes: usize) -> bool {
        bytes / UNIT >= self.all as usize / 2
    }

    fn tell(&self) {
        let held = self.all as usize - self.units.available_permits();
        metrics::set_bytes_in_flight((held * UNIT) as u64);
    }
}

impl Held {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, |permit| permit.num_permits() * UNIT)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.tell();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What `take` gives at once, if anything.
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
        assert_eq!((share.bytes(), budget.is_much(share.bytes())), (640, true));
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
