//! Well-known text, as databases write it, and with latitude first, as Traccar does.

use super::forms::Form;

/// Collections within collections.
const MAX_DEPTH: usize = 8;

/// Which coordinate comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axes {
    /// Longitude, as in WKT.
    LongitudeFirst,
    /// Latitude, as in Traccar; its rings may be left open.
    LatitudeFirst,
}

/// Reads a geometry.
///
/// # Errors
/// What was expected, if it is none.
pub(crate) fn parse(text: &str, axes: Axes) -> Result<Form, String> {
    let mut rest = text.trim();
    if let Some((srid, geometry)) = rest.split_once(';').filter(|(head, _)| head.len() < 16) {
        let number = srid.trim().to_ascii_uppercase();
        match number.strip_prefix("SRID=") {
            Some("4326") => rest = geometry.trim(),
            Some(other) => return Err(format!("SRID {other}: only WGS84 (4326) is read; ST_Transform(geom, 4326)")),
            None => {}
        }
    }
    let mut scan = Scan { rest, axes };
    let form = scan.geometry(0)?;
    if scan.rest.trim().is_empty() { Ok(form) } else { Err(format!("more behind the geometry: {:.32}", scan.rest)) }
}

struct Scan<'a> {
    rest: &'a str,
    axes: Axes,
}

impl<'a> Scan<'a> {
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn is_next(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.is_next(wanted) { Ok(()) } else { Err(format!("expected '{wanted}', found {:?}", cut(self.rest))) }
    }

    fn geometry(&mut self, depth: usize) -> Result<Form, String> {
        let kind = self.word().to_ascii_uppercase();
        let before = self.rest;
        let more = self.word().to_ascii_uppercase();
        if more == "EMPTY" {
            return Err(format!("{kind} is empty"));
        }
        if !matches!(more.as_str(), "" | "Z" | "M" | "ZM") {
            self.rest = before;
        }
        match kind.as_str() {
            "POINT" => self.list(Self::vertex)?.pop().map(Form::Point).ok_or_else(|| "an empty point".to_owned()),
            "CIRCLE" => self.circle(),
            "LINESTRING" => Ok(Form::Line(self.list(Self::vertex)?)),
            "POLYGON" => Ok(Form::Polygon(self.rings()?)),
            "MULTIPOINT" => Ok(Form::Many(self.list(Self::loose_vertex)?.into_iter().map(Form::Point).collect())),
            "MULTILINESTRING" => {
                let lines = self.list(|scan| scan.list(Self::vertex))?;
                Ok(Form::Many(lines.into_iter().map(Form::Line).collect()))
            }
            "MULTIPOLYGON" => Ok(Form::Many(self.list(Self::rings)?.into_iter().map(Form::Polygon).collect())),
            "GEOMETRYCOLLECTION" if depth < MAX_DEPTH => Ok(Form::Many(self.list(|scan| scan.geometry(depth + 1))?)),
            _ => Err(format!("expected WKT, as in POLYGON ((3.4 6.5, ..)), found {:?}", cut(&kind))),
        }
    }

    /// `(item, item, ..)`.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.expect('(')?;
        let mut items = vec![item(self)?];
        while self.is_next(',') {
            items.push(item(self)?);
        }
        self.expect(')')?;
        Ok(items)
    }

    fn rings(&mut self) -> Result<Vec<Vec<[f64; 2]>>, String> {
        let mut rings = self.list(|scan| scan.list(Self::vertex))?;
        if self.axes == Axes::LatitudeFirst {
            for ring in &mut rings {
                if ring.len() > 2 && ring.first() != ring.last() {
                    ring.push(ring[0]);
                }
            }
        }
        Ok(rings)
    }

    /// A vertex, in brackets of its own or not.
    fn loose_vertex(&mut self) -> Result<[f64; 2], String> {
        if !self.is_next('(') {
            return self.vertex();
        }
        let vertex = self.vertex()?;
        self.expect(')')?;
        Ok(vertex)
    }

    /// Two numbers, and others that are passed over: heights and measures.
    fn vertex(&mut self) -> Result<[f64; 2], String> {
        let (first, second) = (self.number()?, self.number()?);
        while self.number().is_ok() {}
        Ok(match self.axes {
            Axes::LongitudeFirst => [first, second],
            Axes::LatitudeFirst => [second, first],
        })
    }

    fn number(&mut self) -> Result<f64, String> {
        self.rest = self.rest.trim_start();
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().map_err(|_| format!("expected a number, found {:?}", cut(self.rest)))?;
        self.rest = &self.rest[end..];
        Ok(number)
    }

    /// `CIRCLE (lat lon, metres)`.
    fn circle(&mut self) -> Result<Form, String> {
        self.expect('(')?;
        let center = self.vertex()?;
        self.expect(',')?;
        let radius_m = self.number()?;
        self.expect(')')?;
        Ok(Form::Circle { center, radius_m })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_databases_write() {
        let read = |text| parse(text, Axes::LongitudeFirst);
        assert_eq!(read("POINT(3.36 6.5)"), Ok(Form::Point([3.36, 6.5])));
        assert_eq!(read("SRID=4326;Point Z (3.36 6.5 12)"), Ok(Form::Point([3.36, 6.5])));
        let square = vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]];
        assert_eq!(read("POLYGON ((0 0, 1 0, 1 1, 0 0))"), Ok(Form::Polygon(square.clone())));
        let two = Form::Many(vec![Form::Polygon(square.clone()), Form::Polygon(square)]);
        assert_eq!(read("MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((0 0,1 0,1 1,0 0)))"), Ok(two));
        assert!(read("SRID=25833;POINT(1 2)").unwrap_err().contains("25833"));
        for bad in ["", "POLYGON", "POLYGON ((0 0, 1 0", "POINT (1)", "POINT EMPTY", "POINT (1 2) x", "CIRCLE (1 2)"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn traccar_has_latitude_first_and_open_rings() {
        let read = |text| parse(text, Axes::LatitudeFirst);
        assert_eq!(read("CIRCLE (6.5 3.36, 200)"), Ok(Form::Circle { center: [3.36, 6.5], radius_m: 200.0 }));
        let ring = vec![vec![[0.0, 1.0], [0.0, 2.0], [3.0, 2.0], [0.0, 1.0]]];
        assert_eq!(read("POLYGON((1 0, 2 0, 2 3))"), Ok(Form::Polygon(ring)));
    }
}
