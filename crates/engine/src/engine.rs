//! Runs the dataflow: the only module that touches timely's `Worker`.
//!
//! Workers are threads that only step the dataflow; they never wait for I/O. They are parked while idle and woken when
//! an epoch is submitted. Both directions are unbounded channels: the caller bounds them by limiting
//! [`Engine::in_flight`].
//!
//! An epoch is complete when no worker can change it any more. Each worker then sends its share of the changes, and
//! [`Engine::next`] returns whole epochs in order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, Sender, TryRecvError};
use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;
use watchtower_dataflows::control::{Control, Epoch};
use watchtower_dataflows::timeline::{Stats, TimelineSnapshot};
use watchtower_dataflows::views::groups::GroupStats;
use watchtower_dataflows::views::{AGGREGATES, GroupSnapshot, Restored, Rows, Snapshots, States, Views, views};
use watchtower_model::{PositionEvent, Rules, computed_tables};

use watchtower_core::crash;
use watchtower_core::tables::Deltas;

/// Number of events after which an epoch ends, at the next end of an entry. The tables do not depend on it.
pub const EPOCH_EVENTS: usize = 8192;
/// Limit of epochs in the engine: enough to keep all workers busy, few enough to bound memory.
pub const MAX_IN_FLIGHT: u64 = 4;

/// The input of one epoch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Accepted position events; `seq` orders those of one vehicle.
    pub positions: Vec<PositionEvent>,
    /// Accepted edits, at most one `Now`, and possibly `Snapshot`.
    pub control: Vec<Control>,
    /// State to continue from; in the first epoch only, together with all edits and the time of their log.
    pub restored: Option<Snapshots>,
}

impl Batch {
    /// Whether the epoch has reached [`EPOCH_EVENTS`].
    pub fn is_full(&self) -> bool {
        self.positions.len() + self.control.len() >= EPOCH_EVENTS
    }
}

/// An epoch that no worker can change any more.
#[derive(Debug, Default)]
pub struct Completed {
    /// Its changes of the tables.
    pub deltas: Deltas,
    /// The state of the dataflow after it, if `Snapshot` requested it.
    pub snapshots: Snapshots,
}

/// Sizes and counters of all workers, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Counters of the timelines.
    pub timelines: Stats,
    /// Updates in differential's arrangements.
    pub arrangement_records: u64,
    /// Counters of the aggregates, in the order of [`AGGREGATES`].
    pub groups: [GroupStats; AGGREGATES.len()],
}

impl EngineStats {
    fn add(&mut self, other: &Self) {
        let Self { timelines, arrangement_records, groups } = other;
        let Stats { vehicles, retained_positions, rewinds, rewound_positions } = timelines;
        self.timelines.vehicles += vehicles;
        self.timelines.retained_positions += retained_positions;
        self.timelines.rewinds += rewinds;
        self.timelines.rewound_positions += rewound_positions;
        self.arrangement_records += arrangement_records;
        for (mine, theirs) in self.groups.iter_mut().zip(groups) {
            let GroupStats { groups, bytes, late_updates } = theirs;
            mine.groups += groups;
            mine.bytes += bytes;
            mine.late_updates += late_updates;
        }
    }
}

/// One worker's share of the input of an epoch.
struct Work {
    epoch: Epoch,
    positions: Vec<PositionEvent>,
    control: Vec<Control>,
    restored: Snapshots,
}
struct Share {
    epoch: Epoch,
    worker: usize,
    completed: Completed,
    stats: EngineStats,
}

