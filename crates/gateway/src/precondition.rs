//! `If-Match` and `If-None-Match` of edits.
//!
//! The version of a geofence or vehicle is that of the tables, which follow the log within moments. It is compared before
//! the edit is appended: of two edits that were made from the same version and arrive within one commit, both may pass,
//! and the later one in the log holds.

use axum::http::{HeaderMap, header};
use watchtower_store::tokens::Subject;

use crate::Context;
use crate::answer::Failure;

impl Context {
    /// Refuses an edit of another version than its author has seen.
    ///
    /// # Errors
    /// If the version is another one, or cannot be read.
    pub(crate) async fn check_precondition(&self, headers: &HeaderMap, of: Subject<'_>) -> Result<(), Failure> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let (matching, none) = (text(header::IF_MATCH), text(header::IF_NONE_MATCH));
        if matching.is_none() && none.is_none() {
            return Ok(());
        }
        let current = self.accounts.store().version(of).await.map_err(|error| {
            tracing::warn!(%error, "the version for a precondition cannot be read");
            Failure::unavailable("the tables cannot be read now, so that the version cannot be compared")
        })?;
        if holds(matching, none, current.as_deref()) { Ok(()) } else { Err(Failure::precondition(current)) }
    }
}

/// Whether the current version fits what the author expects.
fn holds(matching: Option<&str>, none: Option<&str>, current: Option<&str>) -> bool {
    let lists = |list: &str| match current {
        None => false,
        Some(current) => list.trim() == "*" || list.split(',').any(|tag| tag.trim().trim_matches('"') == current),
    };
    matching.is_none_or(lists) && none.is_none_or(|list| !lists(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        for (matching, none, current, expected) in [
            (Some("\"a\""), None, Some("a"), true),
            (Some("\"b\", \"a\""), None, Some("a"), true),
            (Some("\"b\""), None, Some("a"), false),
            (Some("\"a\""), None, None, false),
            (Some("*"), None, Some("a"), true),
            (Some("*"), None, None, false),
            (None, Some("*"), None, true),
            (None, Some("*"), Some("a"), false),
            (None, Some("\"b\""), Some("a"), true),
        ] {
            assert_eq!(holds(matching, none, current), expected, "{matching:?} {none:?} {current:?}");
        }
    }
}
