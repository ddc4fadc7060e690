//! Errors of a configuration, with their places.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Cause reported by the operating system.
        source: io::Error,
    },
    /// The settings are invalid: all problems, one per line, those of the file first, in its order.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the fault is to be repaired.
    pub place: Place,
    /// The key, the expected value and the value found. Never a password.
    pub text: String,
}

/// The place of a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column (in characters) in the file, both from 1.
    Line {
        /// Name of the file as given by the user.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// The file as a whole: a setting is missing.
    File(String),
    /// An environment variable, by name.
    Variable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
