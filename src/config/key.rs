//! What a setting is called.

use std::fmt;

/// Section and name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Its section; empty at the top of the file.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.section.is_empty() {
            write!(f, "[{}] ", self.section)?;
        }
        f.write_str(self.name)
    }
}

/// Names that users look for and that are parts of a URL.
pub(super) const PARTS_OF_A_URL: [&str; 9] =
    ["host", "port", "user", "username", "password", "database", "dbname", "db", "sslmode"];
