//! An inspection as a small map above a timeline, in SVG.

use std::fmt::Write;

use watchtower_model::geometry::geodesic::metres_per_degree;

use super::inspect::Inspection;

const WIDTH: f64 = 640.0;
const MAP_HEIGHT: f64 = 400.0;
const TIMELINE_HEIGHT: f64 = 80.0;
const MARGIN: f64 = 20.0;
/// Days of a file whose timeline is by hours.
const SHORT_DAYS: usize = 4;
/// The least span of a map in degrees, some 50 m.
const LEAST_DEG: f64 = 5e-4;

impl Inspection {
    /// A map of the places and outlines with a scale, and rows a day, of a short file rows an hour. Longitudes are
    /// narrowed as at the middle latitude; a map across the antimeridian is drawn in one piece.
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
        let (width, height) = (WIDTH - 2.0 * MARGIN, MAP_HEIGHT - 2.0 * MARGIN);
        let _ = writeln!(
            svg,
            "<rect x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{width}\" height=\"{height}\" fill=\"#f7f7f5\" stroke=\"#ccc\"/>"
        );
        for outline in &self.outlines {
            let drawn: Vec<[f64; 2]> = outline.iter().map(|place| frame.point(place)).collect();
            let points = drawn.iter().fold(String::new(), |mut all, [x, y]| {
                let _ = write!(all, "{x:.1},{y:.1} ");
                all
            });
            let _ = writeln!(svg, "<polygon points=\"{points}\" fill=\"#36c2\" stroke=\"#36c\" stroke-width=\"1\"/>");
            // On a wide map what is small is a dot.
            if let Some([x, y]) =
                drawn.first().filter(|first| drawn.iter().all(|[x, y]| near(*x, first[0]) && near(*y, first[1])))
            {
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
                "<path d=\"{dots}\" stroke=\"#c33\" stroke-width=\"2.4\" stroke-linecap=\"round\" fill=\"none\"/>"
            );
        }
        frame.legend(svg);
    }

    fn timeline(&self, svg: &mut String) {
        let is_short = self.days.len() <= SHORT_DAYS && !self.hours.is_empty();
        let (bins, unit_s, unit) = if is_short { (&self.hours, 3_600, "hour") } else { (&self.days, 86_400, "day") };
        let (Some((first, _)), Some((last, _))) = (bins.first(), bins.last()) else { return };
        let most = bins.iter().map(|(_, rows)| *rows).max().unwrap_or(1).max(1);
        let base = MAP_HEIGHT + TIMELINE_HEIGHT + 2.0 * MARGIN;
        let width = (WIDTH - 2.0 * MARGIN) / (last - first + 1) as f64;
        for (bin, rows) in bins {
            let x = MARGIN + (bin - first) as f64 * width;
            let tall = (*rows as f64 / most as f64 * TIMELINE_HEIGHT).max(1.0);
            let y = base - tall;
            let drawn = (width * 0.9).max(0.8);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{drawn:.1}\" height=\"{tall:.1}\" fill=\"#888\"/>"
            );
        }
        let right = WIDTH - MARGIN;
        let _ = writeln!(svg, "<path d=\"M{MARGIN} {base}H{right}\" stroke=\"#888\"/>");
        let form = if is_short { "%Y-%m-%d %H:00" } else { "%Y-%m-%d" };
        let name = |bin: i64| {
            let instant = jiff::Timestamp::from_second(bin.saturating_mul(unit_s));
            instant.map_or_else(|_| bin.to_string(), |instant| instant.strftime(form).to_string())
        };
        let (first, last, base) = (name(*first), name(*last), base + 14.0);
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{base}\" fill=\"#555\">{first} UTC</text>");
        let _ = writeln!(
            svg,
            "<text x=\"{right}\" y=\"{base}\" text-anchor=\"end\" fill=\"#555\">{last} UTC; at most {most} rows in one \
             {unit}</text>"
        );
    }
}

/// Whether two coordinates of the drawing can hardly be told apart.
fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 3.0
}

/// What the map shows, in degrees, and how.
struct Frame {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
    /// Degrees of longitude that are added to places in the west, so that they are on one side of the antimeridian.
    turned: f64,
    narrowed: f64,
    /// Units of the drawing a degree of latitude.
    scale: f64,
    /// Where the corner in the north-west is drawn.
    corner: [f64; 2],
}

impl Frame {
    fn around<'a>(places: impl Iterator<Item = &'a [f64; 2]> + Clone) -> Option<Self> {
        let bounds = |turned: f64| {
            places.clone().fold(None, |bounds: Option<[f64; 4]>, [lon, lat]| {
                let lon = if *lon < 0.0 { lon + turned } else { *lon };
                let [west, east, south, north] = bounds.unwrap_or([lon, lon, *lat, *lat]);
                Some([west.min(lon), east.max(lon), south.min(*lat), north.max(*lat)])
            })
        };
        let (plain, around) = (bounds(0.0)?, bounds(360.0)?);
        let is_across = around[1] - around[0] < plain[1] - plain[0];
        let ([west, east, south, north], turned) = if is_across { (around, 360.0) } else { (plain, 0.0) };
        let narrowed = f64::midpoint(south, north).to_radians().cos().max(0.01);
        let (width, height) = (WIDTH - 4.0 * MARGIN, MAP_HEIGHT - 4.0 * MARGIN);
        // A single place has a surrounding of some metres, too.
        let wide = width / ((east - west) * narrowed).max(LEAST_DEG);
        let tall = height / (north - south).max(LEAST_DEG);
        let scale = wide.min(tall);
        let margin = |room: f64, drawn: f64| 2.0 * MARGIN + (room - drawn) / 2.0;
        let corner = [margin(width, (east - west) * narrowed * scale), margin(height, (north - south) * scale)];
        Some(Self { west, east, south, north, turned, narrowed, scale, corner })
    }

    fn point(&self, [lon, lat]: &[f64; 2]) -> [f64; 2] {
        let lon = if *lon < 0.0 { lon + self.turned } else { *lon };
        [
            self.corner[0] + (lon - self.west) * self.narrowed * self.scale,
            self.corner[1] + (self.north - lat) * self.scale,
        ]
    }

    /// The corners in degrees, and a bar of a round length.
    fn legend(&self, svg: &mut String) {
        let Self { west, east, south, north, .. } = self;
        let base = MAP_HEIGHT - 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{base}\" fill=\"#555\">{west:.4} to {east:.4} E, {south:.4} to {north:.4} N</text>"
        );
        let (_, lat_m) = metres_per_degree(f64::midpoint(*south, *north));
        let metres_a_unit = lat_m / self.scale;
        let longest = metres_a_unit * (WIDTH / 4.0);
        let power = 10f64.powf(longest.log10().floor());
        let metres = [5.0, 2.0, 1.0].into_iter().map(|step| step * power).find(|metres| *metres <= longest);
        let Some(metres) = metres.filter(|metres| metres.is_finite() && *metres > 0.0) else { return };
        let (right, top) = (WIDTH - MARGIN, base - 4.0);
        let left = right - metres / metres_a_unit;
        let length = if metres >= 1000.0 { format!("{} km", metres / 1000.0) } else { format!("{metres} m") };
        let _ = writeln!(svg, "<path d=\"M{left:.1} {top}H{right}\" stroke=\"#555\" stroke-width=\"2\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{base}\" text-anchor=\"end\" fill=\"#555\">{length}</text>",
            left - 6.0
        );
    }
}
