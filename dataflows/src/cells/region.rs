//! Where a vehicle may move without anything to ask.

use super::square::PlaceBox;
use crate::model::{END, Millis, Place};

/// A box of places, all of which the same geofences cover, from the instant it was asked for until
/// another, as long as the geofences are those of one generation.
///
/// It may be relied on at a later instant, never at an earlier one than it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeRegion {
    places: PlaceBox,
    generation: u32,
    until: Millis,
}

impl Default for SafeRegion {
    fn default() -> Self {
        Self::NONE
    }
}

impl SafeRegion {
    /// Nothing is known.
    pub const NONE: Self = Self { places: PlaceBox::EMPTY, generation: 0, until: END };

    pub(crate) fn new(places: PlaceBox, until: Millis, generation: u32) -> Self {
        Self { places, generation, until }
    }

    /// Whether what covered the place and instant that this was asked for covers these, in this
    /// [generation](crate::catalogue::Catalogue::generation).
    #[inline]
    pub fn holds(&self, place: Place, t: Millis, generation: u32) -> bool {
        self.places.contains(place) & (t < self.until) & (self.generation == generation)
    }

    /// The places.
    pub fn places(&self) -> PlaceBox {
        self.places
    }
}
