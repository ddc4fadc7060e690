//! The interval in which each edit of a geofence or vehicle is in force.
//!
//! In force at `t` is, of the edits with `effective_from <= t`, the one with the greatest
//! `(valid_from, seq)`. As `t` grows that maximum only grows, so every edit is in force during one
//! interval: from its own `effective_from` until that of the first greater edit. The interval is
//! empty when a greater edit was effective already, or becomes so at the same instant.

use std::sync::Arc;

use watchtower_model::{END, Edit, InForce, Millis, Span};

/// All edits of one geofence or vehicle.
#[derive(Clone, Debug)]
pub struct History<K, D> {
    /// Ascending by `(effective_from, valid_from, seq)`.
    edits: Vec<Edit<K, D>>,
}

impl<K, D> Default for History<K, D> {
    fn default() -> Self {
        Self { edits: Vec::new() }
    }
}

/// An edit with the interval in which it is in force.
#[derive(Clone, Debug)]
pub struct Version<'a, D> {
    /// Interval in which it is in force.
    pub span: Span,
    /// Begin of its validity according to the producer.
    pub valid_from: Millis,
    /// Sequence number of the edit.
    pub seq: u64,
    /// The definition in force.
    pub definition: &'a Arc<D>,
}

impl<K: Copy, D> History<K, D> {
    /// Adds an edit to the history of its key.
    pub fn insert(&mut self, edit: Edit<K, D>) {
        let rank = |e: &Edit<K, D>| (e.effective_from, e.valid_from, e.seq);
        if self.edits.is_empty() {
            self.edits.reserve_exact(1); // most are never edited again; saves memory with a million
        }
        let at = self.edits.partition_point(|e| rank(e) <= rank(&edit));
        self.edits.insert(at, edit);
    }

    /// The edits that are ever in force and have a definition, in the order of their intervals.
    pub fn versions(&self) -> impl Iterator<Item = Version<'_, D>> {
        self.intervals().filter_map(|(edit, span)| {
            edit.definition.as_ref().map(|definition| Version {
                span,
                valid_from: edit.valid_from,
                seq: edit.seq,
                definition,
            })
        })
    }

    /// The same in the form of a table's rows.
    pub fn in_force(&self) -> impl Iterator<Item = InForce<K>> {
        self.intervals().filter(|(edit, _)| edit.definition.is_some()).map(|(edit, span)| InForce {
            key: edit.key,
            effective_from: span.from,
            effective_until: span.until,
            valid_from: edit.valid_from,
            seq: edit.seq,
        })
    }

    /// When each edit that is ever in force comes into force, ascending, and whether it is a deletion. One that deletes
    /// what does not exist is left out.
    pub fn beginnings(&self) -> impl Iterator<Item = (Millis, bool)> {
        let mut exists = false;
        self.intervals().filter_map(move |(edit, span)| {
            let existed = std::mem::replace(&mut exists, edit.definition.is_some());
            (existed || exists).then_some((span.from, !exists))
        })
    }

    /// Whether a definition is in force at `t`.
    pub fn exists_at(&self, t: Millis) -> bool {
        self.intervals().any(|(edit, span)| edit.definition.is_some() && span.contains(t))
    }

    /// Every edit that is ever in force, deletions included, with its interval.
    fn intervals(&self) -> impl Iterator<Item = (&Edit<K, D>, Span)> {
        let mut rest = self.edits.iter().peekable();
        let mut greatest = None;
        std::iter::from_fn(move || {
            loop {
                let edit = rest.next()?;
                let rank = Some((edit.valid_from, edit.seq));
                let replaced_at_once = rest.peek().is_some_and(|next| {
                    next.effective_from == edit.effective_from && Some((next.valid_from, next.seq)) > rank
                });
                if rank < greatest || replaced_at_once {
                    continue;
                }
                greatest = rank;
                let until = rest
                    .clone()
                    .find(|next| Some((next.valid_from, next.seq)) > rank)
                    .map_or(END, |next| next.effective_from);
                return Some((edit, Span { from: edit.effective_from, until }));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(valid_from: Millis, effective_from: Millis, seq: u64, exists: bool) -> Edit<u32, ()> {
        Edit { key: 7, valid_from, effective_from, seq, definition: exists.then(|| Arc::new(())) }
    }

    fn spans(edits: &[Edit<u32, ()>]) -> Vec<(u64, Millis, Millis)> {
        let mut history = History::default();
        for e in edits {
            history.insert(e.clone());
        }
        history.versions().map(|v| (v.seq, v.span.from, v.span.until)).collect()
    }

    #[test]
    fn a_later_version_ends_the_earlier_and_a_deletion_leaves_a_hole() {
        let edits = [edit(10, 10, 0, true), edit(20, 20, 1, false), edit(30, 30, 2, true)];
        assert_eq!(spans(&edits), [(0, 10, 20), (2, 30, END)]);
    }

    #[test]
    fn the_same_key_again_replaces_from_where_it_is_effective() {
        assert_eq!(spans(&[edit(0, 0, 0, true), edit(0, 50, 1, true)]), [(0, 0, 50), (1, 50, END)]);
        assert_eq!(spans(&[edit(0, 0, 0, true), edit(0, 0, 1, true)]), [(1, 0, END)]);
    }

    #[test]
    fn an_edit_raised_past_a_greater_one_is_never_in_force() {
        assert_eq!(
            spans(&[edit(0, 0, 0, true), edit(50, 50, 1, true), edit(10, 100, 2, true)]),
            [(0, 0, 50), (1, 50, END)]
        );
    }

    #[test]
    fn every_instant_agrees_with_the_definition() {
        let mut rng = 0x9e37_79b9_u64;
        let mut next = |n: u64| {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            rng % n
        };
        for case in 0..5_000 {
            let edits: Vec<_> = (0..1 + next(6))
                .map(|seq| {
                    let valid_from = next(8) as Millis;
                    edit(valid_from, valid_from.max(next(10) as Millis), seq, next(4) > 0)
                })
                .collect();
            let found = spans(&edits);
            for t in 0..12 {
                let expected = edits
                    .iter()
                    .filter(|e| e.effective_from <= t)
                    .max_by_key(|e| (e.valid_from, e.seq))
                    .filter(|e| e.definition.is_some())
                    .map(|e| e.seq);
                let at_t: Vec<_> =
                    found.iter().filter(|(_, from, until)| *from <= t && t < *until).map(|v| v.0).collect();
                assert_eq!(at_t, Vec::from_iter(expected), "case {case}, t {t}, edits {edits:?}");
            }
        }
    }

    #[test]
    fn the_hull_covers_every_difference() {
        for (a, b, c, d) in
            (0..6).flat_map(|a| (0..6).flat_map(move |b| (0..6).flat_map(move |c| (0..6).map(move |d| (a, b, c, d)))))
        {
            let (x, y) = (Span { from: a, until: b }, Span { from: c, until: d });
            let hull = x.difference_hull(y);
            for t in 0..6 {
                assert!(x.contains(t) == y.contains(t) || hull.contains(t), "{x:?} {y:?} {hull:?} at {t}");
            }
            assert!(x != y || x.is_empty() || hull.is_empty());
        }
    }
}
