//! The groups of an aggregate on one worker, without the dataflow around them.
//!
//! A group is what its facts add up to: a function of their multiset, made of integers, so that a
//! retraction undoes an assertion whatever came between. Of each group there is only that state; the
//! row it stands for is worked out from it before and after an epoch, and never kept.
//!
//! **Sealing.** A group has an end: the first instant after its day or hour. No position older than
//! `horizon` is accepted, and no edit that reaches further back than `lateness`; what such an event
//! changes lies behind it, but for a little before: a visit may cease to be confirmed (`min_dwell_s`), an
//! idling or a stop to last long enough, the position before may turn out to be an outlier (half the
//! earth's circumference at `max_plausible`), a silence to be none (`offline_after`). With that as slack
//! ([`reach_ms`], and the greatest `min_dwell_s` of any geofence so far), nothing accepted touches a group whose end is
//! more than `horizon` + slack ago. It leaves memory; its row stands for ever.
//!
//! Days may change however long ago they were where what decides has not come yet: behind the last positions of a vehicle
//! that is silent, which may still become a stop or outliers, or be corrected; and where it moved with its ignition
//! off, which counts once it is far enough. The timelines emit these days ([`Pin`]), and their groups stay, and may even
//! be made, until that is withdrawn. Where it was during a silence matters later only where a geofence changes meanwhile.
//!
//! Facts whose changes cancel in a group that has left (a visit of three weeks ends: its entry is taken
//! away and put back) are no concern of it. Others would be an error: they are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::{FxBuildHasher, FxHasher};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::timeline::AHEAD;
use crate::views::GroupSnapshot;
use crate::views::pins::Pins;
use watchtower_model::facts::Pin;
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{BEGINNING, GeofenceId, Millis, OUTLIER_RUN, OUTLIER_RUN_MS, Rules, STOP_RETURN_MS, VehicleId};

/// No two places on earth are farther apart, millimetres.
const FARTHEST_MM: i64 = 20_004_000_000;

/// Positions, each less than an offline from the next, back to the first one whose mark a position decides; and one.
const LEGS: i64 = 2 * OUTLIER_RUN as i64 + 2;

/// How much longer groups stay where a vehicle may be silent for so long.
pub fn silence_reach_ms(offline_after_ms: i64) -> i64 {
    LEGS.saturating_mul(offline_after_ms)
}

/// How far behind an accepted event facts may change, but for what the rules do not say: a visit confirmed
/// after its geofence's `min_dwell_s`, and an event or a clock from the future. Milliseconds.
pub fn reach_ms(rules: &Rules) -> i64 {
    let Rules { offline_after_ms, stop_min_ms, idle_min_ms, overspeed_min_ms, retention_ms, max_plausible, .. } = rules;
    let legs_ms = LEGS.saturating_mul(*offline_after_ms);
    let outlier_ms = max_plausible
        .micro_kmh()
        .and_then(|micro_kmh| (FARTHEST_MM * 3_600_000).checked_div(i64::from(micro_kmh)))
        .unwrap_or(i64::MAX);
    [
        legs_ms,
        OUTLIER_RUN_MS,
        STOP_RETURN_MS,
        *stop_min_ms,
        *idle_min_ms,
        *overspeed_min_ms,
        retention_ms.unwrap_or(0),
        outlier_ms,
    ]
    .into_iter()
    .fold(0, i64::saturating_add)
}

/// Data that can be sent to another worker.
pub trait Sent: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static> Sent for T {}

/// Key that the facts of a group share.
pub trait Key: Sent + Ord + Hash {
    /// A number that decides which worker has the group.
    fn route(&self) -> u64;

    /// The first instant after the group's day or hour.
    fn end(&self, local_time: &LocalTime) -> Millis;
}

