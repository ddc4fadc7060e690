//! Progress shared by the threads of the demo: of the fleet, and of the tables.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watchtower_model::Millis;

/// Progress of a run, shared by the producer, the screen and the daemon's thread.
#[derive(Debug)]
pub(super) struct Gauge {
    state: Mutex<State>,
    /// Set when the simulation should stop.
    stop: AtomicBool,
    /// Set when the daemon has ended.
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Entries not committed yet: number of the last entry of an append, its events, and the instant of the append.
    under_way: VecDeque<(u64, u64, Instant)>,
    appended: u64,
    committed: u64,
    simulated: Millis,
    began: Instant,
    history: Option<History>,
    changes: Vec<Change>,
    unmeasured: u64,
}

/// A reported change of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Simulated time of the change.
    pub(super) at: Millis,
    /// Description of its effect.
    pub(super) text: String,
}

/// Size and duration of history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct History {
    /// Number of events in it.
    pub(super) events: u64,
    /// Time from the start until it was committed.
    pub(super) lasted: Duration,
}

/// Progress at an instant.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Events appended so far.
    pub(super) appended: u64,
    /// Events appended but not committed.
    pub(super) behind: u64,
    /// Time since the append of the oldest event that is not committed.
    pub(super) lag: Duration,
    /// Simulated time of the fleet.
    pub(super) simulated: Millis,
    /// Set once history is committed.
    pub(super) history: Option<History>,
    /// Reported changes of the past.
    pub(super) changes: Vec<Change>,
    /// Number of changes whose effect was not measured.
    pub(super) unmeasured: u64,
}

impl Gauge {
    pub(super) fn new(begins: Millis) -> Self {
        let state = State {
            under_way: VecDeque::new(),
            appended: 0,
            committed: 0,
            simulated: begins,
            began: Instant::now(),
            history: None,
            changes: Vec::new(),
            unmeasured: 0,
        };
        Self { state: Mutex::new(state), stop: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }

    /// Asks the simulation to stop.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Records that the daemon has ended, and commits nothing more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.stop();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Records an append: its events, and the number of its last entry.
    pub(super) fn appended(&self, position: u64, events: u64, simulated: Millis) {
        self.with(|state| {
            state.under_way.push_back((position, events, Instant::now()));
            state.appended += events;
            state.simulated = simulated;
        });
    }

    /// Records that the tables contain the log up to this entry. Returns the number of events not committed.
    pub(super) fn committed(&self, position: u64) -> u64 {
        self.with(|state| {
            while let Some((_, events, _)) = state.under_way.pop_front_if(|(last, ..)| *last <= position) {
                state.committed += events;
            }
            state.appended - state.committed
        })
    }

    /// Records that history is over and committed.
    pub(super) fn live(&self) {
        self.with(|state| {
            state.history = Some(History { events: state.committed, lasted: state.began.elapsed() });
        });
    }

    /// Records a change of the past.
    pub(super) fn record_change(&self, change: Change) {
        self.with(|state| state.changes.push(change));
    }

    /// Counts a change of the past whose effect was not measured.
    pub(super) fn count_unmeasured(&self) {
        self.with(|state| state.unmeasured += 1);
    }

    pub(super) fn read(&self) -> Reading {
        self.with(|state| Reading {
            appended: state.appended,
            behind: state.appended - state.committed,
            lag: state.under_way.front().map_or(Duration::ZERO, |(.., since)| since.elapsed()),
            simulated: state.simulated,
            history: state.history,
            changes: state.changes.clone(),
            unmeasured: state.unmeasured,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("no thread panics while it holds the lock"))
    }
}
