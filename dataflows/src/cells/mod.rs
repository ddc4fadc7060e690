//! A cache in front of the index that finds the geofences that cover a place without testing each of them.
//!
//! A grid of squares lies over the extent of all geofences; a square that many borders touch is divided into quarters,
//! recursively. An undivided square is a [leaf]: the versions that cover all of it, and, of those whose border touches
//! it, the edges that do. Most places are in leaves without borders and need no test at all; elsewhere a few edges
//! decide, because the segment from a place to a reference in the same leaf, of which the result is known, can cross
//! no other edges ([border]).
//!
//! **Why the results are those of the index and the shapes.** A version is in a leaf unless it covers no place there:
//! the index returns all boxes that meet the square, and a shape without edges in the square covers all of it or
//! nothing, as its middle shows. Rounded edges only decide where rounding cannot matter; else
//! [`Shape::covers`](watchtower_model::geometry::Shape::covers) does. Circles are always decided exactly, and left out
//! of a leaf's borders only with a proven distance.
//!
//! **Time.** A leaf is made for an instant, from the versions in force then, and is valid as long as no version with a
//! box there begins or ends. For later instants it is made again; for earlier ones the index is used.
//!
//! **Edits.** Leaves that meet an edited version's boxes are dropped, and made again when a vehicle arrives there: see
//! [`Cells::forget`]. No leaf is made while the two views of an epoch differ. So an existing leaf is valid under both.
//!
//! Leaves are made when they are first needed, together with adjacent ones while memory is ample. So a million
//! geofences can be looked up as soon as the index has them, and leaves take memory only where vehicles are.

mod arena;
mod border;
mod grid;
mod leaf;
mod region;
mod square;
mod survey;
#[cfg(test)]
mod tests;

use arena::Arena;
use border::Room;
use grid::Grid;
use leaf::{Draft, Leaf};
pub use region::SafeRegion;
pub use square::PlaceBox;
use square::{Square, overlap, quarter_of};
pub use survey::{Candidate, Candidates};
use survey::{Survey, TooMany};

use crate::index::VersionId;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{END, GeofenceId, Millis, Place};

/// Squares of the grid per box, and vertices per further square (measured: more squares take memory, fewer take
/// steps).
const SQUARES_PER_BOX: usize = 4;
const VERTICES_PER_SQUARE: usize = 8;

/// Limit of the memory of leaves, enough for more than a million. Above it all are dropped, and made again as they are
/// needed. Tests have a lower limit, to reach it.
const MAX_LEAF_BYTES: usize = if cfg!(test) { 64 << 10 } else { 384 << 20 };

/// Memory of leaves up to which adjacent ones are made as well: together they cost little more than one, and where
/// vehicles are many they will be needed.
const AMPLE_BYTES: usize = MAX_LEAF_BYTES / 16;

/// A region is measured if the vehicle has moved at most this part of the square's size from its previous one. A faster
/// vehicle would leave the next region at once, too.
const WORTH_MEASURING: u32 = 8;

/// Child of a square: none yet (0), its four quarters, or a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

impl Link {
    const NONE: Self = Self(0);
    const QUARTERED: u32 = 1 << 31;

    fn quarters(number: usize) -> Self {
        Self(number as u32 | Self::QUARTERED)
    }

    #[inline]
    fn as_quarters(self) -> Option<usize> {
        (self.0 & Self::QUARTERED != 0).then_some((self.0 & !Self::QUARTERED) as usize)
    }
}

/// Where a link is stored.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Grid(usize),
    Quarter(usize, usize),
}

/// State of the cell of a place at an instant.
enum CellState<'a> {
    /// No geofence has a box in these places.
    Outside(PlaceBox),
    /// The leaf of the place, and its square.
    Leaf(Leaf<'a>, Square),
    /// The leaf does not exist, or is no longer valid at this instant.
    Missing,
    /// The leaf is only valid at later instants.
    Before,
}

