//! The geofences of a worker, before and after an epoch's edits.
//!
//! A retroactive edit results in a difference: the facts of the timelines under the new versions, minus those under the
//! old ones. So between [`Catalogue::prepare`] and [`Catalogue::commit`] every version has two intervals in which it is
//! in force, one for each [`View`], and a fold runs under either view over the same index.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::cells::{self, Absent, Candidate, Candidates, Cells, SafeRegion};
use crate::index::{GeofenceIndex, VersionId};
use crate::versions::History;
use watchtower_model::Span;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{BEGINNING, END, Geofence, GeofenceEdit, GeofenceId, Millis, Place, Speed};

/// The versions that a fold uses: those before or after the epoch's edits. Except in an epoch that edits geofences,
/// both views are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The versions before the edits.
    Old = 0,
    /// The versions after the edits.
    New = 1,
}

impl View {
    /// Sign of this view's facts in the difference between the views.
    pub fn sign(self) -> i64 {
        match self {
            View::Old => -1,
            View::New => 1,
        }
    }
}

/// Traits that any version of a geofence has had. Most geofences have none, which saves searching for a version.
#[derive(Clone, Copy, Debug, Default)]
struct Traits {
    /// Whether a version has a speed limit.
    limits: bool,
    /// Whether a version has an exit buffer.
    lingers: bool,
}

/// One version of a geofence.
#[derive(Debug)]
pub struct CataloguedVersion {
    /// Number of the geofence.
    pub geofence: GeofenceId,
    /// Definition of the geofence in this version.
    pub definition: Arc<Geofence>,
    /// `min_dwell` of the definition, repeated here to save a pointer.
    pub min_dwell_ms: i64,
    seq: u64,
    spans: [Span; 2],
    reach: Vec<BoundingBox>,
}

impl CataloguedVersion {
    /// Whether a vehicle at `place` may be inside, exit buffer included.
    pub fn reaches(&self, place: Place) -> bool {
        self.reach.iter().any(|b| b.contains(place.lon_degrees(), place.lat_degrees()))
    }

    /// Boxes that contain all such places.
    pub fn reach(&self) -> &[BoundingBox] {
        &self.reach
    }
}

/// A difference between the views caused by an epoch's edits.
#[derive(Clone, Debug)]
pub struct Change {
    /// Interval of the difference: outside of it both views have the same version.
    pub span: Span,
    /// Boxes of the difference: a vehicle outside of all of them is not inside under either view.
    pub reach: Vec<BoundingBox>,
}

/// The versions of all geofences, indexed by place, by geofence, and by the begin and end of their intervals.
#[derive(Debug)]
pub struct Catalogue {
    histories: Vec<History<GeofenceId, Geofence>>,
    versions: Vec<Option<CataloguedVersion>>,
    free: Vec<VersionId>,
    of: Vec<Vec<VersionId>>,
    /// Ids of all geofences that were ever defined, by dense number.
    ids: Vec<Arc<str>>,
    /// Traits of all versions so far, by geofence.
    traits: Vec<Traits>,
    index: GeofenceIndex,
    /// Cache in front of the index; filled by lookups.
    cells: RefCell<Cells>,
    /// Number of boxes in the index, from which the cells' grid is dimensioned.
    boxes: usize,
    vertices: usize,
    /// Number of epochs that edited geofences.
    generation: u32,
    /// Finite ends of all intervals of both views.
    boundaries: BTreeSet<(Millis, VersionId)>,
    /// Versions whose interval differs between the views.
    pending: Vec<VersionId>,
    /// The interval between two adjacent boundaries that the last search found.
    quiet: Cell<Span>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            histories: Vec::new(),
            versions: Vec::new(),
            free: Vec::new(),
            of: Vec::new(),
            ids: Vec::new(),
            traits: Vec::new(),
            index: GeofenceIndex::default(),
            cells: RefCell::default(),
            boxes: 0,
            vertices: 0,
            generation: 0,
            boundaries: BTreeSet::new(),
            pending: Vec::new(),
            quiet: Cell::new(Span::EMPTY),
        }
    }
}

