//! Encoding of a leaf, the contents of one square, as a block of words.
//!
//! ```text
//!   covers, borders | circles, length | from | until         counts; interval of validity
//!   hit ..                                                    versions that cover every place
//!   hit, circle (7) ..                                        circles whose border may touch the square
//!   hit, reference, runs * 2 + covered, (length, vertex ..) ..   areas whose edges may touch it
//! ```
//!
//! A hit is a geofence and its version. An area's edges are runs of vertices along its rings. Its reference is a place
//! of which is known whether the area covers it. An area without runs is always decided by its shape: no place in the
//! square was far enough from its edges to be the reference.

use super::arena::Word;
use super::border::{Edge, MARGIN, Room, Walk, place, word};
use crate::index::VersionId;
use watchtower_model::Span;
use watchtower_model::geometry::Circle;
use watchtower_model::geometry::geodesic::reach_m;
use watchtower_model::{GeofenceId, Millis, Place};

const HEADER: usize = 4;
const CIRCLE: usize = 1 + Circle::WORDS;

fn pair(low: u32, high: u32) -> Word {
    Word::from(low) | Word::from(high) << 32
}

#[inline]
fn halves(word: Word) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// A leaf under construction; reused for the next one.
#[derive(Debug, Default)]
pub(super) struct Draft {
    covers: Vec<Word>,
    circles: Vec<Word>,
    areas: Vec<Word>,
    borders: u32,
    words: Vec<Word>,
}

impl Draft {
    pub(super) fn clear(&mut self) {
        self.covers.clear();
        self.circles.clear();
        self.areas.clear();
        self.borders = 0;
    }

    /// Adds a version that covers every place of the square.
    pub(super) fn add_cover(&mut self, geofence: GeofenceId, version: VersionId) {
        self.covers.push(pair(geofence.0, version));
    }

    /// Adds a circle whose border may touch the square.
    pub(super) fn add_circle(&mut self, geofence: GeofenceId, version: VersionId, circle: &Circle) {
        self.circles.push(pair(geofence.0, version));
        self.circles.extend(circle.to_words());
    }

    /// Adds an area, its edges that may touch the square in ascending order, and a reference if one exists.
    pub(super) fn add_area(
        &mut self,
        geofence: GeofenceId,
        version: VersionId,
        edges: &[Edge],
        reference: Option<(Place, bool)>,
    ) {
        self.borders += 1;
        self.areas.push(pair(geofence.0, version));
        let Some((reference, covered)) = reference else {
            self.areas.extend([0, 0]);
            return;
        };
        self.areas.push(word(reference));
        let runs = edges.chunk_by(|a, b| a.name + 1 == b.name);
        self.areas.push(runs.clone().count() as Word * 2 + Word::from(covered));
        for run in runs {
            self.areas.push(run.len() as Word + 1);
            self.areas.push(word(run[0].ends[0]));
            self.areas.extend(run.iter().map(|edge| word(edge.ends[1])));
        }
    }

    /// The finished block; it is valid during `span`.
    pub(super) fn finish(&mut self, span: Span) -> &[Word] {
        // A circle with two boxes may have been added twice.
        self.covers.sort_unstable();
        self.covers.dedup();
        let length = HEADER + self.covers.len() + self.circles.len() + self.areas.len();
        self.words.clear();
        self.words.push(pair(self.covers.len() as u32, self.borders));
        self.words.push(pair((self.circles.len() / CIRCLE) as u32, length as u32));
        self.words.extend([span.from as Word, span.until as Word]);
        self.words.extend_from_slice(&self.covers);
        self.words.extend_from_slice(&self.circles);
        self.words.extend_from_slice(&self.areas);
        &self.words
    }
}

/// A leaf in its encoded form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'a> {
    words: &'a [Word],
}

impl<'a> Leaf<'a> {
    /// The leaf at the begin of these words.
    #[inline]
    pub(super) fn at(words: &'a [Word]) -> Self {
        Self { words }
    }

    /// Interval in which the leaf is valid.
    #[inline]
    pub(super) fn span(&self) -> Span {
        Span { from: self.words[2] as Millis, until: self.words[3] as Millis }
    }

    /// Length of the block in words.
    pub(super) fn length(&self) -> usize {
        halves(self.words[1]).1 as usize
    }

    /// Finds the versions that cover a place of the square; `decide` is called where rounded edges do not suffice.
    ///
    /// With `MEASURE`, reduces the room to places that the same versions cover.
    #[inline]
    pub(super) fn covering<const MEASURE: bool>(
        &self,
        at: Place,
        room: &mut Room,
        decide: impl Fn(VersionId) -> bool,
        mut found: impl FnMut(VersionId, GeofenceId),
    ) {
        let (covers, borders) = halves(self.words[0]);
        let (circles, length) = halves(self.words[1]);
        let mut found = |hit: Word| {
            let (geofence, version) = halves(hit);
            found(version, GeofenceId(geofence));
        };
        let (covers, rest) = self.words[HEADER..length as usize].split_at(covers as usize);
        covers.iter().for_each(|&hit| found(hit));
        let (circles, mut areas) = rest.split_at(circles as usize * CIRCLE);
        for circle in circles.chunks_exact(CIRCLE) {
            let (covered, metres) =
                Circle::from_words(&circle[1..]).cover_and_margin(at.lon_degrees(), at.lat_degrees());
            if covered {
                found(circle[0]);
            }
            if MEASURE {
                room.limit(metres / reach_m(1.0) - MARGIN);
            }
        }
        for _ in 0..borders {
            let (hit, runs) = (areas[0], areas[2] >> 1);
            let mut walk = Walk::new(at, place(areas[1]));
            let covered = areas[2] & 1 == 1;
            areas = &areas[3..];
            for _ in 0..runs {
                let (vertices, after) = areas[1..].split_at(areas[0] as usize);
                walk.along::<MEASURE>(vertices, room);
                areas = after;
            }
            let covered = match walk.crosses().filter(|_| runs > 0) {
                Some(crosses) => covered != crosses,
                None => decide(halves(hit).1),
            };
            if covered {
                found(hit);
            }
            if runs == 0 {
                *room = Room::NONE;
            }
        }
    }
}