/// Sizes of the cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of squares of the grid.
    pub squares: usize,
    /// Number of leaves.
    pub leaves: usize,
    /// Bytes of squares and leaves.
    pub bytes: usize,
}

/// The grid with its leaves.
#[derive(Debug, Default)]
pub struct Cells {
    grid: Option<Grid>,
    links: Vec<Link>,
    quarters: Vec<[Link; 4]>,
    free_quarters: Vec<u32>,
    arena: Arena,
    leaves: usize,
    draft: Draft,
    /// Number of boxes and vertices for which the grid was dimensioned.
    made_for: usize,
}

impl Cells {
    /// Ensures that the grid contains all boxes and is fine enough for them. Returns whether it was rebuilt, which
    /// drops all leaves: that happens when the number of boxes has doubled, or a box is outside.
    pub fn cover(&mut self, extent: Option<BoundingBox>, boxes: usize, vertices: usize) -> bool {
        let Some(extent) = extent else { return false };
        let mut places = PlaceBox::within(&extent);
        let wanted = boxes * SQUARES_PER_BOX + vertices / VERTICES_PER_SQUARE;
        if let Some(grid) = &self.grid {
            if places.intersection(&grid.places) == places && wanted <= self.made_for * 2 {
                return false;
            }
            if places.intersection(&grid.places) != places {
                places = widened(&places);
            }
        }
        let grid = Grid::over(&places, wanted);
        let links = vec![Link::NONE; grid.squares()];
        *self = Self { grid: Some(grid), links, made_for: wanted, ..Self::default() };
        true
    }

    /// Drops the leaves that a box meets.
    pub fn forget(&mut self, bounds: &BoundingBox) {
        let Some(grid) = self.grid else { return };
        let places = PlaceBox::within(bounds);
        for (number, square) in grid.numbers(&places) {
            self.links[number] = self.without(self.links[number], square, &places);
        }
    }

    /// Drops the leaves in a square that meet these places; returns the remaining link.
    fn without(&mut self, link: Link, square: Square, places: &PlaceBox) -> Link {
        if link == Link::NONE || !overlap(&square.places(), places) {
            return link;
        }
        let Some(number) = link.as_quarters() else {
            let length = Leaf::at(self.arena.from(link.0)).length();
            self.arena.free(link.0, length);
            self.leaves -= 1;
            return Link::NONE;
        };
        for quarter in 0..4 {
            let link = self.quarters[number][quarter];
            self.quarters[number][quarter] = self.without(link, square.quarter(quarter as u32), places);
        }
        if self.quarters[number] == [Link::NONE; 4] {
            self.free_quarters.push(number as u32);
            return Link::NONE;
        }
        link
    }

    /// Finds the versions in force at `t` that cover a place, if a valid leaf exists: calls `found` once for each.
    /// `decide` is called where rounded edges do not suffice.
    ///
    /// Returns the region around the place in which the result is the same. It is as large as possible if measuring it
    /// pays off for a vehicle that has moved this far (units of places) from its previous one; else it is the place
    /// alone.
    #[inline]
    pub fn covering(
        &self,
        place: Place,
        t: Millis,
        come_far: u32,
        decide: impl Fn(VersionId) -> bool,
        found: impl FnMut(VersionId, GeofenceId),
    ) -> Result<(PlaceBox, Millis), Absent> {
        match self.cell_at(place, t) {
            CellState::Leaf(leaf, square) if come_far > (1 << square.log_size) / WORTH_MEASURING => {
                let mut unmeasured = Room::NONE;
                leaf.covering::<false>(place, &mut unmeasured, decide, found);
                Ok((PlaceBox::only(place), leaf.span().until))
            }
            CellState::Leaf(leaf, square) => {
                let mut room = square.places().room_around(place);
                leaf.covering::<true>(place, &mut room, decide, found);
                Ok((PlaceBox::around(place, &room), leaf.span().until))
            }
            CellState::Outside(places) => Ok((places, END)),
            CellState::Missing => Err(Absent::Missing),
            CellState::Before => Err(Absent::Before),
        }
    }