/// A number of a text, for [`Key::route`].
pub fn route_of(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// State of a group: a function of the multiset of its facts.
pub trait Group: Sent + Default {
    /// Key that the group's facts share.
    type Key: Key;
    /// Contribution of a fact.
    type Value: Sent + Ord;
    /// Row of the table, without its key.
    type Row: Clone + PartialEq + Debug + 'static;

    /// The vehicle whose facts alone are in a group; `None` if groups are not each of one vehicle.
    const VEHICLE: Option<fn(&Self::Key) -> VehicleId> = None;

    /// The geofence whose visits alone are in a group; `None` if groups are not each of one geofence.
    const GEOFENCE: Option<fn(&Self::Key) -> GeofenceId> = None;

    /// Adds `diff` times a value, or takes it away. Within an epoch there may be less than nothing of it.
    fn update(&mut self, value: &Self::Value, diff: i64);

    /// Called once after the updates of an epoch.
    fn settle(&mut self) {}

    /// The row of the table; `None` if the group has none.
    fn row(&self, key: &Self::Key) -> Option<Self::Row>;

    /// Whether nothing has been added that was not taken away.
    fn is_empty(&self) -> bool;

    /// Allocated bytes besides the value itself, approximately.
    fn heap_bytes(&self) -> usize;

    /// Something of all that is looked at when it changes.
    fn peek(&self) -> i64 {
        0
    }

    /// The group as a checkpoint stores it.
    fn snapshot(key: Self::Key, group: Arc<Self>) -> GroupSnapshot;

    /// The group of a checkpoint; `None` if it is of another kind.
    fn restored(snapshot: GroupSnapshot) -> Option<(Self::Key, Arc<Self>)>;
}

/// A fact and its group.
pub type Fact<G> = (<G as Group>::Key, <G as Group>::Value);

/// About the groups of one aggregate on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Groups in memory.
    pub groups: u64,
    /// Their memory in bytes, approximately.
    pub bytes: u64,
    /// Changes to groups that had left memory, since ever. There should be none: the rows they should
    /// have changed are wrong.
    pub late_updates: u64,
}

/// The groups of one aggregate on one worker.
#[derive(Debug)]
pub struct Groups<G: Group> {
    local_time: Arc<LocalTime>,
    sealed_after_ms: Option<i64>,
    /// The longest dwell of any geofence: a trip ends with a visit that may be confirmed so much later.
    dwell_ms: i64,
    /// How far marks reach because of vehicles with an `offline_after` of their own.
    silence_ms: i64,
    /// Groups by their numbers; `None` where one has left memory.
    groups: Vec<Option<Held<G>>>,
    numbers: HashMap<G::Key, u32, FxBuildHasher>,
    /// Numbers that no group has.
    free: Vec<u32>,
    /// Unsealed groups, by their end.
    ends: BTreeSet<(Millis, G::Key)>,
    pins: Pins,
    /// When versions of which geofences begin or end.
    edits: BTreeSet<(Millis, GeofenceId)>,
    /// The groups that would have been sealed but for a pin, by their end.
    pinned: BTreeMap<Millis, BTreeSet<G::Key>>,
    now: Millis,
    heap_bytes: usize,
    late_updates: u64,
}

#[derive(Debug)]
struct Held<G: Group> {
    key: G::Key,
    /// Shared with the snapshots that were taken of it: it is copied when it changes after one.
    group: Arc<G>,
    /// Whether something has happened to it in this epoch.
    touched: bool,
}

impl<G: Group> Groups<G> {
    /// None yet. A group leaves memory `sealed_after_ms` after its end, if ever.
    pub fn new(local_time: Arc<LocalTime>, sealed_after_ms: Option<i64>) -> Self {
        Self {
            local_time,
            sealed_after_ms,
            dwell_ms: 0,
            silence_ms: 0,
            groups: Vec::new(),
            numbers: HashMap::default(),
            free: Vec::new(),
            ends: BTreeSet::new(),
            pins: Pins::default(),
            edits: BTreeSet::new(),
            pinned: BTreeMap::new(),
            now: BEGINNING,
            heap_bytes: 0,
            late_updates: 0,
        }
    }

    /// Versions of geofences begin, or end, at these instants.
    pub fn edit(&mut self, edits: impl IntoIterator<Item = (Millis, GeofenceId)>) {
        if self.sealed_after_ms.is_some() {
            self.edits.extend(edits.into_iter().filter(|&(t, _)| t != BEGINNING));
        }
    }

    /// A geofence asks for such a dwell, or vehicles may be silent for so long that marks reach so far: groups stay so
    /// much longer from now on.
    pub fn keep_for(&mut self, dwell_ms: i64, silence_ms: i64) {
        self.dwell_ms = self.dwell_ms.max(dwell_ms);
        self.silence_ms = self.silence_ms.max(silence_ms);
    }

    /// Takes in an epoch's new pins. To be called before [`Groups::advance`].
    pub fn pin(&mut self, pins: &[(Pin, i64)]) {
        for (pin, diff) in pins.iter().filter(|(_, diff)| *diff > 0) {
            self.pins.add(pin, *diff, G::VEHICLE.is_some());
        }
        self.pins.settle();
    }

