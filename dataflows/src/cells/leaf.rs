//! What is known of one square: a block of words, as it is written and as it is read.
//!
//! ```text
//!   covers, borders | circles, length | from | until         counts; when it holds
//!   hit ..                                                    versions that cover every place
//!   hit, circle (7) ..                                        circles whose border may touch the square
//!   hit, reference, runs * 2 + covered, (length, vertex ..) ..   areas whose edges may touch it
//! ```
//!
//! A hit is a geofence and its version. An area's edges are runs of vertices along its rings; of its
//! reference, a place, it is known whether the area covers it. An area without runs is always decided by
//! its shape: no place in the square was far enough from its edges to refer to.

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

/// A leaf that is being written.
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

    /// A version that covers every place.
    pub(super) fn add_cover(&mut self, geofence: GeofenceId, version: VersionId) {
        self.covers.push(pair(geofence.0, version));
    }

    /// A circle whose border may touch the square.
    pub(super) fn add_circle(&mut self, geofence: GeofenceId, version: VersionId, circle: &Circle) {
        self.circles.push(pair(geofence.0, version));
        self.circles.extend(circle.to_words());
    }

    /// An area, its edges that may touch the square, ascending, and a reference if there is one.
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

    /// The block, which holds during a span.
    pub(super) fn finish(&mut self, span: Span) -> &[Word] {
        // A circle that has two boxes may be there twice.
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

/// A leaf that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'a> {
    words: &'a [Word],
}

impl<'a> Leaf<'a> {
    /// The one that these words begin with.
    #[inline]
    pub(super) fn at(words: &'a [Word]) -> Self {
        Self { words }
    }

    /// When it holds.
    #[inline]
    pub(super) fn span(&self) -> Span {
        Span { from: self.words[2] as Millis, until: self.words[3] as Millis }
    }

    /// In words.
    pub(super) fn length(&self) -> usize {
        halves(self.words[1]).1 as usize
    }

    /// Finds the versions that cover a place of the square; where rounded edges cannot tell, `decide` does.
    ///
    /// With `MEASURE`, cuts the room down to places that are covered by the same.
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
            let (covered, metres) = Circle::from_words(&circle[1..]).standing(at.lon_degrees(), at.lat_degrees());
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
