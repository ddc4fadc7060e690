//! The plane of a town: metres east and north. Accurate to 0.1 % around Lagos, enough for a simulation. Distances in
//! the tables are computed on the ellipsoid, elsewhere.

/// Metres in a degree of latitude, and of longitude on the equator.
const M_PER_DEGREE: f64 = 111_320.0;

/// A point, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) lon: f64,
    pub(super) lat: f64,
}

/// Vector from one point to another, metres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Offset {
    pub(super) east: f64,
    pub(super) north: f64,
}

impl Spot {
    /// The point at this offset.
    pub(super) fn moved(self, by: Offset) -> Self {
        let lat = self.lat + by.north / M_PER_DEGREE;
        Self { lon: self.lon + by.east / (M_PER_DEGREE * self.lat.to_radians().cos()), lat }
    }

    /// Offset to another point.
    pub(super) fn to(self, other: Self) -> Offset {
        let east = (other.lon - self.lon) * M_PER_DEGREE * self.lat.to_radians().cos();
        Offset { east, north: (other.lat - self.lat) * M_PER_DEGREE }
    }

    /// The point at `share` (0..1) of the way to another.
    pub(super) fn between(self, other: Self, share: f64) -> Self {
        Self { lon: self.lon + (other.lon - self.lon) * share, lat: self.lat + (other.lat - self.lat) * share }
    }
}

impl Offset {
    pub(super) fn length(self) -> f64 {
        self.east.hypot(self.north)
    }

    /// Degrees clockwise from north, 0..360.
    pub(super) fn bearing(self) -> f64 {
        self.east.atan2(self.north).to_degrees().rem_euclid(360.0)
    }

    /// Distance to the nearest point of a segment, metres.
    pub(super) fn distance_to_segment(self, a: Self, b: Self) -> f64 {
        let (along, from) = (b.minus(a), self.minus(a));
        let square = along.east * along.east + along.north * along.north;
        let share = ((from.east * along.east + from.north * along.north) / square.max(1e-9)).clamp(0.0, 1.0);
        from.minus(Self { east: along.east * share, north: along.north * share }).length()
    }

    fn minus(self, other: Self) -> Self {
        Self { east: self.east - other.east, north: self.north - other.north }
    }
}
