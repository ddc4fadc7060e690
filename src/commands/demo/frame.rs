//! Lays out the screen as lines: their number depends on its height, their length on its width.

use std::path::Path;

use super::gauge::{Change, Reading};
use super::picture::{Picture, Truck, Whereabouts};
use super::words::{clock, counted, date, span, thousands};

/// A line with its style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) style: Style,
}

/// Style of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bar,
    Title,
    Change,
    Faint,
}

/// Speeds at which the demo runs at present.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    /// Committed events per second.
    pub(super) events_per_s: f64,
    /// Simulated seconds per second.
    pub(super) speedup: f64,
}

/// All data on the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) picture: Option<&'a Picture>,
    pub(super) reading: &'a Reading,
    pub(super) rates: Rates,
    pub(super) wanted_speedup: f64,
    pub(super) vehicles: u32,
    pub(super) file: &'a Path,
}

/// Lines that every screen has: bar, counts, and two at the bottom.
const FIXED: usize = 5;
/// Lines of a section besides its rows: an empty one and a title.
const PART: usize = 2;
/// Height below which only changes of the past are listed.
const LOW: usize = 16;
/// Limit of lines with trucks.
const MAX_TRUCKS: usize = 40;

/// End of a shortened line.
const CUT: &str = "..";

/// Number of trucks that a screen of this height lists.
pub(super) fn trucks(height: usize) -> usize {
    let parts = FIXED + 4 + 3 * PART;
    if height < LOW { 0 } else { (height.saturating_sub(parts) * 2 / 3).clamp(1, MAX_TRUCKS) }
}

/// The lines of a screen of this size, at most `height` lines of at most `width` characters.
pub(super) fn frame(shown: &View<'_>, width: usize, height: usize) -> Vec<Line> {
    let mut lines = vec![bar(shown)];
    match shown.picture {
        None => lines.push(plain("waiting for the first events".to_owned())),
        Some(picture) => {
            lines.push(plain(counts(picture)));
            if height >= LOW {
                lines.extend(fleets(picture));
                lines.extend(trucks_lines(picture, trucks(height)));
            }
        }
    }
    let left = height.saturating_sub(lines.len() + 2);
    lines.extend(changes(shown.reading, left));
    while lines.len() + 2 < height {
        lines.push(plain(String::new()));
    }
    lines.truncate(height.saturating_sub(2));
    lines.extend(bottom(shown));
    lines.truncate(height);
    for line in &mut lines {
        cut(&mut line.text, width);
        if line.style == Style::Bar {
            let missing = width - line.text.chars().count();
            line.text.extend(std::iter::repeat_n(' ', missing));
        }
    }
    lines
}

/// Shortens a line to `width` and marks it as shortened.
fn cut(text: &mut String, width: usize) {
    if text.chars().count() <= width {
        return;
    }
    let kept = width.saturating_sub(CUT.len());
    let end = text.char_indices().nth(kept).map_or(text.len(), |(end, _)| end);
    text.truncate(end);
    text.push_str(&CUT[..width.min(CUT.len())]);
}

fn plain(text: String) -> Line {
    Line { text, style: Style::Plain }
}

fn bar(shown: &View<'_>) -> Line {
    let now = shown.reading.simulated;
    let what = match shown.reading.history {
        None => "catching up with the morning".to_owned(),
        Some(_) if shown.rates.speedup < shown.wanted_speedup * 0.9 && shown.rates.speedup > 0.0 => {
            format!("x{:.0} (x{:.0} is too fast here)", shown.rates.speedup, shown.wanted_speedup)
        }
        Some(_) => format!("x{}", shown.wanted_speedup),
    };
    let text = format!(
        " Watch Tower  {}  {} {} in Lagos  {what}",
        counted(u64::from(shown.vehicles), "truck"),
        date(now),
        clock(now)
    );
    Line { text, style: Style::Bar }
}

fn counts(picture: &Picture) -> String {
    let [moving, stopped, offline] = picture.statuses.map(thousands);
    let [visits, trips, turnarounds] = picture.so_far.map(thousands);
    format!(
        " moving {moving}  stopped {stopped}  offline {offline}   visits {visits}  trips {trips}  turnarounds \
         {turnarounds}   at a place now {}",
        thousands(picture.inside)
    )
}

/// Lines with fleets and terminals side by side. 80 columns show all but the terminals' visits.
fn fleets(picture: &Picture) -> Vec<Line> {
    let title = format!(
        " {:<14} {:>6} {:>7} {:>6} {:>7} {:>7} {:>6}   {:<15} {:>5} {:>7}",
        "fleet today", "trucks", "km", "trips", "turnar.", "median", "moving", "terminal", "now", "visits"
    );
    let mut lines = vec![plain(String::new()), Line { text: title, style: Style::Title }];
    for row in 0..picture.fleets.len().max(picture.terminals.len()) {
        let fleet = picture.fleets.get(row).map_or_else(String::new, |fleet| {
            format!(
                " {:<14} {:>6} {:>7} {:>6} {:>7} {:>7} {:>6}",
                fleet.name,
                thousands(fleet.vehicles),
                thousands((fleet.distance_m / 1000.0) as u64),
                thousands(fleet.trips),
                thousands(fleet.turnarounds),
                fleet.turnaround_p50_s.map_or_else(|| "-".to_owned(), span),
                fleet.utilisation.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
            )
        });
        let terminal = picture.terminals.get(row).map_or_else(String::new, |terminal| {
            format!("{:<15} {:>5} {:>7}", terminal.name, thousands(terminal.inside), thousands(terminal.visits))
        });
        lines.push(plain(format!("{fleet:<60}   {terminal}")));
    }
    lines
}

