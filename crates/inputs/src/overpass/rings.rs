//! Ways joined to rings, and rings put into each other.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::element::Line;

/// Vertices of an inner ring by which its outer ring is found.
const LOOKED_AT: usize = 16;

/// A coordinate as OpenStreetMap stores it, in units of 1e-7 degrees.
type Key = (i64, i64);

fn key([lon, lat]: [f64; 2]) -> Key {
    ((lon * 1e7).round() as i64, (lat * 1e7).round() as i64)
}

/// Joins lines at their ends, in either direction, to closed rings.
///
/// # Errors
/// If an end meets no other.
pub(super) fn joined(mut lines: Vec<Line>) -> Result<Vec<Line>, String> {
    lines.retain(|line| line.len() >= 2);
    let ends = |line: &Line| [key(line[0]), key(line[line.len() - 1])];
    let mut by_end: HashMap<Key, Vec<usize>, FxBuildHasher> = HashMap::default();
    for (index, line) in lines.iter().enumerate() {
        // A line that is closed is a ring of its own, even where another one touches it.
        let [start, end] = ends(line);
        if start != end {
            [start, end].into_iter().for_each(|end| by_end.entry(end).or_default().push(index));
        }
    }
    let mut rings = Vec::new();
    for index in 0..lines.len() {
        let mut ring = std::mem::take(&mut lines[index]);
        while let [.., last] = ring[..]
            && key(ring[0]) != key(last)
        {
            let found = by_end.get_mut(&key(last)).and_then(|indices| {
                while let Some(next) = indices.pop() {
                    if !lines[next].is_empty() {
                        return Some(next);
                    }
                }
                None
            });
            let Some(next) = found else {
                let [lon, lat] = last;
                return Err(format!("its border does not close at longitude {lon}, latitude {lat}"));
            };
            let mut line = std::mem::take(&mut lines[next]);
            if key(line[0]) != key(last) {
                line.reverse();
            }
            ring.extend_from_slice(&line[1..]);
        }
        if !ring.is_empty() {
            rings.push(ring);
        }
    }
    Ok(rings)
}

/// Polygons: each outer ring with the inner rings that lie in it.
///
/// # Errors
/// If there is no outer ring, or an inner one lies in none of them.
pub(super) fn nested(outer: Vec<Line>, inner: Vec<Line>) -> Result<Vec<Vec<Line>>, String> {
    let mut polygons: Vec<Vec<Line>> = outer.into_iter().map(|ring| vec![ring]).collect();
    if polygons.is_empty() {
        return Err("it has no outer way".to_owned());
    }
    for ring in inner {
        let polygon = match polygons.len() {
            1 => Some(0),
            _ => around(&polygons, &ring),
        };
        let [lon, lat] = ring[0];
        let polygon = polygon
            .ok_or_else(|| format!("an inner way at longitude {lon}, latitude {lat} lies in none of the outer ways"))?;
        polygons[polygon].push(ring);
    }
    Ok(polygons)
}

/// The polygon whose outer ring has most of the first vertices of a ring inside: some may touch it.
fn around(polygons: &[Vec<Line>], ring: &Line) -> Option<usize> {
    let inside =
        |polygon: &[Line]| ring.iter().take(LOOKED_AT).filter(|vertex| contains(&polygon[0], **vertex)).count();
    let counts = polygons.iter().enumerate().map(|(index, polygon)| (inside(polygon), index));
    counts
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, index)| (*count, usize::MAX - index))
        .map(|(_, index)| index)
}

/// Whether a vertex is inside a ring, by the even-odd rule; on the border it may be either.
fn contains(ring: &Line, [lon, lat]: [f64; 2]) -> bool {
    let mut inside = false;
    for edge in ring.windows(2) {
        let ([x0, y0], [x1, y1]) = (edge[0], edge[1]);
        if (y0 > lat) != (y1 > lat) && lon < x0 + (lat - y0) / (y1 - y0) * (x1 - x0) {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Line {
        points.iter().map(|(lon, lat)| [*lon, *lat]).collect()
    }

    fn square(west: f64, side: f64) -> Line {
        line(&[(west, 0.0), (west + side, 0.0), (west + side, side), (west, side), (west, 0.0)])
    }

    #[test]
    fn lines_are_joined_in_any_order_and_direction() {
        let whole = square(0.0, 1.0);
        let parts = || vec![whole[3..].to_vec(), whole[..2].to_vec(), whole[1..4].to_vec()];
        for turned in 0..8 {
            let mut lines = parts();
            for (index, line) in lines.iter_mut().enumerate() {
                if turned >> index & 1 == 1 {
                    line.reverse();
                }
            }
            lines.push(square(3.0, 1.0));
            let rings = joined(lines).unwrap();
            assert_eq!(rings.len(), 2, "{rings:?}");
            assert_eq!((rings[0].len(), rings[0].first()), (5, rings[0].last()), "{turned}");
        }
        let fault = joined(parts()[..2].to_vec()).unwrap_err();
        assert!(fault.contains("does not close at longitude 1"), "{fault}");
    }

    #[test]
    fn rings_are_put_into_the_one_around_them() {
        let hole = line(&[(2.0, 0.0), (2.5, 0.5), (2.2, 0.5), (2.0, 0.0)]);
        let polygons = nested(vec![square(0.0, 1.0), square(2.0, 1.0)], vec![hole.clone()]).unwrap();
        assert_eq!((polygons[0].len(), polygons[1].len()), (1, 2));
        assert!(nested(vec![square(0.0, 1.0), square(4.0, 1.0)], vec![hole.clone()]).unwrap_err().contains("none"));
        assert!(nested(Vec::new(), vec![hole]).unwrap_err().contains("no outer way"));
    }
}
