//! The marks of a track's positions: which are outliers, and which are marked anew when others come.

use smallvec::{SmallVec, smallvec};

use super::Track;
use crate::timeline::fold::Fold;
use crate::timeline::marks::{self, AHEAD, Accurate, Pass};
use crate::timeline::rewrite::{Rewrite, merge};
use watchtower_model::{END, Mark, Millis, Outliers, Position};

/// Accurate positions, hardly ever more than decide about one.
type Ahead = SmallVec<[Accurate; AHEAD]>;

/// Marks after a position is appended: see [`Track::append`].
pub(super) struct Marking {
    pub(super) mark: Mark,
    /// Rewrites of marks, in order of their instants.
    pub(super) changed: Vec<Rewrite>,
    pub(super) undecided: Option<Millis>,
}

impl Track {
    /// The mark of an appended position, and the changed marks of earlier ones.
    pub(super) fn marking(&self, fold: &Fold<'_>, next: &Position) -> Marking {
        let undecided = self.undecided;
        if fold.rules.outliers == Outliers::Use || !next.is_accurate() {
            return Marking { mark: next.mark, changed: Vec::new(), undecided };
        }
        if undecided.is_none()
            && let (Some(last), Some(heard)) = (&self.head.last, &self.head.heard)
            && heard.since <= last.ts
            && !fold.is_silent(heard.ts, next.ts)
            && !marks::is_implausible(last, next, fold.rules)
        {
            return Marking { mark: Mark::None, changed: Vec::new(), undecided };
        }
        let first = undecided.unwrap_or(next.ts);
        let mut ahead: Ahead = smallvec![Accurate { position: *next, after_offline: false }];
        let before = self.walk_back(fold, END, &mut ahead, |ahead| ahead.position.ts <= first);
        ahead.reverse();
        let mut pass = Pass::new(before);
        let (mut changed, mut at, mut mark) = (Vec::new(), 0, Mark::None);
        while at < ahead.len() {
            let (count, marked) = pass.step(&ahead[at..], fold.rules);
            for Accurate { position, .. } in &ahead[at..at + count] {
                if position.ts == next.ts {
                    mark = marked;
                } else if position.mark != marked {
                    let position = Position { mark: marked, ..*position };
                    changed.push(Rewrite { ts: position.ts, position: Some(position) });
                }
            }
            at += count;
        }
        Marking { mark, changed, undecided: pass.undecided }
    }

    /// Goes back from before an instant and adds accurate positions to those in `ahead`, each earlier than the one
    /// before, until there are enough as of the last added and a pass can begin there. Returns the usable position
    /// before that, if no offline lies between.
    fn walk_back(
        &self,
        fold: &Fold<'_>,
        before: Millis,
        ahead: &mut Ahead,
        mut is_enough: impl FnMut(&Accurate) -> bool,
    ) -> Option<Position> {
        let mut later = ahead.last().map(|ahead| ahead.position.ts);
        let mut enough = ahead.last().is_some_and(&mut is_enough);
        let mut has_offline = false;
        let positions = self.tail.positions.iter().rev();
        let sealed = self.sealed().iter().rev().flat_map(|chunk| chunk.positions.iter().rev());
        for position in positions.chain(sealed).skip_while(|position| position.ts >= before) {
            has_offline |= later.is_some_and(|later| fold.is_silent(position.ts, later));
            later = Some(position.ts);
            if enough && has_offline {
                ahead.last_mut().into_iter().for_each(|ahead| ahead.after_offline = true);
                return None;
            }
            if !position.is_accurate() {
                continue;
            }
            if enough && position.is_usable() {
                return Some(*position);
            }
            ahead.last_mut().into_iter().for_each(|ahead| ahead.after_offline = has_offline);
            has_offline = false;
            let accurate = Accurate { position: *position, after_offline: false };
            enough |= is_enough(&accurate);
            ahead.push(accurate);
        }
        let first = self.first().before.as_ref()?;
        let (last, heard) = (first.last?, first.heard?);
        let is_silent =
            has_offline || later.is_some_and(|later| fold.is_silent(heard.ts, later)) || heard.since > last.ts;
        ahead.last_mut().into_iter().for_each(|ahead| ahead.after_offline = is_silent);
        (!is_silent).then_some(last)
    }

