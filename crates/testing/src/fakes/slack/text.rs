//! What a reader sees of a text, by <https://docs.slack.dev/messaging/formatting-message-text>.

/// A text as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The characters, with entities resolved and a mention or link in place of its `<..>`.
    pub text: String,
    /// What is notified, as in `!channel`, `!here`, `@U0123456789`.
    pub mentions: Vec<String>,
    /// The targets of links.
    pub links: Vec<String>,
}

/// A text of a message as it is shown.
pub fn shown(text: &str) -> Shown {
    let mut shown = Shown::default();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let Some(length) = rest[open..].find('>') else { break };
        shown.text.push_str(&resolved(&rest[..open]));
        let inner = &rest[open + 1..open + length];
        let (target, label) = inner.split_once('|').unwrap_or((inner, inner));
        match target.chars().next() {
            Some('!' | '@') => {
                shown.mentions.push(target.to_owned());
                shown.text.push_str(&format!("@{}", resolved(label.trim_start_matches(['!', '@']))));
            }
            Some(_) => {
                shown.links.push(resolved(target));
                shown.text.push_str(&resolved(label));
            }
            None => shown.text.push_str("<>"),
        }
        rest = &rest[open + length + 1..];
    }
    shown.text.push_str(&resolved(rest));
    shown
}

/// The three entities that Slack has; any other stays as it is.
fn resolved(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_and_links_are_in_angle_brackets_and_nothing_else_is() {
        let text = "<!channel> <@U1> see <https://a.example/?x=1&amp;y=2|A &amp; B> @here &lt;!here&gt; &quot;";
        let expected = "@channel @U1 see A & B @here <!here> &quot;";
        let shown = shown(text);
        assert_eq!(shown.text, expected);
        assert_eq!(shown.mentions, ["!channel", "@U1"]);
        assert_eq!(shown.links, ["https://a.example/?x=1&y=2"]);
        assert_eq!(super::shown("&amp;lt;").text, "&lt;", "an entity is resolved once");
    }
}
