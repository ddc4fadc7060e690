//! Where tables go.

pub mod csv;
