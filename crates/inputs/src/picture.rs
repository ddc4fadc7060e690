//! An inspection as a small map above a timeline, in SVG.

use std::fmt::Write;

use super::inspect::Inspection;

const WIDTH: f64 = 640.0;
const MAP_HEIGHT: f64 = 400.0;
const TIMELINE_HEIGHT: f64 = 80.0;
const MARGIN: f64 = 20.0;

impl Inspection {
    /// A map of the places and outlines, and rows a day. Longitudes are narrowed as at the middle latitude.
    pub fn to_svg(&self) -> String {
        let height = MAP_HEIGHT + TIMELINE_HEIGHT + 3.0 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"11\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
        );
        self.map(&mut svg);
        self.timeline(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn map(&self, svg: &mut String) {
        let Some(frame) = Frame::around(self.places.iter().chain(self.outlines.iter().flatten())) else { return };
        for outline in &self.outlines {
            let points: String =
                outline.iter().map(|place| frame.point(place)).fold(String::new(), |mut all, [x, y]| {
                    let _ = write!(all, "{x:.1},{y:.1} ");
                    all
                });
            let _ = writeln!(svg, "<polygon points=\"{points}\" fill=\"#36c2\" stroke=\"#36c\" stroke-width=\"0.7\"/>");
            if let [only] = outline.as_slice() {
                let [x, y] = frame.point(only);
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"#36c\"/>");
            }
        }
        if !self.places.is_empty() {
            let dots: String =
                self.places.iter().map(|place| frame.point(place)).fold(String::new(), |mut all, [x, y]| {
                    let _ = write!(all, "M{x:.1} {y:.1}h0");
                    all
                });
            let _ = writeln!(
                svg,
                "<path d=\"{dots}\" stroke=\"#c33\" stroke-width=\"1.6\" stroke-linecap=\"round\" fill=\"none\"/>"
            );
        }
        let Frame { west, east, south, north, .. } = frame;
        let base = MAP_HEIGHT + MARGIN - 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{base}\" fill=\"#555\">{west:.4} to {east:.4} E, {south:.4} to {north:.4} N</text>"
        );
    }

    fn timeline(&self, svg: &mut String) {
        let (Some((first, _)), Some((last, _))) = (self.days.first(), self.days.last()) else { return };
        let most = self.days.iter().map(|(_, rows)| *rows).max().unwrap_or(1).max(1) as f64;
        let days = (last - first + 1) as f64;
        let base = MAP_HEIGHT + TIMELINE_HEIGHT + 2.0 * MARGIN;
        let width = (WIDTH - 2.0 * MARGIN) / days;
        for (day, rows) in &self.days {
            let x = MARGIN + (day - first) as f64 * width;
            let tall = (*rows as f64 / most * TIMELINE_HEIGHT).max(1.0);
            let y = base - tall;
            let drawn = (width * 0.9).max(0.8);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{drawn:.1}\" height=\"{tall:.1}\" fill=\"#888\"/>"
            );
        }
        let name = |day: i64| {
            let instant = jiff::Timestamp::from_second(day.saturating_mul(86_400));
            instant.map_or_else(|_| day.to_string(), |instant| instant.strftime("%Y-%m-%d").to_string())
        };
        let (first, last, base) = (name(*first), name(*last), base + 14.0);
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{base}\" fill=\"#555\">{first}</text>");
        let right = WIDTH - MARGIN;
        let _ = writeln!(
            svg,
            "<text x=\"{right}\" y=\"{base}\" text-anchor=\"end\" fill=\"#555\">{last}; at most {most} rows a day</text>"
        );
    }
}

/// What the map shows, in degrees, and how.
struct Frame {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
    narrowed: f64,
    scale: f64,
}

impl Frame {
    fn around<'a>(places: impl Iterator<Item = &'a [f64; 2]>) -> Option<Self> {
        let mut bounds: Option<[f64; 4]> = None;
        for [lon, lat] in places {
            let [west, east, south, north] = bounds.unwrap_or([*lon, *lon, *lat, *lat]);
            bounds = Some([west.min(*lon), east.max(*lon), south.min(*lat), north.max(*lat)]);
        }
        let [west, east, south, north] = bounds?;
        let narrowed = f64::midpoint(south, north).to_radians().cos().max(0.01);
        let wide = (WIDTH - 2.0 * MARGIN) / ((east - west) * narrowed).max(1e-5);
        let tall = (MAP_HEIGHT - 2.0 * MARGIN) / (north - south).max(1e-5);
        Some(Self { west, east, south, north, narrowed, scale: wide.min(tall) })
    }

    fn point(&self, [lon, lat]: &[f64; 2]) -> [f64; 2] {
        [MARGIN + (lon - self.west) * self.narrowed * self.scale, MARGIN + (self.north - lat) * self.scale]
    }
}
