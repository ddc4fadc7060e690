//! Shapes from well-known binary, as the stores keep them: little-endian, two coordinates, no SRID.

use watchtower_model::geometry::{Area, Shape};

const LITTLE_ENDIAN: u8 = 1;
const POINT: u32 = 1;
const POLYGON: u32 = 3;
const MULTIPOLYGON: u32 = 6;

/// Reads a polygon, a multipolygon, or the centre of a circle of radius `radius_m`. `None` if it is none of them. An
/// area is not validated again: its writer did.
pub(super) fn shape(wkb: &[u8], radius_m: Option<f64>) -> Option<Shape> {
    let mut scan = Scan(wkb);
    let shape = match scan.head()? {
        POINT => Shape::circle(scan.vertex()?, radius_m?).ok()?,
        POLYGON => Shape::Area(Area::from(vec![scan.polygon()?])),
        MULTIPOLYGON => {
            let polygons = scan.many(|scan| if scan.head()? == POLYGON { scan.polygon() } else { None })?;
            Shape::Area(Area::from(polygons))
        }
        _ => return None,
    };
    scan.0.is_empty().then_some(shape)
}

/// The bytes that were not read yet.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The kind of the geometry that follows.
    fn head(&mut self) -> Option<u32> {
        let [LITTLE_ENDIAN] = self.take()? else { return None };
        Some(u32::from_le_bytes(self.take()?))
    }

    fn vertex(&mut self) -> Option<[f64; 2]> {
        Some([f64::from_le_bytes(self.take()?), f64::from_le_bytes(self.take()?)])
    }

    /// A number of parts, and the parts; at least one.
    fn many<T>(&mut self, mut part: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let parts = u32::from_le_bytes(self.take()?);
        let parts: Vec<T> = (0..parts).map(|_| part(self)).collect::<Option<_>>()?;
        (!parts.is_empty()).then_some(parts)
    }

    fn polygon(&mut self) -> Option<Vec<Vec<[f64; 2]>>> {
        self.many(|scan| scan.many(Self::vertex))
    }
}

#[cfg(test)]
mod tests {
    use watchtower_geopackage::geometry;

    use super::*;

    fn square(west: f64) -> Vec<Vec<[f64; 2]>> {
        vec![vec![[west, 6.0], [west + 1.0, 6.0], [west + 1.0, 7.5], [west, 7.5], [west, 6.0]]]
    }

    #[test]
    fn shapes_come_back() {
        let shapes = [
            Shape::from_polygons(vec![square(3.0)]).unwrap(),
            Shape::from_polygons(vec![square(3.0), square(9.0)]).unwrap(),
            Shape::circle([3.36, 6.44], 150.5).unwrap(),
        ];
        for written in shapes {
            let blob = geometry::shape(&written);
            let wkb = geometry::wkb(&blob).unwrap();
            assert_eq!(shape(wkb, written.radius_m()), Some(written));
            for end in 0..wkb.len() {
                assert_eq!(shape(&wkb[..end], Some(1.0)), None, "{end}");
            }
            assert_eq!(shape(&[wkb, &[0]].concat(), Some(1.0)), None);
        }
    }

    #[test]
    fn a_point_without_a_radius_is_no_shape() {
        let blob = geometry::point([3.36, 6.44]);
        assert_eq!(shape(geometry::wkb(&blob).unwrap(), None), None);
    }
}
