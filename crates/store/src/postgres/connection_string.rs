//! Splits connection strings into their parts, as far as a configuration needs them; nothing is decoded.

use std::ops::Range;

/// Notation of a connection string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `scheme://rest`.
    Url {
        /// The text before `://`: letters, digits, `+`, `-`, `.`; case as written.
        scheme: &'a str,
        /// The text after `://`.
        rest: &'a str,
    },
    /// `key=value key=value`, the notation of libpq.
    Pairs,
    /// Text in neither notation.
    Other,
}

/// The notation of `text`.
pub fn shape(text: &str) -> Shape<'_> {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => Shape::Url { scheme, rest },
        _ if text.contains('=') => Shape::Pairs,
        Some(_) | None => Shape::Other,
    }
}

/// The hosts of `host:port,host:port/path?query#fragment`.
pub fn hosts(target: &str) -> &str {
    &target[..target.find(['/', '?', '#']).unwrap_or(target.len())]
}

/// Name and port of `host:port`; an IPv6 address is in brackets.
pub fn split_host(host: &str) -> (&str, Option<&str>) {
    let after_brackets = if host.starts_with('[') { host.find(']').map_or(0, |at| at + 1) } else { 0 };
    match host[after_brackets..].find(':') {
        Some(colon) => (&host[..after_brackets + colon], Some(&host[after_brackets + colon + 1..])),
        None => (host, None),
    }
}

/// Whether `text` is a port number.
pub fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// One `key=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The text before the `=`.
    pub key: &'a str,
    /// The text after it, without its quotes; escapes are kept.
    pub value: &'a str,
    /// The whole pair as written.
    pub written: &'a str,
}

/// The rest of the text is no `key=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPair;

/// Iterator over the pairs of `key=value key='quoted value'`; ends after the first error.
pub struct Pairs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) -> Range<usize> {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(|c| !skipped(c)).unwrap_or(rest.len());
        start..self.at
    }

    /// Moves past a value up to `is_end`; a backslash escapes the next character.
    fn skip_value(&mut self, is_end: impl Fn(char) -> bool) -> Range<usize> {
        let start = self.at;
        let mut chars = self.text[start..].char_indices();
        self.at = self.text.len();
        while let Some((offset, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if is_end(c) {
                self.at = start + offset;
                break;
            }
        }
        start..self.at
    }

    fn pair(&mut self) -> Result<Pair<'a>, NoPair> {
        let start = self.at;
        let key = self.skip(|c| !c.is_whitespace() && c != '=');
        self.skip(char::is_whitespace);
        if key.is_empty() || !self.text[self.at..].starts_with('=') {
            return Err(NoPair);
        }
        self.at += 1;
        self.skip(char::is_whitespace);
        let value = if self.text[self.at..].starts_with('\'') {
            self.at += 1;
            let value = self.skip_value(|c| c == '\'');
            if self.at == self.text.len() {
                return Err(NoPair);
            }
            self.at += 1;
            value
        } else {
            self.skip_value(char::is_whitespace)
        };
        Ok(Pair { key: &self.text[key], value: &self.text[value], written: &self.text[start..self.at] })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, NoPair>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(char::is_whitespace);
        if self.at == self.text.len() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.at = self.text.len();
        }
        Some(pair)
    }
}

/// Splits off the parameters of a connection string: those after the `?` of a URL (after the `@`, if it has one), or
/// all pairs. Returns the text before them and the parameters. A parameter without `=` has an empty key.
pub fn parameters(text: &str) -> (&str, Vec<Pair<'_>>) {
    match shape(text) {
        Shape::Url { rest, .. } => {
            let target = rest.split_once('@').map_or(rest, |(_, target)| target);
            let Some((_, query)) = target.split_once('?') else { return (text, Vec::new()) };
            let pairs = query.split('&').filter(|written| !written.is_empty()).map(|written| {
                let (key, value) = written.split_once('=').unwrap_or(("", written));
                Pair { key, value, written }
            });
            (&text[..text.len() - query.len() - 1], pairs.collect())
        }
        Shape::Pairs => ("", Pairs::new(text).filter_map(Result::ok).collect()),
        Shape::Other => (text, Vec::new()),
    }
}

/// `sslmode`: the TLS that a connection to PostgreSQL must have, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Connects without TLS, as `sslmode=disable`.
    Disable,
    /// Uses TLS if the server offers it, and then verifies the certificate.
    Prefer,
    /// Requires TLS; verifies the certificate as `verify-full` does.
    Require,
    /// Requires TLS, and a certificate of the host that is signed by a trusted authority.
    VerifyFull,
}

