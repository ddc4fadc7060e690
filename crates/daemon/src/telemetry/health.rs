//! State of the daemon, for `/readyz` and the service manager.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::metrics::Dependency;

/// State of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not reached the end of the streams yet; the text is the current step.
    Starting(Cow<'static, str>),
    /// The tables follow the streams.
    Ready,
    /// The tables do not follow the streams until an outage is over; the text is the reason.
    NotReady(Cow<'static, str>),
    /// It writes nothing more until an operator acts; the text is the reason.
    Halted(Cow<'static, str>),
}

/// The state, shared by all tasks; clones refer to the same state.
///
/// A halted daemon stays halted, whatever other tasks report afterwards. An outage is recorded per server: the tables
/// follow the streams when no server has one.
#[derive(Clone, Debug)]
pub struct Health(Arc<RwLock<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Never [`State::NotReady`], which is derived from `away`.
    state: State,
    /// Reason of the outage, by server.
    away: [Option<String>; 3],
}

impl Health {
    /// A daemon that starts, with `what` as its current step.
    pub fn starting(what: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(RwLock::new(Inner { state: State::Starting(what.into()), away: [None, None, None] })))
    }

    /// Sets the current step of the start.
    pub fn set_starting(&self, what: impl Into<Cow<'static, str>>) {
        self.set(State::Starting(what.into()));
    }

    /// Records that the tables follow the streams, apart from outages of servers.
    pub fn set_ready(&self) {
        self.set(State::Ready);
    }

    /// Records an outage of a server, with its reason.
    pub fn set_away(&self, server: Dependency, reason: impl Into<String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).away[server as usize] = Some(reason.into());
    }

    /// Records the end of an outage. Costs one read lock if there was none.
    pub fn set_back(&self, server: Dependency) {
        let is_away = self.0.read().unwrap_or_else(PoisonError::into_inner).away[server as usize].is_some();
        if is_away {
            self.0.write().unwrap_or_else(PoisonError::into_inner).away[server as usize] = None;
        }
    }

    /// Records that the daemon has halted, with its reason.
    pub fn set_halted(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State::Halted(reason.into()));
    }

    /// The current state.
    pub fn state(&self) -> State {
        let Inner { state, away } = &*self.0.read().unwrap_or_else(PoisonError::into_inner);
        let away: Vec<&str> = away.iter().flatten().map(String::as_str).collect();
        match state {
            State::Ready if !away.is_empty() => State::NotReady(away.join("; ").into()),
            state => state.clone(),
        }
    }

    /// Whether the tables follow the streams.
    pub fn is_ready(&self) -> bool {
        self.state() == State::Ready
    }

    fn set(&self, state: State) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(held.state, State::Halted(_)) {
            held.state = state;
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
        other.set_away(Dependency::Postgres, "postgres is away");
        assert_eq!(health.state().to_string(), "not ready: postgres is away");
    }

    #[test]
    fn who_speaks_for_one_server_says_nothing_of_the_other() {
        let health = Health::starting("");
        health.set_ready();
        health.set_away(Dependency::Redis, "redis is away");
        health.set_away(Dependency::Postgres, "postgres is away");
        assert_eq!(health.state().to_string(), "not ready: redis is away; postgres is away");
        health.set_back(Dependency::Postgres);
        assert_eq!(health.state().to_string(), "not ready: redis is away");
        health.set_back(Dependency::Redis);
        assert!(health.is_ready());
    }

    #[test]
    fn who_has_halted_stays_halted() {
        let health = Health::starting("");
        health.set_halted(format!("{} entries are lost", 7));
        health.set_ready();
        health.set_away(Dependency::Postgres, "postgres is away");
        assert_eq!(health.state().to_string(), "halted: 7 entries are lost");
    }
}
