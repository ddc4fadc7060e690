//! Which geofence versions may cover a place: the index of record, an R-tree over boxes.
//!
//! The R-tree answers with *candidates*; whether the shape covers the place is decided exactly by
//! [`Shape`](watchtower_model::geometry::Shape). It is dynamic, cheap to edit, and the only thing that must
//! know every version. In front of it stand the [`cells`](crate::cells), which it is asked to make.

use std::ops::ControlFlow;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use watchtower_model::Place;
use watchtower_model::geometry::BoundingBox;

/// Where the catalogue keeps a version: an index into its table.
pub type VersionId = u32;

type Entry = GeomWithData<Rectangle<[f64; 2]>, VersionId>;

/// Boxes of geofence versions, found by place.
#[derive(Debug, Default)]
pub struct GeofenceIndex {
    tree: RTree<Entry>,
}

impl GeofenceIndex {
    /// Adds the boxes of many versions at once: the tree is packed when it was empty.
    pub fn extend(&mut self, entries: impl Iterator<Item = (BoundingBox, VersionId)>) {
        let entries: Vec<Entry> = entries.map(|(bounds, id)| entry(bounds, id)).collect();
        if self.tree.size() == 0 {
            self.tree = RTree::bulk_load(entries);
        } else {
            entries.into_iter().for_each(|e| self.tree.insert(e));
        }
    }

    /// Removes one box of a version.
    pub fn remove(&mut self, bounds: BoundingBox, id: VersionId) {
        let removed = self.tree.remove(&entry(bounds, id));
        debug_assert!(removed.is_some(), "a version leaves the index with the boxes it entered with");
    }

    /// Visits versions with a box that meets these bounds, all of them unless told to stop; one with two
    /// boxes possibly twice.
    pub fn visit_meeting(&self, bounds: &BoundingBox, mut visit: impl FnMut(VersionId) -> ControlFlow<()>) {
        let bounds = AABB::from_corners([bounds.west, bounds.south], [bounds.east, bounds.north]);
        let _ = self.tree.locate_in_envelope_intersecting_int(bounds, |candidate| visit(candidate.data));
    }

    /// A box around all boxes, if there are any.
    pub fn extent(&self) -> Option<BoundingBox> {
        let envelope = (self.tree.size() > 0).then(|| self.tree.root().envelope())?;
        let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
        Some(BoundingBox { west, south, east, north })
    }

    /// Visits every version with a box that holds the place; one with two boxes possibly twice.
    pub fn visit(&self, place: Place, mut visit: impl FnMut(VersionId)) {
        let point = AABB::from_point([place.lon_degrees(), place.lat_degrees()]);
        let _: ControlFlow<()> = self.tree.locate_in_envelope_intersecting_int(point, |candidate| {
            visit(candidate.data);
            ControlFlow::Continue(())
        });
    }
}

fn entry(b: BoundingBox, id: VersionId) -> Entry {
    GeomWithData::new(Rectangle::from_corners([b.west, b.south], [b.east, b.north]), id)
}
