//! Which positions are outliers.

use watchtower_model::geometry::geodesic::distance_mm;
use watchtower_model::{Mark, Millis, OUTLIER_RUN, OUTLIER_RUN_MS, Offline, Outliers, Position, Rules};

/// Whether an offline lies between two instants at which there are positions.
pub(super) fn crosses(offlines: &[Offline], from: Millis, until: Millis) -> bool {
    offlines.iter().any(|offline| from <= offline.started_at && offline.ended_at.is_some_and(|end| end <= until))
}

/// The accurate positions of a track.
struct Accurate<'a> {
    positions: Vec<Position>,
    offlines: &'a [Offline],
    rules: &'a Rules,
}

/// The marks of all positions, of which the inaccurate ones are known, in their order.
pub(super) fn marks(track: &[Position], offlines: &[Offline], rules: &Rules) -> Vec<Mark> {
    let mut marks: Vec<Mark> = track.iter().map(|position| position.mark).collect();
    if rules.outliers == Outliers::Use {
        return marks;
    }
    let places: Vec<usize> = (0..track.len()).filter(|&i| marks[i] == Mark::None).collect();
    let accurate = Accurate { positions: places.iter().map(|&i| track[i]).collect(), offlines, rules };
    let (mut next, mut before) = (0, None);
    while next < places.len() {
        before = before.filter(|&before| !accurate.crosses(before, next));
        let run = (1..=OUTLIER_RUN).find(|&length| accurate.is_run(next, length, before));
        match run {
            Some(length) => {
                places[next..next + length].iter().for_each(|&i| marks[i] = Mark::Outlier);
                next += length;
            }
            None => {
                before = Some(next);
                next += 1;
            }
        }
    }
    marks
}

impl Accurate<'_> {
    fn crosses(&self, a: usize, b: usize) -> bool {
        crosses(self.offlines, self.positions[a].ts, self.positions[b].ts)
    }

    fn way_mm(&self, a: usize, b: usize) -> i64 {
        distance_mm(self.positions[a].place, self.positions[b].place)
    }

    fn is_implausible(&self, a: usize, b: usize) -> bool {
        self.rules.is_implausible(self.way_mm(a, b), self.positions[b].ts - self.positions[a].ts)
    }

    /// Whether `length` positions from `first` on are a run of outliers, after the usable position `before`.
    fn is_run(&self, first: usize, length: usize, before: Option<usize>) -> bool {
        let (last, next) = (first + length - 1, first + length);
        if next >= self.positions.len()
            || self.positions[last].ts - self.positions[first].ts > OUTLIER_RUN_MS
            || self.crosses(first, last)
        {
            return false;
        }
        let Some(before) = before else {
            let legs_behind = next..=next + length;
            return !self.crosses(last, next)
                && self.is_implausible(last, next)
                && legs_behind.clone().all(|i| {
                    i + 1 < self.positions.len() && !self.crosses(i, i + 1) && !self.is_implausible(i, i + 1)
                });
        };
        let is_left = if self.crosses(last, next) {
            self.way_mm(last, next) > self.way_mm(before, next)
        } else {
            self.is_implausible(last, next)
        };
        self.is_implausible(before, first) && is_left && !self.is_implausible(before, next)
    }
}
