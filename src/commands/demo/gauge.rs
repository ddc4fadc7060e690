//! What the parts of the demo tell each other: how far the fleet is, how far the tables are.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watchtower_model::Millis;

/// What is known of the run, shared by who appends, who shows and who waits.
#[derive(Debug)]
pub(super) struct Gauge {
    state: Mutex<State>,
    /// Nothing more is to be simulated.
    stop: AtomicBool,
    /// The daemon has ended.
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// What was appended and is not committed yet: the number of the last entry, its events, and when.
    under_way: VecDeque<(u64, u64, Instant)>,
    appended: u64,
    committed: u64,
    simulated: Millis,
    began: Instant,
    history: Option<History>,
    told: Vec<Told>,
    untold: u64,
}

/// A change of the past, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When it came.
    pub(super) at: Millis,
    /// What it did.
    pub(super) text: String,
}

/// What had happened before the demo began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct History {
    /// Events.
    pub(super) events: u64,
    /// How long it took until they were in the tables.
    pub(super) lasted: Duration,
}

/// The run at an instant.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Events appended so far.
    pub(super) appended: u64,
    /// Of those, how many the tables do not contain yet.
    pub(super) behind: u64,
    /// How long the oldest of them has been waiting.
    pub(super) lag: Duration,
    /// How far the fleet is.
    pub(super) simulated: Millis,
    /// What was history, once it is over.
    pub(super) history: Option<History>,
    /// Changes of the past.
    pub(super) told: Vec<Told>,
    /// Others that happened at the same time and were not looked at.
    pub(super) untold: u64,
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
            told: Vec::new(),
            untold: 0,
        };
        Self { state: Mutex::new(state), stop: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }

    /// Nothing more is to be simulated.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The daemon has ended: nothing more will be committed.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.stop();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// So many events more are in the log, up to the entry with this number.
    pub(super) fn appended(&self, position: u64, events: u64, simulated: Millis) {
        self.with(|state| {
            state.under_way.push_back((position, events, Instant::now()));
            state.appended += events;
            state.simulated = simulated;
        });
    }

    /// The tables contain the log up to the entry with this number. Returns how many events are still missing.
    pub(super) fn committed(&self, position: u64) -> u64 {
        self.with(|state| {
            while let Some((_, events, _)) = state.under_way.pop_front_if(|(last, ..)| *last <= position) {
                state.committed += events;
            }
            state.appended - state.committed
        })
    }

    /// History is over, and in the tables.
    pub(super) fn live(&self) {
        self.with(|state| {
            state.history = Some(History { events: state.committed, lasted: state.began.elapsed() });
        });
    }

    /// The past has changed.
    pub(super) fn tell(&self, told: Told) {
        self.with(|state| state.told.push(told));
    }

    /// The past has changed, and nobody looked how.
    pub(super) fn untold(&self) {
        self.with(|state| state.untold += 1);
    }

    pub(super) fn read(&self) -> Reading {
        self.with(|state| Reading {
            appended: state.appended,
            behind: state.appended - state.committed,
            lag: state.under_way.front().map_or(Duration::ZERO, |(.., since)| since.elapsed()),
            simulated: state.simulated,
            history: state.history,
            told: state.told.clone(),
            untold: state.untold,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("whoever held it did not panic"))
    }
}
