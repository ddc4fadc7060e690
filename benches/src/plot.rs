//! Plots of reports, written as SVG without a library.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::BenchError;

/// Size of a plot, and position of its axes; pixels.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 540.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 388.0;
/// Least distance of two labels, pixels.
const LINE: f64 = 17.0;

/// Colours that people with red-green blindness can distinguish (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// A labelled line of a plot.
#[derive(Clone, Debug)]
struct Series {
    name: String,
    /// Points in ascending order of x; all coordinates are above 0.
    points: Vec<[f64; 2]>,
}

/// A plot with two logarithmic axes.
#[derive(Debug)]
struct Plot {
    title: String,
    x: &'static str,
    y: &'static str,
    series: Vec<Series>,
}

/// Draws the reports of a folder: `kernel.json` and `engine.json` become `geofences.svg`, `live.json` becomes
/// `latency.svg`. Returns the files written.
///
/// # Errors
/// If a report is malformed, or a plot cannot be written.
pub fn draw(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let report = |name: &str| -> Result<Option<Value>, BenchError> {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let report = serde_json::from_str(&std::fs::read_to_string(&path)?);
        report.map(Some).map_err(|error| BenchError::Setup(format!("{} is no report: {error}", path.display())))
    };
    let (kernel, engine, live) = (report("kernel.json")?, report("engine.json")?, report("live.json")?);
    let plots = [
        ("geofences.svg", kernel.as_ref().map(|kernel| geofences(kernel, engine.as_ref()))),
        ("latency.svg", live.as_ref().map(latency)),
    ];
    let mut drawn = Vec::new();
    for (name, plot) in plots {
        if let Some(plot) = plot.filter(|plot| !plot.series.is_empty()) {
            let path = folder.join(name);
            std::fs::write(&path, plot.svg())?;
            drawn.push(path);
        }
    }
    Ok(drawn)
}