fn trucks_lines(picture: &Picture, most: usize) -> Vec<Line> {
    let title = format!(" {:<8} {:<7} {:>4}  {:<42} {}", "truck", "", "km/h", "where", "fleet");
    let rows = picture.trucks.iter().take(most).map(|truck| {
        let Truck { id, fleet, status, speed_kmh, whereabouts } = truck;
        let at = match whereabouts {
            Whereabouts::At { place, since } => format!("{place}, since {}", clock(*since)),
            Whereabouts::From { place, since } => format!("left {place} at {}", clock(*since)),
            Whereabouts::Nowhere => "on the road".to_owned(),
        };
        let speed = speed_kmh.map_or_else(|| "-".to_owned(), |kmh| format!("{kmh:.0}"));
        plain(format!(" {id:<8} {status:<7} {speed:>4}  {at:<42} {fleet}"))
    });
    [plain(String::new()), Line { text: title, style: Style::Title }].into_iter().chain(rows).collect()
}

/// Lines with the last changes of the past, the newest first, as many as fit.
fn changes(reading: &Reading, room: usize) -> Vec<Line> {
    let Some(rows) = room.checked_sub(PART).filter(|rows| *rows > 0) else { return Vec::new() };
    let title = match reading.unmeasured {
        0 => " the past changed".to_owned(),
        unmeasured => format!(" the past changed, and {} in between", counted(unmeasured, "late upload")),
    };
    let mut lines = vec![plain(String::new()), Line { text: title, style: Style::Title }];
    let newest = reading.changes.iter().rev().take(rows);
    lines.extend(
        newest.map(|Change { at, text }| Line { text: format!(" {} {text}", clock(*at)), style: Style::Change }),
    );
    if reading.changes.is_empty() {
        lines.push(Line { text: " no late events yet".to_owned(), style: Style::Faint });
    }
    lines
}

fn bottom(shown: &View<'_>) -> [Line; 2] {
    let Reading { appended, behind, lag, .. } = shown.reading;
    let speed = format!(
        " {} events, {}/s; the tables are {} and {:.1} s behind",
        thousands(*appended),
        thousands(shown.rates.events_per_s.round() as u64),
        counted(*behind, "event"),
        lag.as_secs_f64(),
    );
    let file = format!(" Ctrl-C ends it   {}", shown.file.display());
    [Line { text: speed, style: Style::Plain }, Line { text: file, style: Style::Faint }]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::gauge::History;
    use super::super::picture::{Fleet, Terminal};
    use super::*;
    use watchtower_simulator::MIDNIGHT;

    fn picture() -> Picture {
        let fleet = |name: &str| Fleet {
            name: name.to_owned(),
            vehicles: 28,
            distance_m: 2_308_000.0,
            trips: 78,
            turnarounds: 22,
            turnaround_p50_s: Some(11_220.0),
            utilisation: None,
        };
        let truck = |n: u32| Truck {
            id: format!("T{n}LA"),
            fleet: "VPC".to_owned(),
            status: "moving".to_owned(),
            speed_kmh: n.is_multiple_of(2).then_some(41.3),
            whereabouts: Whereabouts::From { place: "Tin Can Island".to_owned(), since: MIDNIGHT },
        };
        Picture {
            now: MIDNIGHT,
            statuses: [30, 53, 1],
            inside: 50,
            so_far: [1_000, 200, 30],
            fleets: ["VPC", "Lagoon Lines"].map(fleet).into(),
            terminals: vec![Terminal { name: "Tin Can Island".to_owned(), inside: 9, visits: 61 }],
            trucks: (0..60).map(truck).collect(),
        }
    }

    fn frame_of(picture: Option<&Picture>, changes: usize, (width, height): (usize, usize)) -> Vec<Line> {
        let change = |n: usize| Change { at: MIDNIGHT, text: format!("late upload number {n} changed 3 visits") };
        let reading = Reading {
            appended: 114_110,
            behind: 12,
            lag: Duration::from_millis(40),
            simulated: MIDNIGHT,
            history: Some(History { events: 96_000, lasted: Duration::from_secs(2) }),
            changes: (0..changes).map(change).collect(),
            unmeasured: 0,
        };
        let shown = View {
            picture,
            reading: &reading,
            rates: Rates { events_per_s: 300.0, speedup: 60.0 },
            wanted_speedup: 60.0,
            vehicles: 84,
            file: Path::new("/tmp/watchtower-demo-1.gpkg"),
        };
        frame(&shown, width, height)
    }

    #[test]
    fn no_line_is_too_long_and_none_too_many() {
        let picture = picture();
        for size in [(1, 1), (20, 3), (40, 8), (60, 15), (80, 16), (80, 24), (132, 43), (400, 200)] {
            for (picture, changes) in [(None, 0), (Some(&picture), 0), (Some(&picture), 60)] {
                let lines = frame_of(picture, changes, size);
                assert_eq!(lines.len(), size.1, "lines for {size:?}");
                assert!(lines.iter().all(|line| line.text.chars().count() <= size.0), "{size:?}: {lines:?}");
            }
        }
    }

    #[test]
    fn a_usual_screen_shows_fleets_trucks_changes_and_speed() {
        let lines = frame_of(Some(&picture()), 60, (80, 24));
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let text = text.join("\n");
        for expected in ["84 trucks", "moving 30", "Lagoon Lines", "T3LA", "number 59", "114 110 events", "Ctrl-C"] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        assert!(lines[0].style == Style::Bar && lines[0].text.chars().count() == 80);
    }
}