    /// Makes the leaf of a place at an instant, and some adjacent ones.
    #[cold]
    pub fn make(&mut self, place: Place, t: Millis, candidates: &impl Candidates) {
        let Some((mut holder, mut square)) = self.holder(place) else { return };
        if let CellState::Leaf(..) | CellState::Before = self.cell_at(place, t) {
            return;
        }
        if self.arena.bytes() > MAX_LEAF_BYTES {
            self.clear();
            (holder, square) = self.holder(place).expect("the grid still contains the place");
        }
        let stale = self.link(holder);
        if stale != Link::NONE {
            let length = Leaf::at(self.arena.from(stale.0)).length();
            self.arena.free(stale.0, length);
            self.leaves -= 1;
            self.set(holder, Link::NONE);
        }
        let is_ample = self.arena.bytes() < AMPLE_BYTES;
        let (mut survey, mut part) = (Survey::default(), Survey::default());
        let mut seen = match holder {
            Holder::Grid(_) if is_ample => self.survey_around(square, t, candidates, &mut survey, &mut part),
            _ => survey.take(square, t, candidates),
        };
        loop {
            if seen.is_ok() && survey.fits(square) {
                let leaf = self.keep(&survey, square);
                self.set(holder, leaf);
                return;
            }
            let number = self.new_quarters();
            self.set(holder, Link::quarters(number));
            let here = quarter_of(place, square.log_size - 1);
            if seen.is_ok() && is_ample {
                for quarter in (0..4).filter(|&quarter| quarter != here) {
                    self.quarters[number][quarter] = self.keep_part(&survey, square.quarter(quarter as u32), &mut part);
                }
            }
            (holder, square) = (Holder::Quarter(number, here), square.quarter(here as u32));
            if seen.is_ok() {
                survey.narrow(square, &mut part);
                std::mem::swap(&mut survey, &mut part);
            } else {
                seen = survey.take(square, t, candidates);
            }
        }
    }

