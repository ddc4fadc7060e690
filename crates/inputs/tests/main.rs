//! Files as people have them: what each of them is read as.

#![allow(clippy::unwrap_used, missing_docs)]

mod field;
mod forms;
mod fuzz;