/// A running dataflow.
pub struct Engine {
    workers: Vec<(Sender<Work>, Thread)>,
    shares: Receiver<Share>,
    /// Epochs that lack shares: the number of shares received, and their contents so far.
    incomplete: BTreeMap<Epoch, (usize, Completed)>,
    submitted: Epoch,
    completed: Epoch,
    /// By worker, as of its last share.
    stats: Vec<EngineStats>,
    /// Joined when dropped.
    guards: Option<timely::communication::WorkerGuards<()>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("submitted", &self.submitted)
            .field("completed", &self.completed)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts `workers` threads (at least one).
    pub fn start(workers: usize, rules: Rules) -> Self {
        let workers = workers.max(1);
        let (share_sender, shares) = crossbeam_channel::unbounded();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| crossbeam_channel::unbounded::<Work>()).unzip();
        let receivers: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(receivers.into_iter().map(Some).collect()));
        let mut config = timely::Config::process(workers);
        let merging = differential_dataflow::Config::default().idle_merge_effort(Some(1000));
        differential_dataflow::configure(&mut config.worker, &merging);
        let guards = timely::execute(config, move |worker| {
            let mut receivers = receivers.lock().expect("no worker panics while it takes its receiver");
            let work = receivers[worker.index()].take().expect("each worker starts once");
            drop(receivers);
            run(worker, rules.clone(), &work, &share_sender);
        })
        .expect("threads of one process need no network to start");
        let threads = workers;
        let workers = guards.guards().iter().map(|guard| guard.thread().clone());
        let workers = senders.into_iter().zip(workers).collect();
        let stats = vec![EngineStats::default(); threads];
        Self { workers, shares, incomplete: BTreeMap::new(), submitted: 0, completed: 0, stats, guards: Some(guards) }
    }

    /// Submits the input of the next epoch without waiting. Returns its number, counted from 0.
    ///
    /// # Panics
    /// If a worker has panicked.
    pub fn submit(&mut self, batch: Batch) -> Epoch {
        let epoch = self.submitted;
        self.submitted += 1;
        let Batch { mut positions, mut control, restored } = batch;
        control.extend(restored.is_some().then_some(Control::Restored));
        let mut restored = restored.unwrap_or_default();
        let share = positions.len().div_ceil(self.workers.len()).max(1);
        for (sender, thread) in &self.workers {
            let rest = positions.split_off(share.min(positions.len()));
            let positions = std::mem::replace(&mut positions, rest);
            // The first worker distributes the restored state to the workers that own it.
            let work = Work { epoch, positions, control: control.clone(), restored: std::mem::take(&mut restored) };
            sender.send(work).expect("a worker runs until the engine is finished; it must have panicked");
            thread.unpark();
        }
        epoch
    }

    /// Number of epochs submitted and not yet returned.
    pub fn in_flight(&self) -> u64 {
        self.submitted - self.completed
    }

    /// Statistics of all workers, as of the last complete epochs.
    pub fn stats(&self) -> EngineStats {
        let mut all = EngineStats::default();
        self.stats.iter().for_each(|stats| all.add(stats));
        all
    }

    /// Waits until the next epoch, in order, is complete. `None` if no epoch is in flight.
    ///
    /// # Panics
    /// If a worker has panicked.
    #[expect(clippy::should_implement_trait, reason = "it waits, and more may come after None")]
    pub fn next(&mut self) -> Option<(Epoch, Completed)> {
        if self.in_flight() == 0 {
            return None;
        }
        loop {
            if let Some(ready) = self.take_completed() {
                return Some(ready);
            }
            let share = self.shares.recv().expect("a worker runs until the engine is finished; it must have panicked");
            self.take_in(share);
        }
    }

    /// Waits until an epoch may be complete, `other` has a message, or `timeout` is over.
    ///
    /// # Errors
    /// If the sender of `other` is dropped and all its messages were received.
    ///
    /// # Panics
    /// If a worker has panicked.
    pub fn wait_or_receive<T>(&mut self, other: &Receiver<T>, timeout: Duration) -> Result<Option<T>, RecvError> {
        crossbeam_channel::select! {
            recv(self.shares) -> share => {
                self.take_in(share.expect("a worker runs until the engine is finished; it must have panicked"));
                Ok(None)
            }
            recv(other) -> message => message.map(Some),
            default(timeout) => Ok(None),
        }
    }

    /// The next epoch, if it is already complete.
    pub fn try_next(&mut self) -> Option<(Epoch, Completed)> {
        while let Ok(share) = self.shares.try_recv() {
            self.take_in(share);
        }
        self.take_completed()
    }

    /// Ends the workers and discards epochs in flight. Dropping the engine does the same, but does not report a panic
    /// of a worker.
    ///
    /// # Panics
    /// If a worker has panicked.
    pub fn finish(mut self) {
        self.stop();
        for result in self.guards.take().into_iter().flat_map(|guards| guards.join()) {
            if let Err(message) = result {
                panic!("a worker panicked: {message}");
            }
        }
    }

    /// Closes the channels and wakes the workers, which end when they find their channel closed.
    fn stop(&mut self) {
        for (sender, thread) in self.workers.drain(..) {
            drop(sender);
            thread.unpark();
        }
    }

    fn take_in(&mut self, Share { epoch, worker, completed: share, stats }: Share) {
        self.stats[worker] = stats;
        let (arrived, completed) = self.incomplete.entry(epoch).or_default();
        *arrived += 1;
        if *arrived == 1 {
            *completed = share;
            return;
        }
        completed.deltas.append(share.deltas);
        let Snapshots { timelines, groups } = share.snapshots;
        completed.snapshots.timelines.extend(timelines);
        completed.snapshots.groups.extend(groups);
    }

    fn take_completed(&mut self) -> Option<(Epoch, Completed)> {
        let first = self.incomplete.first_entry()?;
        if *first.key() != self.completed || first.get().0 < self.workers.len() {
            return None;
        }
        let (epoch, (_, completed)) = first.remove_entry();
        self.completed += 1;
        Some((epoch, completed))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The main loop of one worker.
fn run(worker: &mut Worker, rules: Rules, work: &Receiver<Work>, shares: &Sender<Share>) {
    let mut positions = Input::<PositionEvent>::new();
    let mut control = Input::<Control>::new();
    let mut timelines = Input::<TimelineSnapshot>::new();
    let mut groups = Input::<GroupSnapshot>::new();
    let probe = ProbeHandle::new();
    let found = Rc::new(RefCell::new(BTreeMap::<Epoch, Completed>::new()));
    let arranged = count_arranged(worker);
    let reported_stats = worker.dataflow::<Epoch, _, _>(|scope| {
        let positions = positions.to_stream(scope);
        let control = control.to_stream(scope);
        let restored = Restored { timelines: timelines.to_stream(scope), groups: groups.to_stream(scope) };
        collect(views(scope, positions, control, restored, rules), &found, &probe)
    });
    let index = worker.index();
    let mut reported: Epoch = 0;
    let mut report = |until: &dyn Fn(Epoch) -> bool| {
        while until(reported) {
            let completed = found.borrow_mut().remove(&reported).unwrap_or_default();
            let stats = EngineStats {
                timelines: reported_stats.timelines.get(),
                arrangement_records: arranged.get(),
                groups: reported_stats.groups.each_ref().map(|groups| groups.get()),
            };
            // The send fails only while the engine is finished, when no share is needed.
            let _ = shares.send(Share { epoch: reported, worker: index, completed, stats });
            reported += 1;
        }
    };
    loop {
        match work.try_recv() {
            Ok(Work { epoch, positions: mut events, control: mut said, mut restored }) => {
                positions.send_batch(&mut events);
                control.send_batch(&mut said);
                timelines.send_batch(&mut restored.timelines);
                groups.send_batch(&mut restored.groups);
                positions.advance_to(epoch + 1);
                control.advance_to(epoch + 1);
                timelines.advance_to(epoch + 1);
                groups.advance_to(epoch + 1);
                worker.step();
            }
            Err(TryRecvError::Empty) => {
                worker.step_or_park(None);
            }
            Err(TryRecvError::Disconnected) => break,
        }
        report(&|epoch| !probe.less_equal(&epoch));
    }
    // Dropping the inputs lets the dataflow complete; `execute` steps it to its end.
}

type Input<D> = InputHandle<Epoch, CapacityContainerBuilder<Vec<D>>>;

/// Counts the updates that a worker's arrangements hold, from their log events: a new batch adds its updates, a merge
/// replaces those of two batches by fewer, a dropped batch subtracts its own.
fn count_arranged(worker: &Worker) -> Rc<Cell<u64>> {
    let records = Rc::new(Cell::new(0));
    let counted = Rc::clone(&records);
    if let Some(mut register) = worker.log_register() {
        register.insert::<DifferentialEventBuilder, _>("differential/arrange", move |_, events| {
            for (_, event) in events.iter().flatten() {
                let (more, fewer) = match event {
                    DifferentialEvent::Batch(batch) => (batch.length, 0),
                    DifferentialEvent::Merge(merge) => match merge.complete {
                        Some(left) => (left, merge.length1 + merge.length2),
                        None => (0, 0),
                    },
                    DifferentialEvent::Drop(dropped) => (0, dropped.length),
                    DifferentialEvent::MergeShortfall(_)
                    | DifferentialEvent::TraceShare(_)
                    | DifferentialEvent::Batcher(_) => (0, 0),
                };
                counted.set((counted.get() + more as u64).saturating_sub(fewer as u64));
            }
        });
    }
    records
}

/// Counters that the operators of a worker update.
struct OperatorStats {
    timelines: Rc<Cell<Stats>>,
    groups: [Rc<Cell<GroupStats>>; AGGREGATES.len()],
}

macro_rules! collect {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// Routes the output of every view to its field of [`Completed`].
        fn collect(
            views: Views<'_>,
            found: &Rc<RefCell<BTreeMap<Epoch, Completed>>>,
            probe: &ProbeHandle<Epoch>,
        ) -> OperatorStats {
            let Views { $($name,)* vehicle_state, timelines, groups, stats, group_stats } = views;
            $(gather($name, found, probe, |completed| &mut completed.deltas.$name);)*
            gather_states(vehicle_state, found, probe);
            gather_each(timelines, found, probe, |completed| &mut completed.snapshots.timelines, |(row, _)| row);
            gather_each(groups, found, probe, |completed| &mut completed.snapshots.groups, |(row, _)| row);
            OperatorStats { timelines: stats, groups: group_stats }
        }
    };
}

