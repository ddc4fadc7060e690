//! Which geofences cover a place, without looking at one after the other: cells in front of the index.
//!
//! A grid of squares lies over all that geofences reach; a square that many borders touch is quartered,
//! and so on. What is not quartered is a [leaf]: the versions that cover all of it, and, of those whose
//! border touches it, the edges that do. Most places are in leaves without borders and need no test at
//! all; elsewhere a few edges decide, because the way from a place to a reference in the same leaf, of
//! which the answer is known, can cross no others ([border]).
//!
//! **Why the answers are those of the index and the shapes.** A version is in a leaf unless it covers no
//! place there: the index is asked for all boxes that meet the square, and what touches no edge is
//! covered entirely or not at all, as its middle is. Rounded edges only answer when the rounding cannot
//! matter; else [`Shape::covers`](watchtower_model::geometry::Shape::covers) does. Circles are decided as they always
//! are, and left out of a leaf's borders only with a proven distance.
//!
//! **Time.** A leaf is made for an instant, of the versions in force then, and holds as long as no version
//! with a box there begins or ends. After that it is made again; before that the index is asked.
//!
//! **Edits.** What an edited version's boxes meet is forgotten, and made again when a vehicle comes there:
//! see [`Cells::forget`]. Nothing is made while the two views of an epoch differ. So a leaf that there is
//! says the same under both.
//!
//! Leaves are made when they are first needed, as long as there are few with those beside them, so a million
//! geofences are answered for as soon as the index has them, and take memory where vehicles are.

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
use survey::{Sight, TooMany};

use crate::index::VersionId;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{END, GeofenceId, Millis, Place};

/// How many squares the grid has for one box, and for so many vertices (measured: more squares take
/// memory, fewer take steps).
const SQUARES_PER_BOX: usize = 4;
const VERTICES_PER_SQUARE: usize = 8;

/// Leaves that take more than this are all forgotten, and made again as they are needed: room for more than
/// a million. Tests do not have as many.
const MAX_LEAF_BYTES: usize = if cfg!(test) { 64 << 10 } else { 384 << 20 };

/// While leaves take no more than this, those beside one that is needed are made with it: together they cost
/// little more than one, and where vehicles are many they will be needed.
const AMPLE_BYTES: usize = MAX_LEAF_BYTES / 16;

/// A region is measured if the vehicle has come no farther, from the one it left, than this part of the leaf's
/// square: else it would leave the next one at once, too.
const WORTH_MEASURING: u32 = 8;

/// Where a square leads: nowhere yet (0), to its quarters, or to a leaf.
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

/// Where a link is kept.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Grid(usize),
    Quarter(usize, usize),
}

/// What is known of a place.
enum Standing<'a> {
    /// No geofence has a box there.
    Outside(PlaceBox),
    /// This leaf, and its square.
    Leaf(Leaf<'a>, Square),
    /// Nothing yet, or no more at this instant.
    Missing,
    /// What there is is too new.
    Before,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Squares of the grid.
    pub squares: usize,
    /// Leaves.
    pub leaves: usize,
    /// Bytes of everything.
    pub bytes: usize,
}

/// The cells.
#[derive(Debug, Default)]
pub struct Cells {
    grid: Option<Grid>,
    links: Vec<Link>,
    quarters: Vec<[Link; 4]>,
    free_quarters: Vec<u32>,
    arena: Arena,
    leaves: usize,
    draft: Draft,
    /// How much the grid was made for.
    made_for: usize,
}

impl Cells {
    /// Makes sure that the grid holds all boxes and is as fine as they want it. If it must be made anew,
    /// all leaves are forgotten, which is returned: that happens when there is twice as much, or something
    /// farther out.
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

    /// Forgets the leaves that a box meets.
    pub fn forget(&mut self, bounds: &BoundingBox) {
        let Some(grid) = self.grid else { return };
        let places = PlaceBox::within(bounds);
        for (number, square) in grid.numbers(&places) {
            self.links[number] = self.without(self.links[number], square, &places);
        }
    }

