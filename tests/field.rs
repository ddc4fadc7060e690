//! Situations that fleets report, as small inputs, and what they should come to.

mod admission;