    /// Withdraws an epoch's pins. To be called after [`Groups::advance`]: what a pin waited for comes in the same epoch.
    pub fn unpin(&mut self, pins: &[(Pin, i64)]) {
        for (pin, diff) in pins.iter().filter(|(_, diff)| *diff < 0) {
            self.pins.add(pin, *diff, G::VEHICLE.is_some());
            self.reconsider(pin);
        }
        self.pins.settle();
    }

    /// Groups since the first day of a withdrawn pin are sealed next, unless another pin keeps them.
    fn reconsider(&mut self, pin: &Pin) {
        let from = self.local_time.day_spans(pin.first).next().map_or(BEGINNING, |span| span.from);
        let later = self.pinned.split_off(&from);
        self.ends.extend(later.into_iter().flat_map(|(end, keys)| keys.into_iter().map(move |key| (end, key))));
    }

    /// Whether a group may change though its end is long ago.
    fn is_pinned(&self, key: &G::Key, end: Millis) -> bool {
        if self.pins.is_empty() {
            return false;
        }
        let vehicle = G::VEHICLE.map(|vehicle| vehicle(key));
        let last = end - 1;
        let day = self.local_time.day(last);
        // What is confirmed by a dwell lies so much before the day that decides it.
        let until = self.local_time.day(last.saturating_add(self.dwell_ms));
        self.pins.has(vehicle, day, until) || (self.pins.since(vehicle) <= day && self.is_edited(key, day, end))
    }

    /// Whether a version of a geofence begins or ends within a group: that changes where a silent vehicle is.
    fn is_edited(&self, key: &G::Key, day: Day, end: Millis) -> bool {
        let (from, geofence) = match G::GEOFENCE {
            Some(geofence) => (self.local_time.hour_span(end - 1).from, Some(geofence(key))),
            None => (self.local_time.day_spans(day).next().map_or(BEGINNING, |span| span.from), None),
        };
        let mut edits = self.edits.range((from, GeofenceId(0))..(end, GeofenceId(0)));
        edits.any(|(_, edited)| geofence.is_none_or(|geofence| geofence == *edited))
    }

    /// End before which all groups are sealed; `None` if none is.
    fn sealed_before(&self) -> Option<Millis> {
        let kept_ms = self.sealed_after_ms?.saturating_add(self.dwell_ms).saturating_add(self.silence_ms);
        Some(self.now.saturating_sub(kept_ms))
    }

    /// Takes in the facts of one epoch, in any order; returns the rows that are no longer true and those
    /// that are now.
    pub fn advance(&mut self, facts: &[(Fact<G>, i64)]) -> Vec<(G::Row, i64)> {
        let mut touched = Vec::new();
        let mut sealed = Vec::new();
        let mut numbers = Vec::with_capacity(AHEAD);
        for several in facts.chunks(AHEAD) {
            numbers.clear();
            // What was and what is are side by side.
            numbers.extend(several.chunk_by(|((a, _), _), ((b, _), _)| a == b).flat_map(|same| {
                let number = self.numbers.get(&same[0].0.0).copied();
                std::iter::repeat_n(number, same.len())
            }));
            self.look_ahead(numbers.iter().flatten().copied());
            for ((fact, diff), known) in several.iter().zip(&numbers) {
                match known.or_else(|| self.number(&fact.0)) {
                    Some(number) => self.update(number, &fact.1, *diff, &mut touched),
                    None => sealed.push((fact.clone(), *diff)),
                }
            }
        }
        consolidate(&mut sealed);
        self.late_updates += sealed.len() as u64;

        let mut rows = Vec::with_capacity(2 * touched.len());
        for several in touched.chunks_mut(AHEAD) {
            self.look_ahead(several.iter().map(|(number, _)| *number));
            for (number, was) in several {
                let is = self.settle(*number);
                if *was != is {
                    rows.extend(was.take().map(|row| (row, -1)));
                    rows.extend(is.map(|row| (row, 1)));
                }
            }
        }
        rows
    }

    /// The number of a group, which is made if there is none. None if it has been sealed.
    fn number(&mut self, key: &G::Key) -> Option<u32> {
        if let Some(number) = self.numbers.get(key) {
            return Some(*number);
        }
        if let Some(sealed_before) = self.sealed_before() {
            let end = key.end(&self.local_time);
            if end < sealed_before && !self.is_pinned(key, end) {
                return None;
            }
            self.ends.insert((end, key.clone()));
        }
        Some(self.insert(key.clone(), Arc::default()))
    }

