//! Findings of `watchtower check`, which every crate contributes for what it needs.

use std::fmt;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The requirement is met.
    Good,
    /// The daemon runs, with a weaker guarantee or a restriction.
    Warning,
    /// The daemon does not run, or does not keep its guarantees.
    Wrong,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is good, a warning, or wrong.
    pub severity: Severity,
    /// The result, and what to do about it.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Good => "ok     ",
            Severity::Warning => "warning",
            Severity::Wrong => "WRONG  ",
        };
        write!(f, "{mark} {}", self.text)
    }
}

/// The results, in the order of the checks.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds a requirement that is met.
    pub fn good(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Good, text: text.into() });
    }

    /// Adds a restriction with which the daemon runs.
    pub fn warning(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, text: text.into() });
    }

    /// Adds a fault with which the daemon does not run.
    pub fn wrong(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Wrong, text: text.into() });
    }

    /// The greatest severity.
    pub fn worst(&self) -> Severity {
        self.0.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Good)
    }
}
