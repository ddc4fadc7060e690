//! Makes a failing log small: drops events and cuts as long as it still fails.

use std::time::{Duration, Instant};

use crate::support::log::{Case, Event};

/// No candidate is tried after this long; the smallest so far is returned.
const LIMIT: Duration = Duration::from_secs(20);

/// The smallest case found for which `fails` holds, as it does for `case`.
///
/// Any subsequence of a log is a log: what was in time still is, as neither `now` nor the newest
/// position of a vehicle is later than it was.
pub(crate) fn shrink(case: Case, fails: impl FnMut(&Case) -> bool) -> Case {
    let mut shrinker = Shrinker { best: case, fails, started: Instant::now() };
    loop {
        let size = size(&shrinker.best);
        shrinker.drop_events();
        shrinker.drop_cuts();
        shrinker.attempt(Case { backwards: false, ..shrinker.best.clone() });
        shrinker.attempt(Case { ahead: false, ..shrinker.best.clone() });
        shrinker.attempt(Case { restarts_after: None, ..shrinker.best.clone() });
        if self::size(&shrinker.best) == size {
            return shrinker.best;
        }
    }
}

fn size(case: &Case) -> (usize, usize) {
    (case.events().count(), case.epochs.len())
}

struct Shrinker<F> {
    best: Case,
    fails: F,
    started: Instant,
}

impl<F: FnMut(&Case) -> bool> Shrinker<F> {
    /// Keeps the candidate if it fails too.
    fn attempt(&mut self, candidate: Case) -> bool {
        let kept = self.started.elapsed() < LIMIT && (self.fails)(&candidate);
        if kept {
            self.best = candidate;
        }
        kept
    }

    /// Stretches of events, of half the log first, of one at last, from the end so that what
    /// remains keeps its index.
    fn drop_events(&mut self) {
        let mut stretch = self.best.events().count().div_ceil(2);
        while stretch > 0 {
            let mut end = self.best.events().count();
            while end > 0 {
                let start = end.saturating_sub(stretch);
                self.attempt(without(&self.best, start..end));
                end = start;
            }
            stretch /= 2;
        }
    }

    fn drop_cuts(&mut self) {
        for epoch in (1..self.best.epochs.len()).rev() {
            let mut candidate = self.best.clone();
            let events = candidate.epochs.remove(epoch);
            candidate.epochs[epoch - 1].extend(events);
            self.attempt(candidate);
        }
    }
}

/// The case without the events of these indices.
fn without(case: &Case, dropped: std::ops::Range<usize>) -> Case {
    let mut index = 0..;
    let mut keep = |event: &Event| index.next().filter(|i| !dropped.contains(i)).map(|_: usize| event.clone());
    let epochs = case.epochs.iter().map(|events| events.iter().filter_map(&mut keep).collect()).collect();
    Case { epochs, ..case.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::generate;

    #[test]
    fn what_does_not_matter_is_dropped() {
        let ticks = |case: &Case| case.events().filter(|event| matches!(event, Event::Now(_))).count();
        let case = (0..).map(generate::replay).find(|case| ticks(case) > 3 && case.epochs.len() > 3);
        let small = shrink(case.expect("some seed"), |case| ticks(case) >= 2);
        assert_eq!((ticks(&small), size(&small)), (2, (2, 1)));
    }
}
