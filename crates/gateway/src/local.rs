//! Requests without a token: only programs of this machine that mean it.
//!
//! A gateway on a loopback address serves them. Three ways lead from elsewhere to a loopback address: a proxy on this
//! machine, a web page in a browser on this machine, and a name that resolves to 127.0.0.1 ("DNS rebinding"). Each shows
//! in the headers, and each is refused.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Headers of requests that a proxy forwards.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Why a request does not come from a program of this machine, as far as its headers show. `authority` is the host of a
/// request of HTTP/2, which has no header for it.
pub(crate) fn fault(headers: &HeaderMap, authority: Option<&str>) -> Option<&'static str> {
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Some("a proxy has forwarded this request: send a token (watchtower token create)");
    }
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Some("a web page has sent this request: send a token (watchtower token create)");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(authority);
    match host {
        Some(host) if is_loopback(host) => None,
        Some(_) => {
            Some("the host is not this machine's 127.0.0.1, ::1 or localhost: send a token (watchtower token create)")
        }
        None => Some("the header Host is missing"),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn programs_of_this_machine_are_served() {
        for host in ["127.0.0.1:8420", "localhost:8420", "LOCALHOST", "[::1]:8420", "127.0.0.2"] {
            assert_eq!(fault(&with(&[("host", host)]), None), None, "{host}");
        }
        assert_eq!(fault(&HeaderMap::new(), Some("localhost:8420")), None, "HTTP/2");
    }

    #[test]
    fn proxies_web_pages_and_foreign_names_are_not() {
        let host = ("host", "127.0.0.1:8420");
        for other in [("origin", "http://127.0.0.1:8420"), ("x-forwarded-for", "10.0.0.1"), ("sec-fetch-site", "none")]
        {
            assert!(fault(&with(&[host, other]), None).is_some(), "{other:?}");
        }
        for host in ["rebound.example:8420", "127.0.0.1.example", "10.0.0.1", ""] {
            assert!(fault(&with(&[("host", host)]), None).is_some(), "{host}");
        }
        assert!(fault(&HeaderMap::new(), None).is_some());
    }
}
