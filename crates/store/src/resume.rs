//! The tables of a pipeline while an operator decides about a loss.

use watchtower_model::Millis;

use crate::{Claim, Writer};

/// The right to write the tables of a pipeline that no daemon writes, for as long as this lives.
#[derive(Debug)]
pub struct Resume {
    /// The right to write the tables, and how far they are.
    pub claim: Claim,
    /// Log time of the last commit.
    pub now: Millis,
    /// Writes the decision.
    pub writer: Writer,
}
