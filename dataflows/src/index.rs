//! The index of record of geofence versions: an R-tree over their boxes.
//!
//! The R-tree returns *candidates*; whether a shape covers a place is decided exactly by
//! [`Shape`](watchtower_model::geometry::Shape). It is dynamic, cheap to edit, and the only structure that contains
//! every version. The [`cells`](crate::cells) in front of it are made from it.

use std::ops::ControlFlow;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use watchtower_model::Place;
use watchtower_model::geometry::BoundingBox;

/// Index of a version in the catalogue's table.
pub type VersionId = u32;

type Entry = GeomWithData<Rectangle<[f64; 2]>, VersionId>;

/// The boxes of geofence versions, searchable by place.
#[derive(Debug, Default)]
pub struct GeofenceIndex {
    tree: RTree<Entry>,
}

impl GeofenceIndex {
    /// Adds the boxes of many versions at once; bulk-loads the tree if it was empty.
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

    /// Visits all versions with a box that meets these bounds, until `visit` stops it; possibly twice one with two
    /// boxes.
    pub fn visit_meeting(&self, bounds: &BoundingBox, mut visit: impl FnMut(VersionId) -> ControlFlow<()>) {
        let bounds = AABB::from_corners([bounds.west, bounds.south], [bounds.east, bounds.north]);
        let _ = self.tree.locate_in_envelope_intersecting_int(bounds, |candidate| visit(candidate.data));
    }

    /// The bounding box of all boxes; `None` without boxes.
    pub fn extent(&self) -> Option<BoundingBox> {
        let envelope = (self.tree.size() > 0).then(|| self.tree.root().envelope())?;
        let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
        Some(BoundingBox { west, south, east, north })
    }

    /// Visits all versions with a box that contains the place; possibly twice one with two boxes.
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