computed_tables!(collect);

fn gather<D: Clone + 'static>(
    rows: Rows<'_, D>,
    found: &Rc<RefCell<BTreeMap<Epoch, Completed>>>,
    probe: &ProbeHandle<Epoch>,
    place: impl Fn(&mut Completed) -> &mut Vec<(D, i64)> + 'static,
) {
    gather_each(rows, found, probe, place, |row| row);
}

fn gather_each<D: Clone + 'static, K>(
    rows: Rows<'_, D>,
    found: &Rc<RefCell<BTreeMap<Epoch, Completed>>>,
    probe: &ProbeHandle<Epoch>,
    place: impl Fn(&mut Completed) -> &mut Vec<K> + 'static,
    kept: impl Fn((D, i64)) -> K + 'static,
) {
    let found = Rc::clone(found);
    rows.inner
        .unary(Pipeline, "Gather", move |_, _| {
            let mut usual = 0;
            // Nothing is ever sent: the output exists only to be probed.
            move |input, _output: &mut OutputBuilderSession<'_, Epoch, CapacityContainerBuilder<Vec<()>>>| {
                input.for_each(|_, batch| {
                    crash::point("in-operator");
                    let mut found = found.borrow_mut();
                    let mut rows = batch.drain(..).peekable();
                    while let Some(&(_, epoch, _)) = rows.peek() {
                        let gathered = place(found.entry(epoch).or_default());
                        if gathered.is_empty() {
                            gathered.reserve(usual); // as many as in the last epoch, to avoid reallocation
                        }
                        while let Some((row, _, diff)) = rows.next_if(|(_, at, _)| *at == epoch) {
                            gathered.push(kept((row, diff)));
                        }
                        usual = gathered.len();
                    }
                });
            }
        })
        .probe_with(probe);
}

fn gather_states(states: States<'_>, found: &Rc<RefCell<BTreeMap<Epoch, Completed>>>, probe: &ProbeHandle<Epoch>) {
    let found = Rc::clone(found);
    states
        .unary(Pipeline, "Gather", move |_, _| {
            let mut usual = 0;
            move |input, _output: &mut OutputBuilderSession<'_, Epoch, CapacityContainerBuilder<Vec<()>>>| {
                input.for_each_stamp(|at, batches| {
                    let Some(&epoch) = at.least() else { return };
                    let mut found = found.borrow_mut();
                    let states = &mut found.entry(epoch).or_default().deltas.vehicle_state;
                    if states.is_empty() {
                        states.reserve(usual);
                    }
                    batches.for_each(|batch| states.append(batch));
                    usual = states.len();
                });
            }
        })
        .probe_with(probe);
}