    /// What remains of a square without the leaves that meet these places.
    fn without(&mut self, link: Link, square: Square, places: &PlaceBox) -> Link {
        if link == Link::NONE || !overlap(&square.places(), places) {
            return link;
        }
        let Some(number) = link.as_quarters() else {
            let length = Leaf::at(self.arena.from(link.0)).length();
            self.arena.give_up(link.0, length);
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

    /// Finds the versions in force at `t` that cover a place, if there is a leaf that says so: calls
    /// `found` for each, once. Where rounded edges cannot tell, `decide` is asked.
    ///
    /// Returns the region around the place in which the answer is the same: as large as can be, if that is worth
    /// the trouble for a vehicle that has come so far (units of places) from the one it was in; else the place alone.
    #[inline]
    pub fn covering(
        &self,
        place: Place,
        t: Millis,
        come_far: u32,
        decide: impl Fn(VersionId) -> bool,
        found: impl FnMut(VersionId, GeofenceId),
    ) -> Result<(PlaceBox, Millis), Absent> {
        match self.standing(place, t) {
            Standing::Leaf(leaf, square) if come_far > (1 << square.log_size) / WORTH_MEASURING => {
                let mut unmeasured = Room::NONE;
                leaf.covering::<false>(place, &mut unmeasured, decide, found);
                Ok((PlaceBox::only(place), leaf.span().until))
            }
            Standing::Leaf(leaf, square) => {
                let mut room = square.places().room_around(place);
                leaf.covering::<true>(place, &mut room, decide, found);
                Ok((PlaceBox::around(place, &room), leaf.span().until))
            }
            Standing::Outside(places) => Ok((places, END)),
            Standing::Missing => Err(Absent::Missing),
            Standing::Before => Err(Absent::Before),
        }
    }

    /// Makes the leaf that holds a place at an instant, and some beside it.
    #[cold]
    pub fn make(&mut self, place: Place, t: Millis, candidates: &impl Candidates) {
        let Some((mut holder, mut square)) = self.holder(place) else { return };
        if let Standing::Leaf(..) | Standing::Before = self.standing(place, t) {
            return;
        }
        if self.arena.bytes() > MAX_LEAF_BYTES {
            self.clear();
            (holder, square) = self.holder(place).expect("the grid holds the place still");
        }
        let stale = self.link(holder);
        if stale != Link::NONE {
            let length = Leaf::at(self.arena.from(stale.0)).length();
            self.arena.give_up(stale.0, length);
            self.leaves -= 1;
            self.set(holder, Link::NONE);
        }
        let is_ample = self.arena.bytes() < AMPLE_BYTES;
        let (mut sight, mut part) = (Sight::default(), Sight::default());
        let mut seen = match holder {
            Holder::Grid(_) if is_ample => self.look_around(square, t, candidates, &mut sight, &mut part),
            _ => sight.look(square, t, candidates),
        };
        loop {
            if seen.is_ok() && sight.fits(square) {
                let leaf = self.keep(&sight, square);
                self.set(holder, leaf);
                return;
            }
            let number = self.new_quarters();
            self.set(holder, Link::quarters(number));
            let here = quarter_of(place, square.log_size - 1);
            if seen.is_ok() && is_ample {
                for quarter in (0..4).filter(|&quarter| quarter != here) {
                    self.quarters[number][quarter] = self.keep_part(&sight, square.quarter(quarter as u32), &mut part);
                }
            }
            (holder, square) = (Holder::Quarter(number, here), square.quarter(here as u32));
            if seen.is_ok() {
                sight.narrow(square, &mut part);
                std::mem::swap(&mut sight, &mut part);
            } else {
                seen = sight.look(square, t, candidates);
            }
        }
    }

    /// Looks into a square of the grid, and makes leaves of those that form a square twice as large with it.
    fn look_around<'c>(
        &mut self,
        square: Square,
        t: Millis,
        candidates: &'c impl Candidates,
        sight: &mut Sight<'c>,
        part: &mut Sight<'c>,
    ) -> Result<(), TooMany> {
        let around = square.parent();
        if around.is_none_or(|around| sight.look(around, t, candidates).is_err()) {
            return sight.look(square, t, candidates);
        }
        let quarters = around.into_iter().flat_map(|around| (0..4).map(move |quarter| around.quarter(quarter)));
        for other in quarters.filter(|other| *other != square) {
            let number = self.grid.and_then(|grid| grid.number(other.first()));
            if let Some(number) = number.filter(|&number| self.links[number] == Link::NONE) {
                self.links[number] = self.keep_part(sight, other, part);
            }
        }
        sight.narrow(square, part);
        std::mem::swap(sight, part);
        Ok(())
    }

    /// A new leaf of a part of what is seen, if that fits into one.
    fn keep_part<'c>(&mut self, sight: &Sight<'c>, square: Square, part: &mut Sight<'c>) -> Link {
        sight.narrow(square, part);
        if part.fits(square) { self.keep(part, square) } else { Link::NONE }
    }

    /// A new leaf.
    fn keep(&mut self, sight: &Sight<'_>, square: Square) -> Link {
        let span = sight.draft(square, &mut self.draft);
        self.leaves += 1;
        Link(self.arena.keep(self.draft.finish(span)))
    }

    /// Reads the beginnings of the leaves that hold some places. Loads that do not depend on each other wait
    /// for memory together, so that what is asked next waits no more.
    pub fn look_ahead(&self, places: impl Iterator<Item = Place>) {
        let Some(grid) = &self.grid else { return };
        let mut read = 0;
        for place in places {
            if let Some(number) = grid.number(place) {
                read ^= self.arena.peek(self.follow(self.links[number], place, grid.log_size).0.0);
            }
        }
        std::hint::black_box(read);
    }

    /// Forgets all leaves.
    fn clear(&mut self) {
        self.links.fill(Link::NONE);
        self.quarters.clear();
        self.free_quarters.clear();
        self.arena = Arena::default();
        self.leaves = 0;
    }

    /// How much there is.
    pub fn size(&self) -> Size {
        let bytes = self.arena.bytes() + self.links.capacity() * 4 + self.quarters.capacity() * 16;
        Size { squares: self.links.len(), leaves: self.leaves, bytes }
    }

    #[inline]
    fn standing(&self, place: Place, t: Millis) -> Standing<'_> {
        let Some(grid) = &self.grid else { return Standing::Outside(PlaceBox::ALL) };
        let Some(number) = grid.number(place) else { return Standing::Outside(grid.outside(place)) };
        let (link, log_size) = self.follow(self.links[number], place, grid.log_size);
        if link == Link::NONE {
            return Standing::Missing;
        }
        let leaf = Leaf::at(self.arena.from(link.0));
        let span = leaf.span();
        if t < span.from {
            Standing::Before
        } else if t < span.until {
            Standing::Leaf(leaf, Square::around(place, log_size))
        } else {
            Standing::Missing
        }
    }

    /// Through the quarters that hold a place; the size of the last.
    #[inline]
    fn follow(&self, mut link: Link, place: Place, mut log_size: u32) -> (Link, u32) {
        while let Some(number) = link.as_quarters() {
            log_size -= 1;
            link = self.quarters[number][quarter_of(place, log_size)];
        }
        (link, log_size)
    }

    /// Where the link is kept that leads to a place's leaf, or to none, and of which square.
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

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The leaf would have to be made.
    Missing,
    /// The leaf that there is is of a later time.
    Before,
}

/// The places and as much again around them, so that what is farther out each time does not matter often.
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
