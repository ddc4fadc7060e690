//! Squares of places, each a quarter of a larger square.

use super::border::Room;
use watchtower_model::Place;
use watchtower_model::geometry::BoundingBox;

/// A box of places, its borders included; empty if `east < west`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceBox {
    /// Least longitude, in units of 1e-7 degrees, as the others.
    pub west: i32,
    /// Least latitude, 1e-7 degrees.
    pub south: i32,
    /// Greatest longitude, 1e-7 degrees.
    pub east: i32,
    /// Greatest latitude, 1e-7 degrees.
    pub north: i32,
}

impl PlaceBox {
    /// The box without places.
    pub const EMPTY: Self = Self { west: i32::MAX, south: i32::MAX, east: i32::MIN, north: i32::MIN };
    /// The box of all places.
    pub const ALL: Self = Self { west: i32::MIN, south: i32::MIN, east: i32::MAX, north: i32::MAX };

    /// The box of a single place.
    #[inline]
    pub(super) fn only(Place { lon, lat }: Place) -> Self {
        Self { west: lon, south: lat, east: lon, north: lat }
    }

    /// Distance of a place from the box in the maximum norm, units.
    #[inline]
    pub(super) fn distance(&self, place: Place) -> u32 {
        let beyond = |from: i32, to: i32| (i64::from(to) - i64::from(from)).max(0);
        let across = beyond(place.lon, self.west).max(beyond(self.east, place.lon));
        let up = beyond(place.lat, self.south).max(beyond(self.north, place.lat));
        across.max(up) as u32
    }

    /// Whether the box contains a place.
    #[inline]
    pub fn contains(&self, place: Place) -> bool {
        (self.west <= place.lon) & (place.lon <= self.east) & (self.south <= place.lat) & (place.lat <= self.north)
    }

    /// The places in both boxes.
    #[inline]
    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self {
            west: self.west.max(other.west),
            south: self.south.max(other.south),
            east: self.east.min(other.east),
            north: self.north.min(other.north),
        }
    }

    /// Distances from one of its places to its sides.
    #[inline]
    pub(super) fn room_around(&self, place: Place) -> Room {
        let between = |from: i32, to: i32| f64::from(to) - f64::from(from);
        Room {
            west: between(self.west, place.lon),
            south: between(self.south, place.lat),
            east: between(place.lon, self.east),
            north: between(place.lat, self.north),
        }
    }

    /// The box around a place that a room allows.
    #[inline]
    pub(super) fn around(place: Place, room: &Room) -> Self {
        if room.west.min(room.south).min(room.east).min(room.north) < 0.0 {
            return Self::EMPTY;
        }
        // The casts round down; the sum stays within the range of coordinates.
        let plus = |coordinate: i32, by: f64| (i64::from(coordinate) + by as i64) as i32;
        let minus = |coordinate: i32, by: f64| (i64::from(coordinate) - by as i64) as i32;
        Self {
            west: minus(place.lon, room.west),
            south: minus(place.lat, room.south),
            east: plus(place.lon, room.east),
            north: plus(place.lat, room.north),
        }
    }

    /// A box that contains every place in the bounds, and some slightly outside.
    pub(super) fn within(bounds: &BoundingBox) -> Self {
        // The casts saturate; a margin of half a unit suffices against rounding.
        Self {
            west: (bounds.west * 1e7 - 1.0).floor() as i32,
            south: (bounds.south * 1e7 - 1.0).floor() as i32,
            east: (bounds.east * 1e7 + 1.0).ceil() as i32,
            north: (bounds.north * 1e7 + 1.0).ceil() as i32,
        }
    }

    /// The bounds of exactly these places, in the degrees of [`Place`]: the division is monotone.
    pub(super) fn degrees(&self) -> BoundingBox {
        let south_west = Place { lon: self.west, lat: self.south };
        let north_east = Place { lon: self.east, lat: self.north };
        BoundingBox {
            west: south_west.lon_degrees(),
            south: south_west.lat_degrees(),
            east: north_east.lon_degrees(),
            north: north_east.lat_degrees(),
        }
    }

    /// The place in the middle, and the greatest difference of a coordinate from it.
    pub(super) fn middle(&self) -> (Place, i64) {
        let middle = |a: i32, b: i32| (i64::from(a) + i64::from(b)).div_euclid(2) as i32;
        let place = Place { lon: middle(self.west, self.east), lat: middle(self.south, self.north) };
        let reach = |from: i32, to: i32| i64::from(to) - i64::from(from);
        (place, reach(place.lon, self.east).max(reach(place.lat, self.north)))
    }
}

/// A longitude or latitude as an offset from the least `i32`, so that squares begin at multiples of their size.
#[inline]
pub(super) fn counted(coordinate: i32) -> u32 {
    coordinate as u32 ^ 0x8000_0000
}

fn coordinate(counted: u32) -> i32 {
    (counted ^ 0x8000_0000) as i32
}

/// The places whose offset coordinates agree except in the last `log_size` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Square {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) log_size: u32,
}

impl Square {
    /// The square of this size that contains a place.
    #[inline]
    pub(super) fn around(place: Place, log_size: u32) -> Self {
        let first = |counted: u32| counted >> log_size << log_size;
        Self { x: first(counted(place.lon)), y: first(counted(place.lat)), log_size }
    }

    /// The places of the square.
    #[inline]
    pub(super) fn places(&self) -> PlaceBox {
        let last = (1 << self.log_size) - 1;
        PlaceBox {
            west: coordinate(self.x),
            south: coordinate(self.y),
            east: coordinate(self.x | last),
            north: coordinate(self.y | last),
        }
    }

    /// The square of which it is a quarter; `None` for the largest.
    pub(super) fn parent(&self) -> Option<Self> {
        (self.log_size < 31).then(|| Self::around(self.first(), self.log_size + 1))
    }

    /// The place in its south-western corner.
    pub(super) fn first(&self) -> Place {
        Place { lon: coordinate(self.x), lat: coordinate(self.y) }
    }

    /// One of its quarters: 0 is south-west, 1 south-east, 2 north-west, 3 north-east.
    pub(super) fn quarter(&self, number: u32) -> Self {
        let log_size = self.log_size - 1;
        Self { x: self.x | (number & 1) << log_size, y: self.y | (number >> 1) << log_size, log_size }
    }
}

/// Number of the quarter that contains a place, for quarters of this size.
#[inline]
pub(super) fn quarter_of(place: Place, log_size: u32) -> usize {
    let bit = |coordinate: i32| (counted(coordinate) >> log_size & 1) as usize;
    bit(place.lon) | bit(place.lat) << 1
}

/// Whether two boxes have a place in common.
pub(super) fn overlap(a: &PlaceBox, b: &PlaceBox) -> bool {
    a.west <= b.east && b.west <= a.east && a.south <= b.north && b.south <= a.north
}
