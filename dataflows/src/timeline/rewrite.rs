//! Positions of a past that are replaced, added or withdrawn.

use watchtower_model::{Millis, Position};

/// A change of the position at an instant: replaced, added, or withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// Instant of the position, epoch milliseconds.
    pub ts: Millis,
    /// The new position; `None` if it was withdrawn.
    pub position: Option<Position>,
}

/// Positions after rewrites, in order, and whether each is one that was there.
pub(super) fn merge<'a>(
    positions: impl Iterator<Item = &'a Position> + 'a,
    rewrites: &'a [Rewrite],
) -> impl Iterator<Item = (Position, bool)> + 'a {
    let (mut positions, mut rewrites) = (positions.peekable(), rewrites.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            match (positions.peek(), rewrites.peek()) {
                (None, None) => return None,
                (Some(p), Some(r)) if p.ts < r.ts => return positions.next().map(|p| (*p, true)),
                (Some(_), None) => return positions.next().map(|p| (*p, true)),
                (Some(p), Some(r)) if p.ts == r.ts => {
                    positions.next();
                }
                (_, Some(_)) => {
                    if let Some(position) = rewrites.next().and_then(|r| r.position) {
                        return Some((position, false));
                    }
                }
            }
        }
    })
}
