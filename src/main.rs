//! The `watchtower` program.
fn main() {}
