//! Well-known binary, as databases store geometries: that of ISO and OGC, and the extended one of PostGIS, which is
//! also what `psql` prints, in hexadecimal digits.

use super::forms::Form;

/// Collections within collections.
const MAX_DEPTH: usize = 8;
/// The flags that PostGIS sets in the kind of a geometry.
const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;
/// Spatial references that are longitude and latitude on WGS84; 0 is none.
const WGS84: [u32; 2] = [0, 4326];

/// The geometry as GeoJSON, with the very coordinates of the binary; degrees, longitude first.
///
/// # Errors
/// What was expected, if it is none, or not on WGS84.
pub(crate) fn geojson_of_wkb(bytes: &[u8]) -> Result<String, String> {
    parse(bytes).map(|form| form.to_json().0)
}

/// Whether a text is the beginning of a geometry in hexadecimal digits: a byte order, then a kind.
pub(crate) fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("\\x").unwrap_or(text);
    digits.len() >= 18
        && (digits.starts_with("00") || digits.starts_with("01"))
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads a geometry in hexadecimal digits.
pub(crate) fn parse_hex(text: &str) -> Result<Form, String> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    parse(&bytes.ok_or("expected well-known binary in hexadecimal digits")?)
}

/// Reads a geometry.
pub(crate) fn parse(bytes: &[u8]) -> Result<Form, String> {
    let mut scan = Scan { rest: bytes, little: true };
    let form = scan.geometry(0)?;
    if scan.rest.is_empty() { Ok(form) } else { Err(format!("{} bytes behind the geometry", scan.rest.len())) }
}

struct Scan<'a> {
    rest: &'a [u8],
    /// Byte order of the current geometry.
    little: bool,
}

impl Scan<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("well-known binary that is cut off")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take::<4>()?;
        Ok(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn coordinate(&mut self) -> Result<f64, String> {
        let bytes = self.take::<8>()?;
        Ok(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn geometry(&mut self, depth: usize) -> Result<Form, String> {
        self.little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            [other] => return Err(format!("expected well-known binary, found the byte order {other}")),
        };
        let kind = self.number()?;
        if kind & HAS_SRID != 0 {
            let srid = self.number()?;
            if !WGS84.contains(&srid) {
                return Err(format!("SRID {srid}: only WGS84 (4326) is read; ST_Transform(geom, 4326)"));
            }
        }
        let plain = kind & !(HAS_Z | HAS_M | HAS_SRID);
        // ISO counts Z as 1000, M as 2000, both as 3000.
        let of_iso = match plain / 1000 {
            0 => 0,
            1 | 2 => 1,
            3 => 2,
            _ => return Err(format!("{kind} is no kind of geometry")),
        };
        let more = of_iso + usize::from(kind & HAS_Z != 0) + usize::from(kind & HAS_M != 0);
        match plain % 1000 {
            1 => self.vertex(more).map(Form::Point),
            2 => self.line(more).map(Form::Line),
            3 => {
                let rings = self.number()?;
                (0..rings).map(|_| self.line(more)).collect::<Result<_, _>>().map(Form::Polygon)
            }
            4..=7 if depth < MAX_DEPTH => {
                let parts = self.number()?;
                (0..parts).map(|_| self.geometry(depth + 1)).collect::<Result<_, _>>().map(Form::Many)
            }
            _ => Err(format!("geometries of the kind {kind} are not read")),
        }
    }

    fn line(&mut self, more: usize) -> Result<Vec<[f64; 2]>, String> {
        let vertices = self.number()?;
        (0..vertices).map(|_| self.vertex(more)).collect()
    }

    /// Two coordinates; heights and measures are passed over.
    fn vertex(&mut self, more: usize) -> Result<[f64; 2], String> {
        let vertex = [self.coordinate()?, self.coordinate()?];
        for _ in 0..more {
            self.coordinate()?;
        }
        Ok(vertex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_psql_prints() {
        let point = "0101000020E6100000E17A14AE47E10A400000000000001A40";
        assert!(is_hex(point));
        assert_eq!(parse_hex(point), Ok(Form::Point([3.36, 6.5])));
        assert_eq!(parse_hex(&format!("\\x{point}")), Ok(Form::Point([3.36, 6.5])));
        let line = "010200000003000000000000000000000000000000000000000000000000000840\
                    0000000000001040000000000000F03F0000000000000040";
        assert_eq!(parse_hex(line), Ok(Form::Line(vec![[0.0, 0.0], [3.0, 4.0], [1.0, 2.0]])));
        // Big-endian, with a height: of ISO, and of PostGIS.
        for kind in ["000003E9", "80000001"] {
            let text = format!("00{kind}400AE147AE147AE1401A0000000000004028000000000000");
            assert_eq!(parse_hex(&text), Ok(Form::Point([3.36, 6.5])), "{kind}");
        }
        assert!(parse_hex("0101000020110F0000E17A14AE47E10A400000000000001A40").unwrap_err().contains("SRID 3857"));
    }

    #[test]
    fn what_is_cut_off_or_nested_too_deep_is_refused() {
        let point = "0101000020E6100000E17A14AE47E10A400000000000001A40";
        for end in 0..point.len() {
            assert!(parse_hex(&point[..end]).is_err(), "{end}");
        }
        assert!(parse_hex(&format!("{point}00")).is_err());
        assert!(parse_hex("010200000000FFFFFF").is_err(), "a count beyond the bytes takes no memory");
        let nested = "010700000001000000".repeat(20);
        assert!(parse_hex(&nested).is_err());
    }
}
