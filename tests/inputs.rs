//! Files as people have them: what each of them is read as.

mod databases;
mod field;
mod forms;
mod fuzz;
mod large;
mod overpass;
mod spellings;
mod titles;
mod tracks;