    fn insert(&mut self, key: G::Key, group: Arc<G>) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.groups.push(None);
            (self.groups.len() - 1) as u32
        });
        let before = self.numbers.insert(key.clone(), number);
        debug_assert!(before.is_none(), "a group has one number");
        self.groups[number as usize] = Some(Held { key, group, touched: false });
        number
    }

    fn remove(&mut self, key: &G::Key) -> Option<Held<G>> {
        let number = self.numbers.remove(key)?;
        self.free.push(number);
        self.groups[number as usize].take()
    }

    /// Adds a fact's value to its group, which joins those `touched`, with its row as it was.
    fn update(&mut self, number: u32, value: &G::Value, diff: i64, touched: &mut Vec<(u32, Option<G::Row>)>) {
        let Held { key, group, touched: is_touched } = held(&mut self.groups, number);
        if !std::mem::replace(is_touched, true) {
            touched.push((number, group.row(key)));
            self.heap_bytes -= group.heap_bytes();
        }
        Arc::make_mut(group).update(value, diff);
    }

    /// The row of a group that was touched, as it is now.
    fn settle(&mut self, number: u32) -> Option<G::Row> {
        let Held { key, group, touched } = held(&mut self.groups, number);
        *touched = false;
        let group = Arc::make_mut(group);
        group.settle();
        let row = group.row(key);
        if group.is_empty() {
            let key = key.clone();
            self.remove(&key);
            if self.sealed_after_ms.is_some() {
                let end = key.end(&self.local_time);
                if let Some(keys) = self.pinned.get_mut(&end) {
                    keys.remove(&key);
                }
                self.ends.remove(&(end, key));
            }
        } else {
            self.heap_bytes += group.heap_bytes();
        }
        row
    }

    /// Reads what comes next, for nothing but to have read it.
    fn look_ahead(&self, numbers: impl Iterator<Item = u32> + Clone) {
        let groups = numbers.filter_map(|number| self.groups[number as usize].as_ref());
        // Of all groups first what is nearest: what one is waited for does not depend on what another is.
        let held = groups.clone().fold(0, |read, held| read ^ Arc::as_ptr(&held.group).addr());
        let near = groups.clone().fold(0, |read, held| read ^ Arc::strong_count(&held.group));
        let rest = groups.fold(0, |read, held| read ^ held.group.peek());
        std::hint::black_box((held, near, rest));
    }

    /// The log's time reached `now`: what no accepted event can touch any more leaves memory.
    pub fn seal(&mut self, now: Millis) {
        self.now = self.now.max(now);
        let Some(sealed_before) = self.sealed_before() else { return };
        while let Some((end, key)) = self.ends.pop_first() {
            if end >= sealed_before {
                self.ends.insert((end, key));
                break;
            }
            if self.is_pinned(&key, end) {
                self.pinned.entry(end).or_default().insert(key);
                continue;
            }
            if let Some(held) = self.remove(&key) {
                debug_assert!(self.now >= held.key.end(&self.local_time));
                self.heap_bytes -= held.group.heap_bytes();
            }
        }
    }

    /// Every group, in the order of their keys.
    pub fn snapshots(&self) -> impl Iterator<Item = GroupSnapshot> {
        let held = self.groups.iter().flatten();
        let mut groups: Vec<_> = held.map(|held| (held.key.clone(), Arc::clone(&held.group))).collect();
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        groups.into_iter().map(|(key, group)| G::snapshot(key, group))
    }

    /// Goes on with a group. Nothing is said of it: its row stands.
    pub fn restore(&mut self, key: G::Key, group: Arc<G>) {
        if self.sealed_after_ms.is_some() {
            self.ends.insert((key.end(&self.local_time), key.clone()));
        }
        self.heap_bytes += group.heap_bytes();
        self.insert(key, group);
    }

    /// How many there are, and what they take.
    pub fn stats(&self) -> GroupStats {
        // The state with its two counters, its places in the map (which is 7/16 to 7/8 full) and the list, its end.
        let places = size_of::<(G::Key, u32)>() * 3 / 2 + size_of::<Option<Held<G>>>();
        let each = size_of::<G>() + 16 + places + size_of::<(Millis, G::Key)>();
        let groups = self.numbers.len();
        let bytes = self.heap_bytes + groups * each;
        GroupStats { groups: groups as u64, bytes: bytes as u64, late_updates: self.late_updates }
    }
}

/// The group with a number that some group has.
fn held<G: Group>(groups: &mut [Option<Held<G>>], number: u32) -> &mut Held<G> {
    groups[number as usize].as_mut().expect("a number in use is that of a group")
}