    /// Surveys a square of the grid, and makes leaves of it and the squares that form the next larger square with it.
    fn survey_around<'c>(
        &mut self,
        square: Square,
        t: Millis,
        candidates: &'c impl Candidates,
        survey: &mut Survey<'c>,
        part: &mut Survey<'c>,
    ) -> Result<(), TooMany> {
        let around = square.parent();
        if around.is_none_or(|around| survey.take(around, t, candidates).is_err()) {
            return survey.take(square, t, candidates);
        }
        let quarters = around.into_iter().flat_map(|around| (0..4).map(move |quarter| around.quarter(quarter)));
        for other in quarters.filter(|other| *other != square) {
            let number = self.grid.and_then(|grid| grid.number(other.first()));
            if let Some(number) = number.filter(|&number| self.links[number] == Link::NONE) {
                self.links[number] = self.keep_part(survey, other, part);
            }
        }
        survey.narrow(square, part);
        std::mem::swap(survey, part);
        Ok(())
    }

    /// A link to a new leaf for a part of a surveyed square, if its contents fit into one.
    fn keep_part<'c>(&mut self, survey: &Survey<'c>, square: Square, part: &mut Survey<'c>) -> Link {
        survey.narrow(square, part);
        if part.fits(square) { self.keep(part, square) } else { Link::NONE }
    }

    /// A link to a new leaf.
    fn keep(&mut self, survey: &Survey<'_>, square: Square) -> Link {
        let span = survey.draft(square, &mut self.draft);
        self.leaves += 1;
        Link(self.arena.keep(self.draft.finish(span)))
    }

    /// Prefetches the leaves of some places. Loads that do not depend on each other miss the cache at the same time, so
    /// that the lookups that follow do not wait.
    pub fn look_ahead(&self, places: impl Iterator<Item = Place>) {
        let Some(grid) = &self.grid else { return };
        let mut read = 0;
        for place in places {
            if let Some(number) = grid.number(place) {
                read ^= self.arena.prefetch(self.follow(self.links[number], place, grid.log_size).0.0);
            }
        }
        std::hint::black_box(read);
    }

    /// Drops all leaves.
    fn clear(&mut self) {
        self.links.fill(Link::NONE);
        self.quarters.clear();
        self.free_quarters.clear();
        self.arena = Arena::default();
        self.leaves = 0;
    }

    /// Sizes of the grid and its leaves.
    pub fn size(&self) -> Size {
        let bytes = self.arena.bytes() + self.links.capacity() * 4 + self.quarters.capacity() * 16;
        Size { squares: self.links.len(), leaves: self.leaves, bytes }
    }

    #[inline]
    fn cell_at(&self, place: Place, t: Millis) -> CellState<'_> {
        let Some(grid) = &self.grid else { return CellState::Outside(PlaceBox::ALL) };
        let Some(number) = grid.number(place) else { return CellState::Outside(grid.outside(place)) };
        let (link, log_size) = self.follow(self.links[number], place, grid.log_size);
        if link == Link::NONE {
            return CellState::Missing;
        }
        let leaf = Leaf::at(self.arena.from(link.0));
        let span = leaf.span();
        if t < span.from {
            CellState::Before
        } else if t < span.until {
            CellState::Leaf(leaf, Square::around(place, log_size))
        } else {
            CellState::Missing
        }
    }

    /// Follows the quarters that contain a place; returns the last link and the size of its square.
    #[inline]
    fn follow(&self, mut link: Link, place: Place, mut log_size: u32) -> (Link, u32) {
        while let Some(number) = link.as_quarters() {
            log_size -= 1;
            link = self.quarters[number][quarter_of(place, log_size)];
        }
        (link, log_size)
    }

    /// Where the link to a place's leaf is stored, and its square. `None` outside of the grid.
    fn holder(&self, place: Place) -> Option<(Holder, Square)> {
        let grid = self.grid.as_ref()?;
        let number = grid.number(place)?;
        let (mut holder, mut square) = (Holder::Grid(number), Square::around(place, grid.log_size));
        while let Some(number) = self.link(holder).as_quarters() {
            let quarter = quarter_of(place, square.log_size - 1);
            (holder, square) = (Holder::Quarter(number, quarter), square.quarter(quarter as u32));
        }
        Some((holder, square))
    }

    fn link(&self, holder: Holder) -> Link {
        match holder {
            Holder::Grid(number) => self.links[number],
            Holder::Quarter(number, quarter) => self.quarters[number][quarter],
        }
    }

    fn set(&mut self, holder: Holder, link: Link) {
        match holder {
            Holder::Grid(number) => self.links[number] = link,
            Holder::Quarter(number, quarter) => self.quarters[number][quarter] = link,
        }
    }

    fn new_quarters(&mut self) -> usize {
        match self.free_quarters.pop() {
            Some(number) => {
                self.quarters[number as usize] = [Link::NONE; 4];
                number as usize
            }
            None => {
                self.quarters.push([Link::NONE; 4]);
                self.quarters.len() - 1
            }
        }
    }
}

/// Reason why a lookup has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The leaf must be made.
    Missing,
    /// The leaf is only valid at later instants.
    Before,
}

/// A larger box around these places, so that the grid need not be rebuilt for each geofence farther out.
fn widened(places: &PlaceBox) -> PlaceBox {
    let (across, up) =
        (i64::from(places.east) - i64::from(places.west), i64::from(places.north) - i64::from(places.south));
    let clamp = |coordinate: i64, most: i64| coordinate.clamp(-most, most) as i32;
    PlaceBox {
        west: clamp(i64::from(places.west) - across / 2, 1_800_000_100),
        south: clamp(i64::from(places.south) - up / 2, 900_000_100),
        east: clamp(i64::from(places.east) + across / 2, 1_800_000_100),
        north: clamp(i64::from(places.north) + up / 2, 900_000_100),
    }
}
