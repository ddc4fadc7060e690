//! The URL of a Redis, as its client reads it.

use redis::IntoConnectionInfo;

/// Why the client would refuse a URL. Nothing of the URL is repeated but the name of a parameter: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// It cannot be parsed: a character that is reserved in a URL, or no host.
    Unreadable,
    /// It has a user, and no password.
    UserWithoutPassword,
    /// It ends with a fragment, behind a `#`.
    Fragment,
    /// It has a parameter that the client does not know.
    Parameter(String),
    /// The database is no number.
    Database,
    /// The client refuses it for another reason.
    Refused,
}

/// The first fault of a URL of the scheme `redis` or `rediss`; `None` if the client accepts it.
pub fn url_fault(url: &str) -> Option<UrlFault> {
    let Some(parsed) = redis::parse_redis_url(url) else { return Some(UrlFault::Unreadable) };
    if !parsed.username().is_empty() && parsed.password().is_none() {
        return Some(UrlFault::UserWithoutPassword);
    }
    if parsed.fragment().is_some() {
        return Some(UrlFault::Fragment);
    }
    if let Some((key, _)) = parsed.query_pairs().find(|(key, _)| key != "protocol") {
        return Some(UrlFault::Parameter(key.into_owned()));
    }
    if !parsed.path().trim_matches('/').bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(UrlFault::Database);
    }
    // The client's own message may repeat the URL.
    url.into_connection_info().err().map(|_| UrlFault::Refused)
}
