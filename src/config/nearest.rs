//! "Did you mean": finds the known name nearest to a mistyped one.

/// Length from which a known name and one that extends it (`lateness`, `lateness_ms`) count as near, characters.
const MIN_PREFIX: usize = 4;

/// The known name nearest to `found`, if at most every third character differs.
pub(super) fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let found = found.to_ascii_lowercase().replace('-', "_");
    let allowed = (found.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter_map(|name| {
            let plain = name.to_ascii_lowercase().replace('-', "_");
            let distance = strsim::damerau_levenshtein(&found, &plain);
            let begins = prefixes(&found, &plain);
            (begins || distance <= allowed).then_some((!begins, distance, name))
        })
        .min()
        .map(|(.., name)| name)
}

fn prefixes(one: &str, other: &str) -> bool {
    one.len().min(other.len()) >= MIN_PREFIX && (one.starts_with(other) || other.starts_with(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_nothing_else() {
        let known = ["url", "streams", "lateness", "max_entry", "max_attributes", "ca_file"];
        for (found, meant) in [
            ("stream", Some("streams")),
            ("Streams", Some("streams")),
            ("ca-file", Some("ca_file")),
            ("uri", Some("url")),
            ("lateness_ms", Some("lateness")),
            ("max_entry_bytes", Some("max_entry")),
            ("latness", Some("lateness")),
            ("password", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, known), meant, "{found}");
        }
    }
}