fn results(report: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let results = report["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().filter_map(|result| Some((result["name"].as_str()?, result)))
}

/// Events per second against the number of geofences; and the slower alternatives at 10 000 geofences.
fn geofences(kernel: &Value, engine: Option<&Value>) -> Plot {
    let of = |walk: &str, name: &str| {
        let points = results(kernel).filter_map(|(found, result)| {
            let (geofences, rest) = found.split_once('/')?;
            let events_per_s = result["events_per_s"].as_f64()?;
            (rest == walk).then_some([geofences.parse().ok()?, events_per_s])
        });
        Series { name: name.to_owned(), points: points.collect() }
    };
    let mut series = vec![
        of("10m", "membership alone, 10 m steps"),
        of("teleport", "membership alone, anywhere"),
        of("10m/rstar+geo", "rstar + geo, 10 m steps"),
        of("teleport/rstar+geo", "rstar + geo, anywhere"),
    ];
    let point = |result: &str, name: &str| {
        let found = results(engine?).find(|(found, _)| *found == result)?;
        let points = vec![[10_000.0, found.1["events_per_s"].as_f64()?]];
        Some(Series { name: name.to_owned(), points })
    };
    series.extend(point("workload-w/membership/workers=1", "engine, event time, workload W"));
    series.extend(point("workload-w/postgis-batches", "PostGIS, batches, workload W"));
    series.extend(point("workload-w/postgis-per-event", "PostGIS, a query each, workload W"));
    series.retain(|series| !series.points.is_empty());
    let title = "Events per second by number of geofences, one worker".to_owned();
    Plot { title, x: "geofences, three over each place", y: "events/s", series }
}

/// Latency against the rate of events.
fn latency(live: &Value) -> Plot {
    let of = |(member, name): (&str, &str)| {
        let points = results(live).filter_map(|(_, result)| {
            let point = [result["rate_per_s"].as_f64()?, result[member].as_f64()?];
            (point[1] > 0.0).then_some(point)
        });
        Series { name: name.to_owned(), points: points.collect() }
    };
    let members = [("p999_ms", "99.9 %"), ("p99_ms", "99 %"), ("p90_ms", "90 %"), ("p50_ms", "median")];
    let mut series: Vec<Series> = members.into_iter().map(of).collect();
    series.retain(|series| !series.points.is_empty());
    let title = "From the instant an event is due to its commit, as another session sees it".to_owned();
    Plot { title, x: "events/s", y: "milliseconds", series }
}

impl Plot {
    fn svg(&self) -> String {
        let [xs, ys] = [0, 1].map(|axis| Axis::over(self.series.iter().flat_map(|s| &s.points).map(|p| p[axis])));
        let x = |value: f64| LEFT + (RIGHT - LEFT) * xs.share(value);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * ys.share(value);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<title>{0}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{0}</text>\n",
            self.title
        );
        for tick in xs.ticks() {
            let (at, label) = (x(tick), short(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#dddddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{label}</text>",
                BOTTOM + 18.0
            );
        }
        for tick in ys.ticks() {
            let (at, label) = (y(tick), short(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#dddddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        let middle = (LEFT + RIGHT) / 2.0;
        let (below, half) = (BOTTOM + 38.0, (TOP + BOTTOM) / 2.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {half}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.x, self.y
        );
        for ((series, colour), label_y) in self.series.iter().zip(COLOURS.iter().cycle()).zip(self.labels(y)) {
            let points: Vec<[f64; 2]> = series.points.iter().map(|&[a, b]| [x(a), y(b)]).collect();
            let path: Vec<String> = points.iter().map(|[a, b]| format!("{a:.1},{b:.1}")).collect();
            let _ = write!(
                svg,
                "<g stroke=\"{colour}\" fill=\"{colour}\"><polyline points=\"{}\" fill=\"none\" \
                 stroke-width=\"2\"/>",
                path.join(" ")
            );
            for [a, b] in &points {
                let _ = write!(svg, "<circle cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"3.5\"/>");
            }
            if let Some([a, b]) = points.last() {
                let _ = write!(
                    svg,
                    "<path d=\"M{:.1} {b:.1}L{:.1} {:.1}\" stroke-width=\"0.7\" fill=\"none\"/>",
                    a + 5.0,
                    RIGHT + 8.0,
                    label_y - 4.0
                );
            }
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{label_y:.1}\" stroke=\"none\" font-size=\"11\">{}</text></g>",
                RIGHT + 11.0,
                series.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Vertical positions of the labels: each at the end of its line, without overlap.
    fn labels(&self, y: impl Fn(f64) -> f64) -> Vec<f64> {
        let ends: Vec<f64> =
            self.series.iter().map(|series| series.points.last().map_or(TOP, |point| y(point[1]) + 4.0)).collect();
        let mut order: Vec<usize> = (0..ends.len()).collect();
        order.sort_by(|&a, &b| ends[a].total_cmp(&ends[b]));
        let mut labels = vec![0.0; ends.len()];
        let mut lowest = f64::NEG_INFINITY;
        for &index in &order {
            lowest = ends[index].max(lowest + LINE);
            labels[index] = lowest;
        }
        let beyond = (lowest - BOTTOM).max(0.0);
        labels.iter().map(|label| label - beyond).collect()
    }
}

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    /// Common logarithms of its ends, multiples of a third.
    from: f64,
    until: f64,
}

impl Axis {
    /// An axis from the power of ten below the least value to the one above the greatest.
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values.fold((f64::INFINITY, 0f64), |(least, most), v| (least.min(v), most.max(v)));
        if least > most {
            return Self { from: 0.0, until: 1.0 };
        }
        let (from, until) = (least.log10().floor(), most.log10().ceil());
        Self { from, until: until.max(from + 1.0) }
    }

    fn share(self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.until - self.from)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.until as i32).map(|exponent| 10f64.powi(exponent))
    }
}

/// Formats a number briefly: 20000 as 20k.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e3 {
        format!("{}k", value / 1e3)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plots_are_drawn_of_what_there_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(draw(dir.path()).unwrap().is_empty());
        let result = |name: &str, events_per_s: f64| json!({ "name": name, "events_per_s": events_per_s });
        let kernel = json!({ "results": [
            { "name": "100/index", "geofences": 100 }, result("100/10m", 5e6), result("100/10m/rstar+geo", 1e6),
            result("10000/10m", 4e6), result("10000/10m/rstar+geo", 4e5), result("countries/10m", 9e6),
        ] });
        std::fs::write(dir.path().join("kernel.json"), kernel.to_string()).unwrap();
        let drawn = draw(dir.path()).unwrap();
        assert_eq!(drawn, [dir.path().join("geofences.svg")]);
        let svg = std::fs::read_to_string(&drawn[0]).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
        std::fs::write(dir.path().join("live.json"), "nothing").unwrap();
        assert!(draw(dir.path()).unwrap_err().to_string().contains("live.json is no report"));
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let series = (0..5).map(|_| Series { name: "s".to_owned(), points: vec![[1.0, 1.0]] }).collect();
        let plot = Plot { title: String::new(), x: "", y: "", series };
        let mut labels = plot.labels(|_| BOTTOM);
        labels.sort_by(f64::total_cmp);
        assert!(labels.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{labels:?}");
        assert!(labels.iter().all(|&label| label <= BOTTOM), "{labels:?}");
    }
}
