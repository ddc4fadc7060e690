//! Where a vehicle may move without anything to ask.
//!
//! **Why that is right.** A region is made from a leaf (or from the space outside the grid, where no
//! geofence has a box), for a place and an instant.
//!
//! * *Space.* Its box is part of the leaf's square and keeps off every edge and circle in the leaf. A leaf
//!   has all borders that touch its square, so on the way from the place to any other in the box, which
//!   does not leave it, no border is met: the same shapes cover both.
//! * *Time.* A leaf holds during a span in which no version with a box there begins or ends, and the
//!   region until the end of that span. It is relied on later than it was made, never earlier.
//! * *Edits.* Each epoch that edits geofences begins a generation. What an edited version's boxes meet is
//!   forgotten first, so what a region is made from meanwhile is of other versions, which are the same
//!   under both views and afterwards.
//!
//! Who keeps a region beside what a vehicle is in must give it up whenever that becomes something else
//! than what covers it: when its past is changed, and while it is only within an exit buffer.

use super::square::PlaceBox;
use watchtower_model::{END, Millis, Place};

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

    /// It is known already that nothing will be different, in this generation.
    pub(crate) fn everywhere(generation: u32) -> Self {
        Self { places: PlaceBox::ALL, generation, until: END }
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

    /// How far a place is outside, in units of places; 0 if there is no region.
    #[inline]
    pub fn distance(&self, place: Place) -> u32 {
        if *self == Self::NONE { 0 } else { self.places.distance(place) }
    }
}