impl Catalogue {
    /// Applies an epoch's edits to the new view. Until [`Catalogue::commit`] the views differ by the returned changes.
    pub fn prepare(&mut self, edits: Vec<GeofenceEdit>) -> Vec<Change> {
        debug_assert!(self.pending.is_empty(), "one epoch at a time");
        self.quiet.set(Span::EMPTY);
        let edited: BTreeSet<GeofenceId> = edits.iter().map(|edit| edit.key).collect();
        for edit in edits {
            let slot = edit.key.0 as usize;
            if self.histories.len() <= slot {
                self.histories.resize_with(slot + 1, History::default);
                self.of.resize_with(slot + 1, Vec::new);
                self.ids.resize_with(slot + 1, || Arc::from(""));
                self.traits.resize(slot + 1, Traits::default());
            }
            if let Some(definition) = &edit.definition {
                self.ids[slot] = Arc::clone(&definition.id);
                self.traits[slot].limits |= definition.speed_limit != Speed::NONE;
                self.traits[slot].lingers |= definition.exit_buffer_m > 0.0;
            }
            self.histories[slot].insert(edit);
        }
        let mut added = Vec::new();
        for geofence in edited {
            self.recompute_intervals(geofence, &mut added);
        }
        let boxes =
            added.iter().flat_map(|&id| self.version(id).definition.shape.boxes(0.0).into_iter().map(move |b| (b, id)));
        let boxes: Vec<_> = boxes.collect();
        self.boxes += boxes.len();
        self.vertices += added.iter().map(|&id| self.version(id).definition.shape.vertex_count()).sum::<usize>();
        self.index.extend(boxes.into_iter());
        self.forget_cells();
        self.pending
            .iter()
            .map(|&id| {
                let version = self.version(id);
                let [old, new] = version.spans;
                Change { span: old.difference_hull(new), reach: version.reach.clone() }
            })
            .collect()
    }

    /// Drops the old view.
    pub fn commit(&mut self) {
        self.quiet.set(Span::EMPTY);
        for id in std::mem::take(&mut self.pending) {
            let version = self.versions[id as usize].as_mut().expect("a pending version exists");
            let [old, new] = version.spans;
            version.spans = [new; 2];
            for t in ends(old) {
                if !ends(new).any(|kept| kept == t) {
                    self.boundaries.remove(&(t, id));
                }
            }
            if new.is_empty() {
                self.forget(id);
            }
        }
    }

    /// Calls `found` for every version in force at `t` whose shape covers `place`; possibly twice for one with two
    /// boxes. Returns the region in which the result is the same, for a vehicle that was within `left`.
    pub fn covering(
        &self,
        place: Place,
        t: Millis,
        view: View,
        left: &SafeRegion,
        mut found: impl FnMut(VersionId, GeofenceId),
    ) -> SafeRegion {
        self.lookup_cells(place, t, left.distance(place), &mut found).unwrap_or_else(|| {
            self.lookup_index(place, t, view, found);
            SafeRegion::NONE
        })
    }

    /// Generation whose [`SafeRegion`]s are valid.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Prefetches the cells of the places of the next lookups, so that their cache misses overlap.
    pub fn look_ahead(&self, places: impl Iterator<Item = Place>) {
        self.cells.borrow().look_ahead(places);
    }

    /// Sizes of the cells.
    pub fn cells(&self) -> cells::Size {
        self.cells.borrow().size()
    }

    /// Looks up the cells, whose contents are the same under both views.
    fn lookup_cells(
        &self,
        place: Place,
        t: Millis,
        come_far: u32,
        mut found: impl FnMut(VersionId, GeofenceId),
    ) -> Option<SafeRegion> {
        let decide = |id: VersionId| self.version(id).definition.shape.covers(place);
        let region = |(places, until)| SafeRegion::new(places, until, self.generation);
        match self.cells.borrow().covering(place, t, come_far, decide, &mut found) {
            Ok(answer) => return Some(region(answer)),
            Err(Absent::Before) => return None,
            Err(Absent::Missing) if !self.pending.is_empty() => return None,
            Err(Absent::Missing) => {}
        }
        self.cells.borrow_mut().make(place, t, self);
        self.cells.borrow().covering(place, t, come_far, decide, found).ok().map(region)
    }

    /// Looks up the index of record.
    fn lookup_index(&self, place: Place, t: Millis, view: View, mut found: impl FnMut(VersionId, GeofenceId)) {
        self.index.visit(place, |id| {
            let version = self.version(id);
            if version.spans[view as usize].contains(t) && version.definition.shape.covers(place) {
                found(id, version.geofence);
            }
        });
    }

    /// Definition of the geofence at `t`; `None` if it is not in force.
    pub fn in_force(&self, geofence: GeofenceId, t: Millis, view: View) -> Option<&Geofence> {
        let id = self.version_in_force(geofence, t, view)?;
        Some(&self.version(id).definition)
    }

    /// The version of the geofence in force at `t`, if any.
    pub fn version_in_force(&self, geofence: GeofenceId, t: Millis, view: View) -> Option<VersionId> {
        let versions = self.of.get(geofence.0 as usize)?;
        versions.iter().copied().find(|&id| self.version(id).spans[view as usize].contains(t))
    }

    /// Whether any version of a geofence has had a speed limit; the geofence must have been visited.
    pub fn may_limit(&self, geofence: GeofenceId) -> bool {
        self.traits[geofence.0 as usize].limits
    }

    /// Whether any version of a geofence has had an exit buffer; the geofence must have been visited.
    pub fn may_linger(&self, geofence: GeofenceId) -> bool {
        self.traits[geofence.0 as usize].lingers
    }

    /// Id of a geofence by its dense number; the geofence must have been visited.
    pub fn id(&self, geofence: GeofenceId) -> &Arc<str> {
        &self.ids[geofence.0 as usize]
    }