    /// The rewrites with the marks of what they bring, and the positions around whose marks they change. `anew`: what
    /// an offline is has changed everywhere.
    pub(super) fn remark(&mut self, rewrites: &[Rewrite], anew: bool, fold: &Fold<'_>) -> Vec<Rewrite> {
        let mut marked = rewrites.to_vec();
        if fold.rules.outliers == Outliers::Use || (marked.is_empty() && !anew) {
            return marked;
        }
        let last = marked.last().map_or(Millis::MIN, |last| last.ts);
        let (before, start) = if anew { self.first_decided() } else { self.decided_before(fold, marked[0].ts) };
        let mut pass = Pass::new(before);
        let mut rest = self.accurate(fold, rewrites, start);
        let mut ahead: Vec<(Accurate, Option<Mark>)> = Vec::new();
        let mut extra = Vec::new();
        let mut same_as_before = false;
        let mut is_first = true;
        loop {
            while ahead.len() < AHEAD
                && let Some(next) = rest.next()
            {
                ahead.push(next);
            }
            let Some((next, _)) = ahead.first_mut() else { break };
            if std::mem::take(&mut is_first) {
                next.after_offline |= before.is_none();
            }
            if same_as_before && !anew {
                let known = self.undecided.map(|known| known.max(next.position.ts));
                pass.undecided = pass.undecided.or(known);
                break;
            }
            let window: Vec<Accurate> = ahead.iter().map(|(accurate, _)| *accurate).collect();
            let (count, mark) = pass.step(&window, fold.rules);
            for (Accurate { position, .. }, known) in ahead.drain(..count) {
                match known {
                    Some(known) if known == mark => same_as_before = position.ts > last && mark == Mark::None,
                    known => {
                        same_as_before = false;
                        let position = Position { mark, ..position };
                        match marked.binary_search_by_key(&position.ts, |rewrite| rewrite.ts) {
                            Ok(at) => marked[at].position = Some(position),
                            Err(_) => {
                                debug_assert!(known.is_some(), "what is new is a rewrite");
                                extra.push(Rewrite { ts: position.ts, position: Some(position) });
                            }
                        }
                    }
                }
            }
        }
        drop(rest);
        self.undecided = pass.undecided;
        marked.extend(extra);
        marked.sort_unstable_by_key(|rewrite| rewrite.ts);
        marked
    }

    /// Where a pass can begin whose decisions are as before up to an instant: from when on, after which usable position.
    fn decided_before(&self, fold: &Fold<'_>, t: Millis) -> (Option<Position>, Millis) {
        let (mut behind, mut count) = (Ahead::new(), 0);
        let before = self.walk_back(fold, t, &mut behind, |_| {
            count += 1;
            count >= AHEAD
        });
        (before, behind.last().map_or(t, |first| first.position.ts))
    }

    /// Where a pass through all that is kept can begin. What lies before is final.
    fn first_decided(&self) -> (Option<Position>, Millis) {
        if self.first().before.is_none() {
            return (None, Millis::MIN);
        }
        let mut kept = self.sealed().iter().chain([&self.tail]).flat_map(|chunk| &chunk.positions);
        kept.find(|position| position.is_usable()).map_or((None, END), |first| (Some(*first), first.ts + 1))
    }

    /// The accurate positions from an instant on, once rewritten, each with the mark it has if it stays as it is.
    fn accurate<'a>(
        &'a self,
        fold: &'a Fold<'a>,
        rewrites: &'a [Rewrite],
        from: Millis,
    ) -> impl Iterator<Item = (Accurate, Option<Mark>)> + 'a {
        let chunks = self.sealed().iter().chain([&self.tail]).map(|chunk| &**chunk);
        let kept = chunks
            .skip_while(move |chunk| chunk.positions.last().is_some_and(|last| last.ts < from))
            .flat_map(|chunk| &chunk.positions)
            .skip_while(move |position| position.ts < from);
        let mut has_offline = false;
        let mut before = self.heard_before(from);
        merge(kept, rewrites).filter_map(move |(position, is_kept)| {
            has_offline |= before.is_some_and(|before| fold.is_silent(before, position.ts));
            before = Some(position.ts);
            if !position.is_accurate() {
                return None;
            }
            let accurate = Accurate { position, after_offline: std::mem::take(&mut has_offline) };
            Some((accurate, is_kept.then_some(position.mark)))
        })
    }

    /// The instant of the last position before another instant, as far as is known.
    fn heard_before(&self, t: Millis) -> Option<Millis> {
        let chunks = self.sealed().iter().chain([&self.tail]).rev();
        let heard = chunks.flat_map(|chunk| chunk.positions.iter().rev()).find(|position| position.ts < t);
        heard.map(|heard| heard.ts).or_else(|| Some(self.first().before.as_ref()?.heard?.ts))
    }
}
