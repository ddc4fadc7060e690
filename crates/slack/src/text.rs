//! Text of messages: escaping of values, and the lengths that Slack accepts.

use std::borrow::Cow;

/// Length of a posted text, UTF-16 units; Slack truncates what is longer.
/// Source: <https://docs.slack.dev/reference/methods/chat.postMessage>, "Truncating content".
pub const MAX_TEXT: usize = 40_000;
/// Length of a text of `chat.update`, UTF-16 units; what is longer is refused with `msg_too_long`.
/// Source: <https://docs.slack.dev/reference/methods/chat.update>, "Errors".
pub const MAX_UPDATE_TEXT: usize = 4_000;
/// Length to stay below for readers' sake, UTF-16 units; also the most that a message can be edited to.
/// Source: <https://docs.slack.dev/reference/methods/chat.postMessage>, "Truncating content".
pub const RECOMMENDED_TEXT: usize = 4_000;

/// Marks a truncated text.
const ELLIPSIS: char = '…';
/// Length of an entity of [`escape`], bytes.
const MAX_ENTITY: usize = "&amp;".len();

/// A value as mrkdwn that is shown literally: `&`, `<` and `>` become entities.
///
/// Mentions (`<!channel>`, `<!here>`, `<@U1>`), links and dates all begin with `<`, so a value that is escaped notifies
/// no member. Slack has no escape for `*`, `_`, `~` and backticks: a value may still be shown in italics.
/// Source: <https://docs.slack.dev/messaging/formatting-message-text>, "Escaping text".
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>']) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for c in value.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// A mrkdwn text of at most `limit` UTF-16 units, ending with an ellipsis if something was cut off.
///
/// Slack documents lengths in characters without a unit; UTF-16 units are the most of the usual counts. The cut is
/// between characters, and neither within an entity of [`escape`] nor within a `<..>` of Slack.
pub fn clip(text: &str, limit: usize) -> Cow<'_, str> {
    // A character has no more UTF-16 units than bytes.
    if text.len() <= limit || text.encode_utf16().count() <= limit {
        return Cow::Borrowed(text);
    }
    if limit == 0 {
        return Cow::Borrowed("");
    }
    let mut units = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit - 1 {
            break;
        }
        end = at + c.len_utf8();
    }
    let mut kept = &text[..end];
    if let Some(at) = kept.rfind('<').filter(|at| !kept[*at..].contains('>')) {
        kept = &kept[..at];
    }
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';') && kept.len() - at < MAX_ENTITY) {
        kept = &kept[..at];
    }
    let mut clipped = String::with_capacity(kept.len() + ELLIPSIS.len_utf8());
    clipped.push_str(kept);
    clipped.push(ELLIPSIS);
    Cow::Owned(clipped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_control_characters_are_escaped_and_nothing_else() {
        assert_eq!(escape("LA 123-XY"), "LA 123-XY");
        assert!(matches!(escape("a*b_c~`\u{200b}`"), Cow::Borrowed(_)));
        assert_eq!(escape("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
        assert_eq!(escape("&lt;!here&gt;"), "&amp;lt;!here&amp;gt;", "what looks escaped is escaped again");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_with_an_ellipsis() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("ééé", 3), "ééé", "three characters of two bytes each");
        assert_eq!(clip("🚚🚚", 4), "🚚🚚");
        assert_eq!(clip("🚚🚚🚚", 5), "🚚🚚…", "a truck has two units");
        assert_eq!(clip("🚚🚚🚚", 4), "🚚…", "half a truck is none");
        assert_eq!(clip("abc", 0), "");
    }

    #[test]
    fn neither_an_entity_nor_a_link_is_cut_in_the_middle() {
        for limit in 4..8 {
            assert_eq!(clip("ab&amp;cdefgh", limit), if limit < 8 { "ab…" } else { "ab&amp;…" }, "{limit}");
        }
        assert_eq!(clip("ab&amp;cdefgh", 8), "ab&amp;…");
        assert_eq!(clip("see <https://example.com|the map> now", 30), "see …");
        assert_eq!(clip("see <https://example.com|the map> now", 36), "see <https://example.com|the map> n…");
    }

    proptest! {
        #[test]
        fn clipped_text_is_within_the_limit_and_begins_the_text(value in "[a<>&é🚚 ]{0,60}", limit in 1_usize..80) {
            let text = escape(&value);
            let clipped = clip(&text, limit);
            prop_assert!(clipped.encode_utf16().count() <= limit);
            if text.encode_utf16().count() <= limit {
                prop_assert_eq!(&clipped, &text);
            } else {
                let kept = clipped.strip_suffix(ELLIPSIS).unwrap();
                prop_assert!(text.starts_with(kept));
                prop_assert!(!kept.contains(['<', '>']));
                let entities = ["&amp;", "&lt;", "&gt;"].map(|entity| kept.matches(entity).count());
                prop_assert_eq!(kept.matches('&').count(), entities.iter().sum::<usize>());
                // At most an entity and the ellipsis are missing.
                prop_assert!(kept.encode_utf16().count() + MAX_ENTITY + 2 > limit);
            }
        }
    }
}
