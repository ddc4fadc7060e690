//! From entries of streams to what is to be committed, in the order of the log.
//!
//! [`Flow`] decodes and admits entries, cuts them into epochs, runs the engine, and joins what an epoch
//! changed with what only passes through: archived positions, refused events, cursors. It does no I/O and
//! knows no clock but the log's, so that the same entries always come to the same commits' worth of rows.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError};
use rustc_hash::FxBuildHasher;
use watchtower_dataflows::control::Control;
use watchtower_model::{BEGINNING, Millis, Rules, VehicleId, VehicleState};

use crate::checkpoint::{Checkpoint, FlowState, InletState};
use crate::engine::{self, Batch, Completed, Engine, EngineStats};
use crate::entry_admission::EntryAdmission;
pub use crate::inlet::Counts;
use crate::inlet::{Inlet, OpenEpoch};
use crate::item::Item;
use watchtower_core::admission::{Admission, Stream, reach_ms, retention_ms};
use watchtower_core::events::{Decoded, Event, Fix, Limits, PositionReport, decode_entry, json, stream_of};
use watchtower_core::outbox::AlertChanges;
use watchtower_core::tables::{self, ChangeSet, Deltas, Lookup, Refused, vehicle_state};
use watchtower_core::{Archived, Commit, Cursor, EntryId, StreamPosition};

/// What a flow is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The keys of the event streams in order, then that of the control stream.
    pub keys: Vec<String>,
    /// What is accepted.
    pub limits: Limits,
    /// What the tables mean.
    pub rules: Rules,
    /// Number of worker threads of the dataflow, at least 1.
    pub workers: usize,
    /// Whether accepted positions are kept for the archive.
    pub archive: bool,
    /// How long refused events are kept. Milliseconds.
    pub rejected_keep_ms: Millis,
}

impl Settings {
    /// What the stream of the key with this index holds.
    fn stream(&self, index: usize) -> Stream {
        let streams = (self.keys.len() - 1) as u16;
        match index as u16 {
            index if index < streams => Stream::Positions { index, streams },
            _ => Stream::Control,
        }
    }
}

/// An entry that ends the flow: a later program wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {id} of {stream}: {fault}")]
pub struct Unreadable {
    stream: String,
    id: String,
    fault: String,
}

/// An epoch's worth of commit, and since when its events have been in Redis.
#[derive(Debug)]
pub struct ClosedEpoch<H> {
    /// What is to be written.
    pub commit: Commit,
    /// The instant in the id of its first entry, if it has any.
    pub oldest_entry: Option<Millis>,
    /// What came in it.
    pub counts: Counts,
    /// Rows of lagging tables that have changed since the last time, as of this epoch.
    pub state: Option<State>,
    /// What it takes to go on from this epoch, if that was asked for.
    pub checkpoint: Option<Checkpoint>,
    /// The bytes of the reply that it was read from.
    pub held: Option<H>,
}

/// Rows of lagging tables.
#[derive(Debug)]
pub struct State {
    /// Of `vehicle_state`, each vehicle's once.
    pub rows: Vec<vehicle_state::Named>,
    /// They are all there are.
    pub complete: bool,
}

/// Everything between the log and the committer. `H` is held from the arrival of an entry until its epoch is handed
/// out: a permit for its bytes, or nothing.
#[derive(Debug)]
pub struct Flow<H> {
    settings: Settings,
    engine: Engine,
    lookup: Lookup,
    inlets: Vec<Inlet>,
    batch: Batch,
    open: OpenEpoch<H>,
    under_way: VecDeque<OpenEpoch<H>>,
    /// All accepted edits, in the order of the log.
    edits: Vec<Control>,
    now: Millis,
    /// The greatest instant that an event of [`Self::push`] named.
    pushed_until: Millis,
    /// While what the tables already contain is read again: nothing is to be written.
    muted: bool,
    /// The rows of `vehicle_state` that changed since [`Self::take_state`].
    states: HashMap<VehicleId, Option<VehicleState>, FxBuildHasher>,
    states_complete: bool,
}

impl<H: Clone> Flow<H> {
    /// Before the first entry; of each stream, `skipped` entries were gone by then. A muted flow only
    /// learns, until [`Self::unmute`].
    pub fn start(settings: Settings, skipped: &[u64], muted: bool) -> Self {
        let inlet = |((i, key), &skipped): ((usize, &String), &u64)| Inlet {
            stream: key.clone(),
            admission: Admission::new(settings.stream(i), settings.limits.clone()),
            position: StreamPosition::start(skipped),
            rebased_after: EntryId::ZERO,
            refused: Refused::default(),
        };
        let inlets = settings.keys.iter().enumerate().zip(skipped).map(inlet).collect();
        Self::with(settings, inlets, muted)
    }

