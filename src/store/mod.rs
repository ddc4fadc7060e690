//! Where tables go.

pub mod csv;
pub mod postgres;
