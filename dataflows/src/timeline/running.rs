//! What of runs and days is open: the segments that are not settled, as they are as yet.
//!
//! Before a position comes, what is open is reported as it was, and once it has come, as it is. Nearly always the
//! position settles nothing, or little is unsettled. If it settles nothing, the segments up to the one that was the last
//! are the same for both, with all that they end: they are walked through once ([`Fold::run`]), and the walk goes on from
//! there ([`Fold::run_on`]).

use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::Fold;
use crate::timeline::movement::{Segment, Unsettled};
use crate::timeline::runs::Runs;
use crate::timeline::state::State;
use crate::timeline::sums::Days;
use watchtower_model::Millis;

/// Runs as they are as yet, in front of the last position.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    unsettled: Unsettled,
    runs: Runs,
    reported: Reported,
}

/// Numbers of facts.
#[derive(Clone, Copy, Debug)]
struct Reported {
    idlings: usize,
    spells: usize,
    legs: usize,
}

impl Reported {
    fn of(facts: &FactDeltas) -> Self {
        Self { idlings: facts.idlings.len(), spells: facts.spells.len(), legs: facts.legs.len() }
    }

    /// Takes so many off the front.
    fn take_back(self, facts: &mut FactDeltas) {
        facts.idlings.drain(..self.idlings);
        facts.spells.drain(..self.spells);
        facts.legs.drain(..self.legs);
    }
}

impl Fold<'_> {
    /// Takes the runs through the segments that are not settled, but for that of the last position. `days` is left with
    /// what these add up to. To be called while there are no other `facts` of runs if it is to be carried on.
    pub fn run(&self, state: &State, facts: &mut FactDeltas, days: &mut Days) -> Option<Running> {
        days.clear();
        let (movement, analytics) = (state.movement.as_ref()?, state.analytics.as_deref()?);
        let (runner, mut runs) = (self.runner(&analytics.limits), analytics.runs);
        let unsettled = movement.unsettled(self.rules, |segment| {
            runner.step(&mut runs, segment, facts);
            days.add_segment(segment, self.rules);
        });
        Some(Running { unsettled, runs, reported: Reported::of(facts) })
    }

    /// The same some positions later, of which none was rewritten, with what [`Fold::run`] came to before, under a fold
    /// that takes facts back. What both report is no longer in `facts`.
    pub fn run_on(
        &self,
        state: &State,
        was: Option<Running>,
        facts: &mut FactDeltas,
        days: &mut Days,
    ) -> Option<Running> {
        let gone_on = was.and_then(|Running { unsettled, mut runs, reported }| {
            let (movement, analytics) = (state.movement.as_ref()?, state.analytics.as_deref()?);
            let runner = self.runner(&analytics.limits);
            let unsettled = movement.go_on(unsettled, self.rules, |segment| {
                runner.step(&mut runs, segment, facts);
                days.add_segment(segment, self.rules);
            })?;
            reported.take_back(facts);
            Some(Running { unsettled, runs, reported: Reported::of(facts) })
        });
        gone_on.or_else(|| self.run(state, facts, days))
    }

    /// What the segments that are not settled add up to. `days` is left with nothing else.
    pub fn days_as_yet<'d>(&self, state: &State, days: &'d mut Days) -> &'d mut Days {
        days.clear();
        if let Some(movement) = &state.movement {
            movement.as_yet(self.rules, |segment| days.add_segment(segment, self.rules));
        }
        days
    }

    /// What [`Fold::open`] reports, but for the visits and trips that have not ended, and for presence: what every
    /// position may make different. `running` has been taken up to the last position; `last` gets the segment of that.
    pub fn open_from(
        &self,
        state: &State,
        running: Option<Running>,
        now: Millis,
        facts: &mut FactDeltas,
        mut last: impl FnMut(&Segment<'_>),
    ) {
        let silence = self.open_silence(state, now);
        facts.offlines.extend(silence.map(|offline| (offline, self.sign)));
        let (Some(movement), Some(analytics)) = (&state.movement, state.analytics.as_deref()) else { return };
        let Some(Running { unsettled, mut runs, .. }) = running else { return };
        let runner = self.runner(&analytics.limits);
        movement.last_as_yet(unsettled, self.rules, |segment| {
            runner.step(&mut runs, segment, facts);
            runner.open(runs, segment, silence.as_ref(), facts);
            last(segment);
        });
        if let Some(stop) = movement.standing().stop() {
            let has_ended = state.last.is_some_and(|last| stop.until < last.ts);
            facts.stops.push((self.stop_fact(state, &stop, has_ended), self.sign));
        }
    }
}