    /// After the epoch of a checkpoint; muted, for the tables may contain more.
    pub fn resume(settings: Settings, checkpoint: Checkpoint) -> Self {
        let Checkpoint { flow, snapshots } = checkpoint;
        let FlowState { vehicles, geofences, rules, edits, now, inlets } = flow;
        let inlet = |(i, state): (usize, InletState)| {
            let InletState { stream, position, admission, refused } = state;
            let admission = Admission::resume(settings.stream(i), settings.limits.clone(), admission);
            Inlet { stream, admission, position, rebased_after: EntryId::ZERO, refused }
        };
        let inlets = inlets.into_iter().enumerate().map(inlet).collect();
        let mut flow = Self::with(settings, inlets, true);
        for id in &vehicles {
            flow.lookup.names.intern_vehicle(id);
        }
        for id in &geofences {
            flow.lookup.names.intern_geofence(id);
        }
        for id in &rules {
            flow.lookup.names.intern_rule(id);
        }
        for edit in &edits {
            match edit {
                Control::Geofence(edit) => flow.lookup.remember_geofence(edit),
                Control::Vehicle(edit) => flow.lookup.remember_vehicle(edit),
                Control::Rule(edit) => flow.lookup.remember_rule(edit),
                Control::Now(_) | Control::Snapshot | Control::Restored => {}
            }
        }
        let control = edits.iter().cloned().chain([Control::Now(now)]).collect();
        flow.engine.submit(Batch { positions: Vec::new(), control, restored: Some(snapshots) });
        flow.under_way.push_back(OpenEpoch::new());
        (flow.edits, flow.now) = (edits, now);
        flow
    }

    /// A flow without streams: its events are admitted by its caller and come by [`Self::push`], and what epochs change is
    /// taken by [`Self::next_deltas`]. It has no names, archive, cursors or checkpoints.
    pub fn without_streams(workers: usize, rules: Rules) -> Self {
        let (keys, limits) = (Vec::new(), Limits::for_replay());
        let settings = Settings { keys, limits, rules: rules.clone(), workers, archive: false, rejected_keep_ms: 0 };
        Self::of(settings, Vec::new(), false, rules)
    }

    fn with(settings: Settings, inlets: Vec<Inlet>, muted: bool) -> Self {
        let (retention_ms, horizon_ms) = (retention_ms(&settings.limits), Some(reach_ms(&settings.limits)));
        let rules = Rules { retention_ms, horizon_ms, ..settings.rules.clone() };
        Self::of(settings, inlets, muted, rules)
    }

    fn of(settings: Settings, inlets: Vec<Inlet>, muted: bool, rules: Rules) -> Self {
        Self {
            engine: Engine::start(settings.workers, rules),
            lookup: Lookup::default(),
            inlets,
            batch: Batch::default(),
            open: OpenEpoch::new(),
            under_way: VecDeque::new(),
            edits: Vec::new(),
            now: BEGINNING,
            pushed_until: BEGINNING,
            muted,
            states: HashMap::default(),
            states_complete: muted,
            settings,
        }
    }

    /// Takes in the next entry of a stream. Returns whether the epoch is full.
    ///
    /// # Errors
    /// If a later program wrote it.
    pub fn take(&mut self, stream: usize, id: EntryId, fields: &[(&[u8], &[u8])]) -> Result<bool, Unreadable> {
        let inlet = &mut self.inlets[stream];
        inlet.position = inlet.position.after(id);
        let limits = self.settings.limits.clone();
        let mut admission = self.admit_entry(stream, id, fields);
        decode_entry(fields, &limits, |decoded| admission.event(decoded)).map_err(|fault| Unreadable {
            stream: self.inlets[stream].stream.clone(),
            id: id.to_string(),
            fault: fault.to_string(),
        })?;
        Ok(self.batch.is_full())
    }

