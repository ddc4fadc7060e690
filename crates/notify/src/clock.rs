//! The time by which deliveries are due: that of the machine, or one that a test moves.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use watchtower_model::Millis;

/// A clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Clock {
    /// The clock of this machine.
    pub fn machine() -> Self {
        Self::of(|| Timestamp::now().as_millisecond())
    }

    /// A clock that shows what a function returns, epoch milliseconds.
    pub fn of(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Epoch milliseconds.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}