impl SslMode {
    /// All modes by their names in connection strings.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-full", Self::VerifyFull),
    ];
}

/// Splits `sslmode` from a PostgreSQL connection string. `None`: the string has none, or one that loading the
/// configuration refuses.
pub fn split_ssl_mode(text: &str) -> (String, Option<SslMode>) {
    let (before, pairs) = parameters(text);
    let (modes, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|pair| pair.key == "sslmode");
    let Some(last) = modes.last() else { return (text.to_owned(), None) };
    let mode = SslMode::NAMES.iter().find(|(name, _)| *name == last.value).map(|(_, mode)| *mode);
    let others: Vec<&str> = others.iter().map(|pair| pair.written).collect();
    let rest = match shape(text) {
        Shape::Url { .. } if others.is_empty() => before.to_owned(),
        Shape::Url { .. } => format!("{before}?{}", others.join("&")),
        Shape::Pairs | Shape::Other => others.join(" "),
    };
    (rest, mode)
}

/// Why the client would refuse an address. Nothing of the address is repeated but the name of a parameter: it may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFault {
    /// The value of this parameter.
    Value(String),
    /// Anything else in it.
    Unreadable,
    /// It names no host.
    NoHost,
    /// It names several ports, and another number of hosts.
    Ports,
}

/// The first fault of an address whose form was checked; `None` if the client accepts it.
pub fn client_fault(address: &str) -> Option<ClientFault> {
    let (address, _) = split_ssl_mode(address);
    let Ok(config) = address.parse::<tokio_postgres::Config>() else {
        let (_, parameters) = parameters(&address);
        let culprit = parameters.iter().find(|pair| {
            pair.key != "password"
                && format!("{}='{}'", pair.key, pair.value).parse::<tokio_postgres::Config>().is_err()
        });
        return Some(culprit.map_or(ClientFault::Unreadable, |pair| ClientFault::Value(pair.key.to_owned())));
    };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Some(ClientFault::NoHost);
    }
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    (config.get_ports().len() > 1 && config.get_ports().len() != hosts).then_some(ClientFault::Ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        assert_eq!(shape("redis://h"), Shape::Url { scheme: "redis", rest: "h" });
        assert_eq!(shape("host=h password=a://b"), Shape::Pairs);
        assert_eq!(shape("u:a://b"), Shape::Other);
        assert_eq!(shape("host"), Shape::Other);
    }

    #[test]
    fn pairs_are_those_of_the_postgresql_client() {
        for text in [
            "host=h user=u",
            " host = h\tuser =  u ",
            r"host='h' user='it''s'",
            r"user=a\ b host=h",
            r"password='a \' b' host=h",
            "host",
            "host=h rest",
            "host='h",
        ] {
            let ours: Result<Vec<_>, _> = Pairs::new(text).collect();
            let theirs = text.parse::<tokio_postgres::Config>();
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
        }
        // After a missing key the client silently ignores the rest.
        assert_eq!(Pairs::new("host=h =x").last(), Some(Err(NoPair)));
        let pairs: Vec<_> = Pairs::new(r"a=b  c = 'd e' f").collect();
        assert_eq!(
            pairs,
            [
                Ok(Pair { key: "a", value: "b", written: "a=b" }),
                Ok(Pair { key: "c", value: "d e", written: "c = 'd e'" }),
                Err(NoPair)
            ]
        );
    }

    #[test]
    fn the_ssl_mode_is_taken_out() {
        for (text, rest, mode) in [
            ("postgres://u:p@h/d?sslmode=verify-full", "postgres://u:p@h/d", Some(SslMode::VerifyFull)),
            ("postgres://h/d?user=u&sslmode=require&port=1", "postgres://h/d?user=u&port=1", Some(SslMode::Require)),
            ("postgres://u:p?sslmode=x@h/d", "postgres://u:p?sslmode=x@h/d", None),
            ("postgres://h/d", "postgres://h/d", None),
            ("host=h sslmode='disable' user='a b'", "host=h user='a b'", Some(SslMode::Disable)),
            ("postgres://h/d?sslmode=disable&sslmode=prefer", "postgres://h/d", Some(SslMode::Prefer)),
        ] {
            assert_eq!(split_ssl_mode(text), (rest.to_owned(), mode), "{text}");
        }
    }
}
