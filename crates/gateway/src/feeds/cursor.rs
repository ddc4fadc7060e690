//! The cursor in URLs and bodies, and what of a URL may be shown.

use secrecy::{ExposeSecret, SecretString};

/// What stands for the cursor.
pub(super) const CURSOR: &str = "{cursor}";

/// The URL of a request: the cursor is percent-encoded. A parameter that is nothing but the cursor is left out while
/// there is none: most servers begin at the present then, and refuse an empty one.
pub(super) fn in_url(url: &str, cursor: &str) -> String {
    let Some((path, query)) = url.split_once('?').filter(|_| cursor.is_empty()) else {
        return url.replace(CURSOR, &encoded(cursor));
    };
    let is_cursor = |pair: &&str| pair.split_once('=').is_some_and(|(_, value)| value == CURSOR);
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_cursor(pair)).collect();
    let url = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    url.replace(CURSOR, "")
}

/// The body of a request: the cursor is escaped as within a string of JSON.
pub(super) fn in_body(body: &str, cursor: &str) -> String {
    let quoted = serde_json::Value::from(cursor).to_string();
    body.replace(CURSOR, &quoted[1..quoted.len() - 1])
}

/// All but the characters that are unreserved in a URL.
fn encoded(cursor: &str) -> String {
    let mut out = String::with_capacity(cursor.len());
    for byte in cursor.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Scheme, host and port of a URL, for people.
pub(super) fn server(url: &SecretString) -> String {
    let parsed = reqwest::Url::parse(&in_url(url.expose_secret(), "0")).ok();
    parsed.map_or_else(|| "an unreadable URL".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_cannot_change_the_rest_of_the_request() {
        let url = "https://a/feed?limit=5&after={cursor}";
        assert_eq!(in_url(url, "x&limit=0#é"), "https://a/feed?limit=5&after=x%26limit%3D0%23%C3%A9");
        let body = r#"{"fromVersion":"{cursor}","limit":5}"#;
        assert_eq!(in_body(body, "7\",\"x\":\""), r#"{"fromVersion":"7\",\"x\":\"","limit":5}"#);
    }

    #[test]
    fn without_a_cursor_its_parameter_is_left_out() {
        assert_eq!(in_url("https://a/feed?after={cursor}", ""), "https://a/feed");
        assert_eq!(in_url("https://a/feed?x=1&after={cursor}&y=2", ""), "https://a/feed?x=1&y=2");
        assert_eq!(in_url("https://a/feed?after=v{cursor}", ""), "https://a/feed?after=v");
        assert_eq!(in_url("https://a/{cursor}/feed", ""), "https://a//feed");
        assert_eq!(in_body(r#"{"from":"{cursor}"}"#, ""), r#"{"from":""}"#);
    }
}
