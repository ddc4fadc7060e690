//! The baseline: what a careful programmer writes in an afternoon with the crates `rstar` and `geo`.
//!
//! The boxes of geofences are in an R-tree; the polygons among the hits are tested one by one, and the result is
//! compared with the vehicle's previous one. It knows no event time, so no event may be late; it keeps no visits and no
//! history, and no edit of a geofence can change the past.

use std::ops::ControlFlow;
use std::sync::Arc;

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::{Coord, LineString, MultiPolygon, Polygon};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use watchtower_model::geometry::PolygonRef;
use watchtower_model::{Geofence, Place, PositionEvent};

use super::tally::LastSeen;

/// Name of the baseline in results.
pub const NAME: &str = "rstar+geo";

/// Polygons in an R-tree of their boxes.
pub struct Plain {
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, u32>>,
    polygons: Vec<MultiPolygon>,
}

impl Plain {
    /// Indexes all geofences. `None` if one is a circle: `geo` has no circles on the ellipsoid.
    pub fn new(geofences: &[Arc<Geofence>]) -> Option<Self> {
        if geofences.iter().any(|geofence| geofence.shape.center().is_some()) {
            return None;
        }
        let boxes =
            (0..).zip(geofences).flat_map(|(number, geofence)| {
                geofence.shape.boxes(0.0).into_iter().map(move |b| {
                    GeomWithData::new(Rectangle::from_corners([b.west, b.south], [b.east, b.north]), number)
                })
            });
        let tree = RTree::bulk_load(boxes.collect());
        let polygons = geofences.iter().map(|geofence| geofence.shape.polygons().map(polygon).collect());
        Some(Self { tree, polygons: polygons.collect() })
    }

    /// Processes events in order.
    pub fn advance(&self, seen: &mut LastSeen, events: &[PositionEvent]) {
        seen.advance(events, |event, found| self.covering(event.position.place, found));
    }

    fn covering(&self, place: Place, found: &mut Vec<u32>) {
        let at = [place.lon_degrees(), place.lat_degrees()];
        let coord = Coord { x: at[0], y: at[1] };
        let _: ControlFlow<()> = self.tree.locate_in_envelope_intersecting_int(AABB::from_point(at), |candidate| {
            let polygon = &self.polygons[candidate.data as usize];
            // As `contains`, but a border counts as inside.
            if polygon.coordinate_position(&coord) != CoordPos::Outside {
                found.push(candidate.data);
            }
            ControlFlow::Continue(())
        });
    }
}

fn polygon(polygon: PolygonRef<'_>) -> Polygon {
    let mut rings = polygon.rings().map(|ring| LineString::from_iter(ring.iter().copied()));
    let shell = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
    Polygon::new(shell, rings.collect())
}