    fn admit_entry<'a>(
        &'a mut self,
        stream: usize,
        id: EntryId,
        fields: &'a [(&'a [u8], &'a [u8])],
    ) -> EntryAdmission<'a, H> {
        self.open.counts.events.resize(self.inlets.len(), 0);
        let oldest = self.open.oldest_entry.map_or(id.instant(), |oldest| oldest.min(id.instant()));
        self.open.oldest_entry = Some(oldest);
        EntryAdmission {
            inlet: &mut self.inlets[stream],
            lookup: &mut self.lookup,
            batch: &mut self.batch,
            open: &mut self.open,
            rules: &self.settings.rules,
            archive: self.settings.archive && !self.muted,
            muted: self.muted,
            stream,
            id,
            fields,
        }
    }

    /// Adds an event that its caller has admitted. Returns whether the epoch is full.
    pub fn push(&mut self, item: Item) -> bool {
        self.pushed_until = self.pushed_until.max(item.instant().unwrap_or(BEGINNING));
        match item {
            Item::Position(event) => self.batch.positions.push(event),
            Item::Control(control) => self.batch.control.push(control),
            Item::Clock(_) => {}
        }
        self.batch.is_full()
    }

    /// Hands the epoch of pushed events to the engine, even if there are none.
    pub fn close_pushed(&mut self) {
        self.submit(false);
    }

    /// What the next complete epoch changed, if one is complete: for a caller that keeps whole tables, for which rows
    /// and cursors need not be made. With `wait`, waits for it; then `None` means that no epoch is under way.
    pub fn next_deltas(&mut self, wait: bool) -> Option<Deltas> {
        let (_, completed) = if wait { self.engine.next()? } else { self.engine.try_next()? };
        self.under_way.pop_front().expect("an epoch completes after it was submitted");
        Some(completed.deltas)
    }

    /// Ends the engine and discards epochs in flight.
    ///
    /// # Panics
    /// If a worker has panicked.
    pub fn end(self) {
        self.engine.finish();
    }

    /// Takes in an archived event again. Edits come first; then positions, with which the log's time goes on,
    /// up to `until`. Returns whether the epoch is full.
    pub fn take_archived(&mut self, archived: &Archived, until: Millis) -> bool {
        let streams = (self.inlets.len() - 1) as u16;
        let (stream, entry, index, received_at, event) = match archived {
            Archived::Position(row) => {
                let stream = usize::from(stream_of(&row.vehicle_id, streams));
                let fix = row.measured.clone().map_or(Fix::Withdrawn, Fix::At);
                let (vehicle_id, received_at) = (Cow::Borrowed(&*row.vehicle_id), Some(row.received_at));
                let report = PositionReport { vehicle_id, ts: row.ts, received_at, fix };
                let now = row.ts.min(until);
                self.inlets.iter_mut().for_each(|inlet| inlet.admission.set_now(now));
                (stream, row.entry, row.entry_index, row.received_at, Ok(Event::Position(report)))
            }
            Archived::Edit(row) => {
                let event = json::decode(row.event.as_bytes(), &self.settings.limits);
                (usize::from(streams), row.entry, row.entry_index, row.received_at, event)
            }
        };
        self.inlets[stream].position.entries = entry;
        let id = EntryId { ms: received_at.unsigned_abs(), seq: entry };
        self.admit_entry(stream, id, &[]).event(Decoded {
            index: index as usize,
            bytes: Cow::default(),
            whole: None,
            result: event,
        });
        self.batch.is_full()
    }

    /// What was taken in from the archive is all that the log held up to these cursors.
    pub fn adopt(&mut self, cursors: &[Cursor]) {
        for inlet in &mut self.inlets {
            let Some(cursor) = cursors.iter().find(|cursor| cursor.stream == inlet.stream) else { continue };
            inlet.set_cursor(cursor);
            inlet.admission.set_now(cursor.now);
        }
        self.open.oldest_entry.get_or_insert(self.now);
        self.open.counts.events.resize(self.inlets.len(), 0);
        self.submit(false);
    }

    /// Hands the epoch to the engine, if anything was read; it was part of what is `held`. Returns whether there
    /// was one.
    pub fn close_epoch(&mut self, held: Option<&H>) -> bool {
        if self.open.oldest_entry.is_none() {
            return false;
        }
        self.open.held = held.cloned();
        self.submit(false);
        true
    }

    /// Asks for what it takes to go on from here, in an epoch of its own that changes nothing.
    pub fn close_with_checkpoint(&mut self) {
        self.submit(true);
    }

    fn submit(&mut self, with_checkpoint: bool) {
        let mut open = std::mem::replace(&mut self.open, OpenEpoch::new());
        for inlet in &mut self.inlets {
            inlet.admission.begin_epoch();
        }
        let mut batch = std::mem::take(&mut self.batch);
        for (seq, event) in (0..).zip(&mut batch.positions) {
            event.seq = seq; // each stream counts for itself
        }
        let now = self.inlets.iter().map(|inlet| inlet.admission.now()).min().unwrap_or(self.pushed_until);
        if now > self.now {
            self.now = now;
            batch.control.push(Control::Now(now));
        }
        let commit = &mut open.commit;
        commit.now = self.now;
        // Those of streams that nothing was read of yet, too: what is lost from now on will be missed.
        commit.cursors = self.inlets.iter().map(Inlet::cursor).collect();
        let keep_ms = self.settings.rejected_keep_ms;
        commit.expired = self.inlets.iter_mut().filter_map(|inlet| inlet.expired(keep_ms)).collect();
        let edits = batch.control.iter().filter(|control| !matches!(control, Control::Now(_)));
        self.edits.extend(edits.cloned());
        if with_checkpoint {
            batch.control.push(Control::Snapshot);
            open.checkpoint = Some(self.state());
        }
        self.under_way.push_back(open);
        self.engine.submit(batch);
    }

    /// What the flow knows, but for the timelines.
    fn state(&self) -> FlowState {
        let inlet = |inlet: &Inlet| InletState {
            stream: inlet.stream.clone(),
            position: inlet.position,
            admission: inlet.admission.memory(),
            refused: inlet.refused.clone(),
        };
        FlowState {
            vehicles: self.lookup.names.vehicle_ids().to_vec(),
            geofences: self.lookup.names.geofence_ids().to_vec(),
            rules: self.lookup.names.rule_ids().to_vec(),
            edits: self.edits.clone(),
            now: self.now,
            inlets: self.inlets.iter().map(inlet).collect(),
        }
    }

    /// Forgets the epoch that is being filled: it ended amid an entry that cannot be read. Whoever reads on
    /// reads it again.
    pub fn discard_epoch(&mut self) {
        (self.batch, self.open) = (Batch::default(), OpenEpoch::new());
    }

    /// Whether the engine has as much as it should.
    pub fn is_full(&self) -> bool {
        self.engine.in_flight() >= engine::MAX_IN_FLIGHT
    }

    /// Epochs in the engine.
    pub fn in_flight(&self) -> u64 {
        self.engine.in_flight()
    }

    /// What the engine holds, and how often it went back.
    pub fn stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// The log's time so far.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The next epoch that is complete, if one is. A muted flow keeps it to itself.
    pub fn completed(&mut self) -> Option<ClosedEpoch<H>> {
        while let Some((_, completed)) = self.engine.try_next() {
            if let Some(closed) = self.finish(completed) {
                return Some(closed);
            }
        }
        None
    }

    /// Waits for the next epoch. `None` if there is none under way, or the flow is muted.
    pub fn wait(&mut self) -> Option<ClosedEpoch<H>> {
        while let Some((_, completed)) = self.engine.next() {
            if let Some(closed) = self.finish(completed) {
                return Some(closed);
            }
        }
        None
    }

    /// Waits until an epoch may be complete, `other` has a message, or `timeout` is over.
    ///
    /// # Errors
    /// If nothing more can come from `other`.
    pub fn wait_or_receive<T>(&mut self, other: &Receiver<T>, timeout: Duration) -> Result<Option<T>, RecvError> {
        self.engine.wait_or_receive(other, timeout)
    }

    /// Whether what the tables contain is still being read.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// What was read so far is what the tables contain: from now on changes are to be written. The cursors
    /// are theirs: entries that were given up count as read, and another stream may have taken the place of
    /// the one that was read.
    pub fn unmute(&mut self, cursors: &[Cursor]) {
        self.close_epoch(None);
        while let Some((_, completed)) = self.engine.next() {
            self.finish(completed);
        }
        for (inlet, cursor) in self.inlets.iter_mut().zip(cursors) {
            inlet.set_cursor(cursor);
        }
        self.muted = false;
    }

    /// What changed in lagging tables, as of the last epoch that was handed out.
    pub fn take_state(&mut self) -> State {
        let mut states: Vec<_> = self.states.drain().collect();
        // As they came to the log first, and to the table: rows side by side are written together.
        states.sort_unstable_by_key(|(vehicle, _)| *vehicle);
        let named = |(vehicle, state)| vehicle_state::Named::new(vehicle, state, &self.lookup);
        State { rows: states.into_iter().map(named).collect(), complete: std::mem::take(&mut self.states_complete) }
    }

    fn finish(&mut self, completed: Completed) -> Option<ClosedEpoch<H>> {
        let Completed { mut deltas, snapshots } = completed;
        let OpenEpoch { mut commit, oldest_entry, counts, checkpoint, held } =
            self.under_way.pop_front().expect("an epoch completes after it was submitted");
        self.states.extend(std::mem::take(&mut deltas.vehicle_state));
        if self.muted {
            return None;
        }
        commit.alerts = AlertChanges::of_epoch(&deltas.alerts, &self.lookup);
        commit.changes.then(ChangeSet::of_epoch(tables::transactional_changes(&deltas, &self.lookup)));
        let checkpoint = checkpoint.map(|flow| Checkpoint { flow, snapshots });
        Some(ClosedEpoch { commit, oldest_entry, counts, state: None, checkpoint, held })
    }
}
