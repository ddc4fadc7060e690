//! Decides on which side of a border a place lies, with rounded coordinates where they suffice.
//!
//! Vertices are doubles in degrees. Rounded to 1e-7 degrees they fit into eight bytes, each coordinate
//! off by at most [`OFF`] units: half a unit, and the rounding error of the multiplication by 1e7. The degrees of a
//! place, a division by 1e7, are rounded too, by at most [`OFF_PLACE`] units. So everything here has a
//! tolerance; results within it are "unknown" and left to the exact predicates.
//!
//! **Crossings.** A place `p` and a reference `r` in the same square are on the same side of a shape's
//! border if the segment from `p` to `r` crosses its edges an even number of times. The segment does not
//! leave the square, so only edges that touch the square matter, and more do no harm. With no vertex on
//! the line through `p` and `r`, an edge is crossed if and only if its ends lie on different sides of
//! that line and `p` and `r` on different sides of the edge's line; and `p`, which lies on that line, is
//! on the border only if it is on an edge whose ends lie on different sides, then on the edge's line.
//! If all are moved by their greatest errors, `(v - p) x (r - p)` changes by at most
//! `(OFF + OFF_PLACE) |r - p|_1 + 2 OFF_PLACE |v - p|_1 + 1` and `(a - p) x (b - p)` by
//! `(OFF + OFF_PLACE) (|a - p|_1 + |b - p|_1) + 1`. Coordinates differ by less than 2^32, so that doubles
//! compute such a product to within `2^32 2^-50 < 1e-5` times either norm: [`TOLERANCE`] has room for it.
//!
//! **Distances.** A box around `p` and an edge are apart if they are so along one of the axes or along
//! the edge's normal (separating axes: all normals of the two). So the edge's distance from `p` in the
//! maximum norm is the largest of the three gaps. If that is the gap to the east, it is enough for a box
//! not to reach as far east: see [`Room`].

use super::arena::Word;
use watchtower_model::Place;

/// An edge of an area, with rounded ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// The index of its first vertex: consecutive edges of a ring have consecutive indices.
    pub(super) name: u32,
    pub(super) ends: [Place; 2],
}

/// Upper bound of the error of a rounded coordinate, units.
const OFF: f64 = 0.501;
/// Upper bound of the error of a place's degrees, units: for 180 degrees it is 1.5e-7.
const OFF_PLACE: f64 = 2e-7;
/// A product of coordinates is certain if it exceeds this times a norm, plus 1.
const TOLERANCE: f64 = OFF + 0.01;
/// Reduction of distances from rounded edges, units: twice their error, and one more.
pub(super) const MARGIN: f64 = 2.0;

/// A difference of coordinates, units.
pub(super) type Vector = [f64; 2];

/// Rounds a vertex in degrees to a place.
pub(super) fn rounded([lon, lat]: [f64; 2]) -> Place {
    Place::from_degrees(lon, lat)
}

#[inline]
pub(super) fn word(place: Place) -> Word {
    Word::from(place.lon as u32) | Word::from(place.lat as u32) << 32
}

#[inline]
pub(super) fn place(word: Word) -> Place {
    Place { lon: word as u32 as i32, lat: (word >> 32) as u32 as i32 }
}

/// Difference of two places.
#[inline]
pub(super) fn vector(from: Place, to: Place) -> Vector {
    [f64::from(to.lon) - f64::from(from.lon), f64::from(to.lat) - f64::from(from.lat)]
}

#[inline]
fn cross(a: Vector, b: Vector) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

#[inline]
fn norm(a: Vector) -> f64 {
    a[0].abs() + a[1].abs()
}

/// Distance of the edge from `a` to `b` from the origin, in the maximum norm, units.
#[inline]
pub(super) fn distance(a: Vector, b: Vector) -> f64 {
    let along = [b[0] - a[0], b[1] - a[1]];
    let gap = |axis: usize| a[axis].min(b[axis]).max(-a[axis].max(b[axis]));
    // An edge without length has no normal: the result is NaN, which `max` ignores.
    (cross(a, along).abs() / norm(along)).max(gap(0)).max(gap(1))
}