    /// The version with this number.
    pub fn version(&self, id: VersionId) -> &CataloguedVersion {
        self.versions[id as usize].as_ref().expect("version ids are only used while the version exists")
    }

    /// The instants in `after < t <= until` at which a version begins or ends under either view, ascending, each with
    /// its version.
    pub fn boundaries(&self, after: Millis, until: Millis) -> impl Iterator<Item = (Millis, &CataloguedVersion)> {
        let from = (after.saturating_add(1), VersionId::MIN);
        self.boundaries.range(from..).take_while(move |(t, _)| *t <= until).map(|&(t, id)| (t, self.version(id)))
    }

    /// Whether no version begins or ends in `after < t <= until`, nor in the millisecond after.
    pub fn is_quiet(&self, after: Millis, until: Millis) -> bool {
        let known = self.quiet.get();
        if known.from <= after && until < known.until.saturating_sub(1) {
            return true;
        }
        let times = |range| self.boundaries.range(range).map(|(t, _)| *t);
        let bound = (after.saturating_add(1), VersionId::MIN);
        let from = times((Bound::Unbounded, Bound::Excluded(bound))).next_back().unwrap_or(BEGINNING);
        let next = times((Bound::Included(bound), Bound::Unbounded)).next().unwrap_or(END);
        self.quiet.set(Span { from, until: next });
        until < next - 1
    }

    /// Whether any version has a finite begin or end.
    pub fn has_boundaries(&self) -> bool {
        !self.boundaries.is_empty()
    }

    /// Drops the cells that contain an edited version, and starts a new generation of regions.
    fn forget_cells(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        let cells = self.cells.get_mut();
        if cells.cover(self.index.extent(), self.boxes, self.vertices) {
            return;
        }
        for &id in &self.pending {
            let version = self.versions[id as usize].as_ref().expect("a pending version exists");
            version.definition.shape.boxes(0.0).iter().for_each(|bounds| cells.forget(bounds));
        }
    }

    /// Recomputes the intervals of one geofence's versions in the new view.
    fn recompute_intervals(&mut self, geofence: GeofenceId, added: &mut Vec<VersionId>) {
        let slot = geofence.0 as usize;
        let mut known = std::mem::take(&mut self.of[slot]);
        for &id in &known {
            self.version_mut(id).spans[View::New as usize] = Span::EMPTY;
        }
        let history = std::mem::take(&mut self.histories[slot]);
        for reigning in history.versions() {
            let id = match known.iter().find(|&&id| self.version(id).seq == reigning.seq) {
                Some(&id) => id,
                None => {
                    let id = self.insert(CataloguedVersion {
                        geofence,
                        min_dwell_ms: reigning.definition.min_dwell_ms,
                        seq: reigning.seq,
                        spans: [Span::EMPTY; 2],
                        reach: reigning.definition.shape.boxes(reigning.definition.exit_buffer_m),
                        definition: Arc::clone(reigning.definition),
                    });
                    known.push(id);
                    added.push(id);
                    id
                }
            };
            self.version_mut(id).spans[View::New as usize] = reigning.span;
            self.boundaries.extend(ends(reigning.span).map(|t| (t, id)));
        }
        self.histories[slot] = history;
        for &id in &known {
            let [old, new] = self.version(id).spans;
            if old != new {
                self.pending.push(id);
            }
        }
        self.of[slot] = known;
    }

    fn insert(&mut self, version: CataloguedVersion) -> VersionId {
        match self.free.pop() {
            Some(id) => {
                self.versions[id as usize] = Some(version);
                id
            }
            None => {
                self.versions.push(Some(version));
                (self.versions.len() - 1) as VersionId
            }
        }
    }

    fn forget(&mut self, id: VersionId) {
        let version = self.versions[id as usize].take().expect("a version is removed once");
        for bounds in version.definition.shape.boxes(0.0) {
            self.index.remove(bounds, id);
            self.boxes -= 1;
        }
        self.vertices -= version.definition.shape.vertex_count();
        self.of[version.geofence.0 as usize].retain(|&other| other != id);
        self.free.push(id);
    }

    fn version_mut(&mut self, id: VersionId) -> &mut CataloguedVersion {
        self.versions[id as usize].as_mut().expect("version ids are only used while the version exists")
    }
}

impl Candidates for Catalogue {
    fn visit_meeting<'c>(&'c self, bounds: &BoundingBox, mut visit: impl FnMut(Candidate<'c>) -> ControlFlow<()>) {
        self.index.visit_meeting(bounds, |id| {
            let CataloguedVersion { geofence, definition, spans: [_, span], .. } = self.version(id);
            visit(Candidate { version: id, geofence: *geofence, span: *span, shape: &definition.shape })
        });
    }
}

/// The finite ends of a span; none of an empty span.
fn ends(span: Span) -> impl Iterator<Item = Millis> {
    [span.from, span.until].into_iter().filter(move |&t| !span.is_empty() && t != BEGINNING && t != END)
}
