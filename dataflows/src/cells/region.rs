//! Regions in which a vehicle may move without a new lookup.
//!
//! **Correctness.** A region is made from a leaf (or from the space outside the grid, where no geofence has a box), for
//! a place and an instant.
//!
//! * *Space.* Its box is part of the leaf's square and does not reach any edge or circle in the leaf. A leaf has all
//!   borders that touch its square, so the segment from the place to any other in the box, which stays in the square,
//!   meets no border: the same shapes cover both.
//! * *Time.* A leaf is valid during a span in which no version with a box there begins or ends, and the region until
//!   the end of that span. It may be used at later instants than it was made for, never at earlier ones.
//! * *Edits.* Each epoch that edits geofences begins a generation. The cells that meet an edited version's boxes are
//!   dropped first, so a region made in that epoch depends on other versions only, which are the same under both views
//!   and afterwards.
//!
//! A region that is stored with the geofences a vehicle is in must be dropped whenever these differ from the geofences
//! that cover it: after a change of its past, and while it is only within an exit buffer.

use super::square::PlaceBox;
use watchtower_model::{END, Millis, Place};

/// A box of places, all covered by the same geofences, from the instant of the lookup until another, within one
/// generation of geofences.
///
/// It is valid at later instants than that of the lookup, never at earlier ones.
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
    /// The empty region.
    pub const NONE: Self = Self { places: PlaceBox::EMPTY, generation: 0, until: END };

    pub(crate) fn new(places: PlaceBox, until: Millis, generation: u32) -> Self {
        Self { places, generation, until }
    }

    /// All places at all later instants of this generation, for vehicles that need no further lookups.
    pub(crate) fn everywhere(generation: u32) -> Self {
        Self { places: PlaceBox::ALL, generation, until: END }
    }

    /// Whether the result of the lookup is also valid for this place and instant, in this
    /// [generation](crate::catalogue::Catalogue::generation).
    #[inline]
    pub fn holds(&self, place: Place, t: Millis, generation: u32) -> bool {
        self.places.contains(place) & (t < self.until) & (self.generation == generation)
    }

    /// The places of the region.
    pub fn places(&self) -> PlaceBox {
        self.places
    }

    /// Distance of a place from the region, in units of places; 0 if the region is empty.
    #[inline]
    pub fn distance(&self, place: Place) -> u32 {
        if *self == Self::NONE { 0 } else { self.places.distance(place) }
    }
}