/// Distances that a box around a place may extend in each direction, units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    pub(super) west: f64,
    pub(super) south: f64,
    pub(super) east: f64,
    pub(super) north: f64,
}

impl Room {
    /// An empty box, without the place itself.
    pub(super) const NONE: Self = Self { west: -1.0, south: -1.0, east: -1.0, north: -1.0 };

    /// Limits the extent in all directions.
    #[inline]
    pub(super) fn limit(&mut self, most: f64) {
        self.west = lesser(self.west, most);
        self.south = lesser(self.south, most);
        self.east = lesser(self.east, most);
        self.north = lesser(self.north, most);
    }

    /// Reduces the extent so that the box does not reach an edge from `a` to `b`, relative to the place. It reduces the
    /// direction, or all directions, in which the least is lost.
    #[inline]
    fn keep_off(&mut self, a: Vector, b: Vector) {
        let (west, east) = (-greater(a[0], b[0]) - MARGIN, lesser(a[0], b[0]) - MARGIN);
        let (south, north) = (-greater(a[1], b[1]) - MARGIN, lesser(a[1], b[1]) - MARGIN);
        if (west >= self.west) | (east >= self.east) | (south >= self.south) | (north >= self.north) {
            return;
        }
        let along = [b[0] - a[0], b[1] - a[1]];
        // NaN if the edge has no length, and then not greater than any number.
        let aside = cross(a, along).abs() / norm(along) - MARGIN;
        let (across, up) = (greater(west, east), greater(south, north));
        if aside > greater(across, up) {
            self.limit(aside);
        } else if across >= up {
            *(if east >= west { &mut self.east } else { &mut self.west }) = across;
        } else {
            *(if north >= south { &mut self.north } else { &mut self.south }) = up;
        }
    }
}

/// `f64::min` without its treatment of NaN: one instruction.
#[inline]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline]
fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Follows a border and counts how often it crosses the segment from a place to its reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    place: Place,
    way: Vector,
    tolerance: f64,
    crosses: bool,
    certain: bool,
}

impl Walk {
    #[inline]
    pub(super) fn new(place: Place, reference: Place) -> Self {
        let way = vector(place, reference);
        let tolerance = TOLERANCE * norm(way) + 1.0;
        Self { place, way, tolerance, crosses: false, certain: true }
    }

    /// Follows edges from vertex to vertex. With `MEASURE`, also reduces the room so that it does not reach them.
    #[inline]
    pub(super) fn along<const MEASURE: bool>(&mut self, vertices: &[Word], room: &mut Room) {
        let Some((&first, rest)) = vertices.split_first() else { return };
        let mut a = vector(self.place, place(first));
        let mut side_a = cross(a, self.way);
        self.certain &= self.is_certain(a, side_a);
        for &vertex in rest {
            let b = vector(self.place, place(vertex));
            let side_b = cross(b, self.way);
            self.certain &= self.is_certain(b, side_b);
            if (side_a > 0.0) != (side_b > 0.0) {
                self.meet(a, b);
            }
            if MEASURE {
                room.keep_off(a, b);
            }
            (a, side_a) = (b, side_b);
        }
    }

    /// Whether the side of a vertex relative to the segment's line is certain.
    #[inline]
    fn is_certain(&self, vertex: Vector, side: f64) -> bool {
        side.abs() > self.tolerance + 2.0 * OFF_PLACE * norm(vertex)
    }

    /// Tests an edge whose ends are on different sides of the segment's line.
    #[inline]
    fn meet(&mut self, a: Vector, b: Vector) {
        let along = [b[0] - a[0], b[1] - a[1]];
        // The place is the origin; the reference is at `way`.
        let here = cross(a, along);
        let there = here - cross(self.way, along);
        let tolerance = TOLERANCE * (norm(a) + norm(b) + 2.0 * norm(self.way)) + 1.0;
        self.certain &= here.abs() > tolerance && there.abs() > tolerance;
        self.crosses ^= (here > 0.0) != (there > 0.0);
    }

    /// Whether the border separates the place from its reference; `None` if uncertain.
    #[inline]
    pub(super) fn crosses(&self) -> Option<bool> {
        self.certain.then_some(self.crosses)
    }
}
