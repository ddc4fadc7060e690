//! The top level of the cells: a grid of squares over the extent of all geofences.

use super::square::{PlaceBox, Square, counted};
use watchtower_model::Place;

/// Logarithm of the least size of squares: 2^11 units are some 28 m at the equator.
const LEAST_LOG_SIZE: u32 = 11;
/// Limit of the number of squares: 16 MiB.
const MAX_SQUARES: u64 = 1 << 22;
/// Number of squares allowed for any number of geofences: 16 KiB.
const MIN_SQUARES: u64 = 1 << 12;

/// A rectangle of squares of the same size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// All places in its squares.
    pub(super) places: PlaceBox,
    pub(super) log_size: u32,
    /// Column of the south-western square.
    x: u32,
    y: u32,
    columns: u32,
    rows: u32,
}

impl Grid {
    /// A grid that contains these places, with at most about `squares` squares.
    pub(super) fn over(places: &PlaceBox, squares: usize) -> Self {
        let most = (squares as u64).clamp(MIN_SQUARES, MAX_SQUARES);
        let fits = |log_size: u32| {
            let count = |from: i32, to: i32| u64::from((counted(to) >> log_size) - (counted(from) >> log_size)) + 1;
            count(places.west, places.east) * count(places.south, places.north) <= most
        };
        let log_size = (LEAST_LOG_SIZE..31).find(|&log_size| fits(log_size)).unwrap_or(31);
        let first = Square::around(Place { lon: places.west, lat: places.south }, log_size);
        let last = Square::around(Place { lon: places.east, lat: places.north }, log_size);
        let PlaceBox { west, south, .. } = first.places();
        let PlaceBox { east, north, .. } = last.places();
        let (x, y) = (first.x >> log_size, first.y >> log_size);
        Self {
            places: PlaceBox { west, south, east, north },
            log_size,
            x,
            y,
            columns: (last.x >> log_size) - x + 1,
            rows: (last.y >> log_size) - y + 1,
        }
    }

    /// Number of squares.
    pub(super) fn squares(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Number of the square that contains a place; `None` outside of the grid.
    #[inline]
    pub(super) fn number(&self, place: Place) -> Option<usize> {
        let column = (counted(place.lon) >> self.log_size).wrapping_sub(self.x);
        let row = (counted(place.lat) >> self.log_size).wrapping_sub(self.y);
        (column < self.columns && row < self.rows).then(|| row as usize * self.columns as usize + column as usize)
    }

    /// The squares that contain any of these places, with their numbers.
    pub(super) fn numbers(&self, places: &PlaceBox) -> impl Iterator<Item = (usize, Square)> + use<> {
        let grid = *self;
        let places = places.intersection(&self.places);
        let (columns, rows) = if places.west > places.east || places.south > places.north {
            (0..0, 0..0)
        } else {
            let range = |from: i32, to: i32, origin: u32| {
                (counted(from) >> grid.log_size) - origin..(counted(to) >> grid.log_size) - origin + 1
            };
            (range(places.west, places.east, grid.x), range(places.south, places.north, grid.y))
        };
        rows.flat_map(move |row| columns.clone().map(move |column| (column, row))).map(move |(column, row)| {
            let square = Square {
                x: (grid.x + column) << grid.log_size,
                y: (grid.y + row) << grid.log_size,
                log_size: grid.log_size,
            };
            (row as usize * grid.columns as usize + column as usize, square)
        })
    }

    /// A box of places outside of the grid around a place there, all reachable without entering the grid.
    pub(super) fn outside(&self, place: Place) -> PlaceBox {
        let PlaceBox { west, south, east, north } = self.places;
        if place.lon < west {
            PlaceBox { east: west - 1, ..PlaceBox::ALL }
        } else if place.lon > east {
            PlaceBox { west: east + 1, ..PlaceBox::ALL }
        } else if place.lat < south {
            PlaceBox { north: south - 1, ..PlaceBox::ALL }
        } else {
            PlaceBox { south: north + 1, ..PlaceBox::ALL }
        }
    }
}
