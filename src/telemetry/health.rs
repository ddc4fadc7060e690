//! Whether the daemon does its work, for those who ask.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What the daemon is up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not reached the end of the streams yet, and is doing this.
    Starting(Cow<'static, str>),
    /// The tables follow the streams.
    Ready,
    /// It will go on once this is over.
    NotReady(Cow<'static, str>),
    /// It cannot go on: somebody has to look.
    Halted(Cow<'static, str>),
}

/// The state, shared by all who set and ask it; a clone is the same one.
///
/// A daemon that has halted stays so: what its other parts say afterwards changes nothing.
#[derive(Clone, Debug)]
pub struct Health(Arc<RwLock<State>>);

impl Health {
    /// Starting, by doing `what`.
    pub fn starting(what: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(RwLock::new(State::Starting(what.into()))))
    }

    /// Still starting, now by doing `what`.
    pub fn set_starting(&self, what: impl Into<Cow<'static, str>>) {
        self.set(State::Starting(what.into()));
    }

    /// The tables follow the streams. Costs little where they did already.
    pub fn set_ready(&self) {
        if self.state() != State::Ready {
            self.set(State::Ready);
        }
    }

    /// The tables do not follow the streams for a while, for this reason.
    pub fn set_not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State::NotReady(reason.into()));
    }

    /// The daemon does nothing any more, for this reason.
    pub fn set_halted(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State::Halted(reason.into()));
    }

    /// What it is up to.
    pub fn state(&self) -> State {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the tables follow the streams.
    pub fn is_ready(&self) -> bool {
        self.state() == State::Ready
    }

    fn set(&self, state: State) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*held, State::Halted(_)) {
            *held = state;
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting(what) => write!(f, "starting: {what}"),
            Self::Ready => f.write_str("ready"),
            Self::NotReady(reason) => write!(f, "not ready: {reason}"),
            Self::Halted(reason) => write!(f, "halted: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_state() {
        let health = Health::starting("connecting to redis");
        let other = health.clone();
        assert_eq!(other.state().to_string(), "starting: connecting to redis");
        health.set_starting("migrating");
        assert!(!other.is_ready());
        health.set_ready();
        assert!(other.is_ready());
        other.set_not_ready("postgres is away");
        assert_eq!(health.state().to_string(), "not ready: postgres is away");
    }

    #[test]
    fn who_has_halted_stays_halted() {
        let health = Health::starting("");
        health.set_halted(format!("{} entries are lost", 7));
        health.set_ready();
        health.set_not_ready("postgres is away");
        assert_eq!(health.state().to_string(), "halted: 7 entries are lost");
    }
}
